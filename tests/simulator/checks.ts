import type { Bug } from "./bug.ts";
import { planOf } from "./draw.ts";
import { peaceful, shuffled } from "./peaceful.ts";
import { calm } from "./plan.ts";
import { simulate } from "./simulate.ts";

/** What to find out about a seed. @returns what is wrong, nothing when all is well */
export type Check = (seed: number, bug?: Bug) => Promise<string[]>;

export const checks = {
  /** A day of trouble, drawn from the seed. */
  async trouble(seed, bug) {
    return (await simulate(planOf(seed), bug)).violations;
  },

  /** The same once more: nothing may differ. */
  async replay(seed, bug) {
    const [first, second] = [await simulate(planOf(seed), bug), await simulate(planOf(seed), bug)];
    if (first.hash === second.hash) return [];
    const at = first.trace.findIndex((line, i) => line !== second.trace[i]);
    return [`two runs differ: ${first.trace[at] ?? "the stores"} and ${second.trace[at] ?? "the stores"}`];
  },

  /** Every event once and in time, or three times and shuffled: the same in the end. */
  async shuffled(seed, bug) {
    const plain = await simulate(peaceful(seed, calm), bug);
    const other = await simulate(peaceful(seed, shuffled), bug);
    const found = [...plain.violations, ...other.violations];
    for (const [app, lines] of Object.entries(plain.stores)) {
      const others = other.stores[app as keyof typeof other.stores];
      const at = lines.findIndex((line, i) => line !== others[i]);
      if (at >= 0 || lines.length !== others.length)
        found.push(`${app} keeps ${lines[at]} and ${others[at]}`);
    }
    return found;
  },
} satisfies Record<string, Check>;
