import { expect, test } from "bun:test";
import { resolve } from "node:path";
import { runAll } from "../src/chaos/bugs/all.ts";
import { render } from "../src/chaos/bugs/commands.ts";
import { bugs } from "../src/chaos/bugs/planted.ts";

const root = resolve(import.meta.dir, "../../..");

/** Planted whatever else finds by their rule: what an outbox, an inbox, stock and keys are there to prevent. */
const always = ["dropped-row", "inbox-forgets", "oversell", "ignored-key"];
const covered = new Set<string>();
const planted = bugs.filter(({ name, caughtBy }) => {
  const before = covered.size;
  for (const rule of caughtBy) covered.add(rule);
  return covered.size > before || always.includes(name);
});

test(
  "the checker finds a planted bug of every kind, and nothing in a shop without one",
  async () => {
    const found = await runAll(root, [undefined, ...planted], ({ name, right, verdict }) => {
      if (!right) console.error(name, JSON.stringify(verdict.violations.slice(0, 20), null, 2));
    });
    console.log(render(found));
    expect(found.filter(({ right }) => !right).map(({ name }) => name)).toEqual([]);
    expect(found).toHaveLength(planted.length + 1);
    expect(planted.length).toBeGreaterThanOrEqual(20);
  },
  15 * 60_000,
);
