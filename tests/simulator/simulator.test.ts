import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { bugs } from "./bugs.ts";
import { planOf } from "./draw.ts";
import { firstFailure } from "./pool.ts";
import { report } from "./report.ts";
import kept from "./seeds.json";
import { shrink } from "./shrink.ts";
import { simulate } from "./simulate.ts";

setDefaultTimeout(600_000);

const wrong = async (seed: number) => {
  const { violations } = await simulate(planOf(seed));
  return violations.length > 0 ? report(seed) : "";
};

describe("the shop, simulated", () => {
  for (const { seed, found } of kept)
    test(`seed ${seed}, which once found: ${found}`, async () => {
      expect(await wrong(seed)).toBe("");
    });

  test("2,000 seeds of crashes, outages and an unruly broker: nothing lost, oversold or charged twice", async () => {
    const first = await firstFailure({ check: "trouble", from: 1, count: 2_000 });
    expect(first ? await report(first.seed) : "").toBe("");
  });

  test("every event delivered three times and shuffled: the same final state of all stores", async () => {
    expect(await firstFailure({ check: "shuffled", from: 1, count: 100 })).toBeUndefined();
  });
});

describe("the simulator", () => {
  test("replays a seed exactly", async () => {
    expect(await firstFailure({ check: "replay", from: 1, count: 100 })).toBeUndefined();
  });

  for (const { name } of bugs)
    test(`finds ${name}`, async () => {
      expect(await firstFailure({ check: "trouble", from: 1, count: 400, bug: name })).toBeDefined();
    });

  test("shows the least that leads to a failure", async () => {
    const bug = bugs.find(({ rewrite }) => rewrite !== undefined);
    const found = await firstFailure({ check: "trouble", from: 1, count: 400, bug: bug?.name });
    const plan = planOf(found?.seed ?? 0);
    const small = await shrink(plan, bug);
    expect(small.result.violations).not.toEqual([]);
    expect(small.plan.commands.length).toBeLessThan(plan.commands.length);
    const told = await report(plan.seed, bug);
    expect(told).toContain(small.result.violations[0] as string);
    expect(told).toContain(`npm run simulate -- --seed ${plan.seed} --trace`);
  });
});
