import type { Bug } from "./bug.ts";
import { planOf } from "./draw.ts";
import type { Plan } from "./plan.ts";
import { shrink } from "./shrink.ts";

/** What is told of a seed that fails: what is wrong, the least that leads to it, and how to see it again. */
export async function report(seed: number, bug?: Bug): Promise<string> {
  const {
    plan,
    result: { violations, trace },
  } = await shrink(planOf(seed), bug);
  if (violations.length === 0) return `seed ${seed}: all is well`;
  return [
    `seed ${seed}: ${violations[0]}`,
    "",
    "The least that leads to it:",
    ...settings(plan),
    "",
    ...trace,
    "",
    "Again, with all that happened in this seed:",
    `  npm run simulate -- --seed ${seed} --trace${bug ? ` --bug ${JSON.stringify(bug.name)}` : ""}`,
  ].join("\n");
}

function settings({ commands, faults, network, deadline, providerTimeout }: Plan): string[] {
  const line = ({ at, ...what }: { at: number }) =>
    `  ${(at / 1000).toFixed(3).padStart(7)}  ${JSON.stringify(what)}`;
  return [
    `  deadline ${deadline} ms, time-out of the provider ${providerTimeout} ms`,
    `  network ${JSON.stringify(network)}`,
    ...commands.map(line),
    ...faults.map(line),
  ];
}
