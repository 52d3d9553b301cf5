import { expect, test } from "bun:test";
import { resolve } from "node:path";
import { runAll } from "../src/chaos/bugs/all.ts";
import { render } from "../src/chaos/bugs/commands.ts";
import { bugs } from "../src/chaos/bugs/planted.ts";

const root = resolve(import.meta.dir, "../../..");

test(
  "the checker finds every planted bug, and nothing in a shop without one",
  async () => {
    const found = await runAll(root, [undefined, ...bugs], ({ name, right, verdict }) => {
      if (!right) console.error(name, JSON.stringify(verdict.violations.slice(0, 20), null, 2));
    });
    console.log(render(found));
    expect(found.filter(({ right }) => !right).map(({ name }) => name)).toEqual([]);
    expect(found).toHaveLength(bugs.length + 1);
  },
  15 * 60_000,
);
