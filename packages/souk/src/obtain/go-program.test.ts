import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onPath } from "./exec.ts";
import { obtainGoProgram } from "./go-program.ts";
import { CannotObtain, silent } from "./types.ts";

setDefaultTimeout(300_000);

const dir = mkdtempSync(join(tmpdir(), "souk-go-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const env = { ...process.env, SOUK_CACHE: join(dir, "cache"), GOPROXY: "off" };
const hasGo = onPath("go", env).length > 0;

/** A module that needs no other. */
function module(says: string): { name: string; package: string; folder: string } {
  const folder = join(dir, says);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "go.mod"), "module test\n\ngo 1.21\n");
  writeFileSync(join(folder, "main.go"), `package main\n\nfunc main() { print("${says}") }\n`);
  return { name: "says", package: "./", folder };
}

test("a program is built once", async () => {
  if (!hasGo) {
    console.log("not run: building Go programs (there is no go on PATH)");
    return;
  }
  const paths = await Promise.all([1, 2].map(() => obtainGoProgram(module("one"), { report: silent, env })));
  const [path = ""] = paths;
  expect(paths).toEqual([path, path]);
  expect(Bun.spawnSync([path]).stderr.toString()).toBe("one");
  const { mtimeMs } = statSync(path);
  expect(await obtainGoProgram(module("one"), { report: silent, env })).toBe(path);
  expect(statSync(path).mtimeMs).toBe(mtimeMs);
  // Nothing of the build is left.
  expect(readdirSync(join(dir, "cache", "work"))).toEqual([]);
});

test("what cannot be built is said, and leaves nothing", async () => {
  if (!hasGo) {
    console.log("not run: building Go programs (there is no go on PATH)");
    return;
  }
  const program = { ...module("three"), package: "example.com/not/there" };
  await expect(obtainGoProgram(program, { report: silent, env })).rejects.toThrow(CannotObtain);
  expect(readdirSync(join(dir, "cache", "work"))).toEqual([]);
});

test("without Go that is said", async () => {
  const without = { ...env, PATH: dir };
  const obtained = obtainGoProgram(module("four"), { report: silent, env: without });
  await expect(obtained).rejects.toThrow("there is no go on PATH");
});
