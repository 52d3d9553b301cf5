import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

setDefaultTimeout(30_000);

const root = join(import.meta.dirname, "..");
const readme = readFileSync(join(root, "README.md"), "utf8");
const blocks = (language: string) =>
  [...readme.matchAll(new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, "gs"))].map(([, text]) => text ?? "");
const run = (...args: string[]) => {
  const { stdout, stderr, exitCode } = Bun.spawnSync([process.execPath, ...args], {
    cwd: join(root, "..", ".."),
  });
  expect([exitCode, stderr.toString()]).toEqual([0, ""]);
  return stdout.toString();
};

test("the README's code is that of the examples", () => {
  const examples = ["two-wrong-orders.ts", "tour.ts", "shop/store.ts"].map((file) =>
    readFileSync(join(root, "examples", file), "utf8"),
  );
  const code = blocks("ts");
  expect(code).toHaveLength(3);
  for (const block of code) expect(examples.some((example) => example.includes(block))).toBe(true);
});

test("the examples run, and print what the README says", () => {
  expect(run("packages/drizzle-outbox/examples/two-wrong-orders.ts")).toBe(blocks("text")[0] ?? "");
  expect(run("packages/drizzle-outbox/examples/tour.ts")).toContain(
    "applied duplicate\ntried again later: not now\nsent order.reminded o-1",
  );
});

test("its commands and links lead somewhere", () => {
  for (const command of blocks("sh")) run(...command.trim().split(" ").slice(1));
  for (const [, path = ""] of readme.matchAll(/\]\((?!http)(.*?)\)/g))
    expect(existsSync(join(root, path))).toBe(true);
});
