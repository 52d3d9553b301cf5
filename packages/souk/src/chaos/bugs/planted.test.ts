import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { rules } from "../checker/index.ts";
import { apply, copyCheckout } from "./copy.ts";
import { bugs, faults } from "./planted.ts";

const root = resolve(import.meta.dir, "../../../../..");

test("there are bugs enough, each with a name of its own", () => {
  expect(bugs.length).toBeGreaterThanOrEqual(14);
  expect(new Set(bugs.map(({ name }) => name)).size).toBe(bugs.length);
});

const edits = [
  ...bugs.map(({ name, edits }) => [name, edits] as const),
  ...Object.entries(faults).map(([name, edit]) => [name, [edit]] as const),
];

test.each(edits)("%s: the text to replace is there once", (_, some) => {
  for (const { file, find, replace } of some) {
    expect(readFileSync(join(root, file), "utf8").split(find).length - 1, `${file}: ${find}`).toBe(1);
    expect(replace).not.toBe(find);
  }
});

test("every rule that is to find a bug exists", () => {
  for (const { caughtBy } of bugs) for (const rule of caughtBy) expect(Object.keys(rules)).toContain(rule);
});

test("a bug is planted in the copy, and the checkout stays as it is", () => {
  const [bug] = bugs;
  const [edit] = bug?.edits ?? [];
  if (!edit) throw new Error("the first bug changes nothing");
  const copy = mkdtempSync(join(tmpdir(), "souk-copy-"));
  try {
    const before = readFileSync(join(root, edit.file), "utf8");
    copyCheckout(root, copy);
    apply(copy, [edit]);
    expect(readFileSync(join(copy, edit.file), "utf8")).toBe(before.replace(edit.find, () => edit.replace));
    expect(readFileSync(join(root, edit.file), "utf8")).toBe(before);
    // A service of the copy finds the packages of the copy.
    const found = Bun.resolveSync("drizzle-outbox", join(copy, "services/orders"));
    expect(found.startsWith(join(copy, "packages"))).toBe(true);
    expect(() => apply(copy, [edit])).toThrow("the code has moved on");
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
});
