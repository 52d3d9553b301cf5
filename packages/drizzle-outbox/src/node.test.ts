import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { join } from "node:path";

test("runs on Node with node:sqlite", () => {
  const node = process.env.NODE_BIN ?? "node";
  const { stdout } = spawnSync(node, ["--version"], { encoding: "utf8" });
  const [major = 0, minor = 0] = (stdout ?? "").replace("v", "").split(".").map(Number);
  // From here on Node has both: SQLite that answers in arrays, and TypeScript without a flag.
  if (major < 22 || (major === 22 && minor < 18)) {
    process.stderr.write(
      `node:sqlite was not tried: it takes Node 22.18, and this is ${stdout?.trim() || "none"}; NODE_BIN may name another\n`,
    );
    return;
  }
  const script = join(import.meta.dir, "..", "test", "on-node.ts");
  const ran = spawnSync(node, ["--disable-warning=ExperimentalWarning", script], { encoding: "utf8" });
  expect({ stdout: ran.stdout, stderr: ran.stderr, status: ran.status }).toEqual({
    stdout: "ok\n",
    stderr: "",
    status: 0,
  });
}, 30_000);
