import type { Bug } from "./bug.ts";
import { calm, type Network, type Plan } from "./plan.ts";
import { type Result, simulate } from "./simulate.ts";

/**
 * Takes out of a plan what its failure does not need: orders, faults, troubles of the network.
 * @param tries most simulations to spend on it
 */
export async function shrink(
  plan: Plan,
  bug: Bug | undefined,
  tries = 300,
): Promise<{ plan: Plan; result: Result }> {
  let best = { plan, result: await simulate(plan, bug) };
  let left = tries;
  const attempt = async (smaller: Plan): Promise<boolean> => {
    if (left-- <= 0) return false;
    const result = await simulate(smaller, bug);
    if (result.violations.length === 0) return false;
    best = { plan: smaller, result };
    return true;
  };
  for (let before = ""; before !== JSON.stringify(best.plan) && left > 0; ) {
    before = JSON.stringify(best.plan);
    for (const list of ["faults", "commands"] as const) {
      for (let size = best.plan[list].length; size >= 1; size = Math.floor(size / 2))
        for (let from = 0; from < best.plan[list].length; ) {
          const rest = [...best.plan[list]];
          rest.splice(from, size);
          if (!(await attempt({ ...best.plan, [list]: rest } as Plan))) from += size;
        }
    }
    for (const name of Object.keys(calm) as (keyof Network)[])
      if (best.plan.network[name] !== calm[name])
        await attempt({ ...best.plan, network: { ...best.plan.network, [name]: calm[name] } });
    if (Object.keys(best.plan.skew).length > 0) await attempt({ ...best.plan, skew: {} });
  }
  return best;
}
