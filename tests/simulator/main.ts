import { parseArgs } from "node:util";
import { Progress } from "../../packages/souk/src/progress.ts";
import { bugs } from "./bugs.ts";
import { planOf } from "./draw.ts";
import { firstFailure } from "./pool.ts";
import { report } from "./report.ts";
import { simulate } from "./simulate.ts";

const usage = `npm run simulate -- [options]

  --seeds N     simulate N seeds, 2000 when nothing is said
  --from N      the first of them; drawn when nothing is said, so that each run looks at others
  --seed N      simulate one seed; when it fails, show the least that leads to it
  --trace       with --seed: show all that happens
  --shuffled    compare each seed with itself, every event three times and shuffled
  --bug NAME    plant a bug first: a part of its name will do
`;

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "2000" },
    from: { type: "string" },
    seed: { type: "string" },
    trace: { type: "boolean", default: false },
    shuffled: { type: "boolean", default: false },
    bug: { type: "string" },
    help: { type: "boolean", default: false },
  },
});

function whole(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0)
    throw new Error(`--${name} must be a whole number, not "${text}"`);
  return value;
}

async function main(): Promise<number> {
  if (values.help) {
    process.stdout.write(usage);
    return 0;
  }
  const bug = bugs.find(({ name }) => values.bug !== undefined && name.includes(values.bug));
  if (values.bug !== undefined && !bug)
    throw new Error(
      `There is no bug "${values.bug}". There are:\n${bugs.map(({ name }) => `  ${name}`).join("\n")}`,
    );
  if (values.seed !== undefined) {
    const seed = whole("seed", values.seed);
    const { violations, trace, hash } = await simulate(planOf(seed), bug);
    if (values.trace) process.stdout.write(`${trace.join("\n")}\n`);
    const failed = violations.length > 0;
    if (failed && !values.trace) process.stdout.write(`${await report(seed, bug)}\n`);
    else process.stdout.write(`seed ${seed}: ${violations[0] ?? "all is well"} (${hash})\n`);
    return failed ? 1 : 0;
  }
  const count = whole("seeds", values.seeds);
  const from = values.from === undefined ? Math.floor(Math.random() * 1e9) : whole("from", values.from);
  const check = values.shuffled ? "shuffled" : "trouble";
  const progress = new Progress("simulating", count, "seeds");
  const started = performance.now();
  let done = 0;
  const first = await firstFailure({
    check,
    from,
    count,
    bug: bug?.name,
    done() {
      done++;
      progress.step();
    },
  });
  progress.end();
  const rate = Math.round(done / ((performance.now() - started) / 60_000));
  process.stdout.write(`${done} seeds from ${from} on, ${rate} a minute\n`);
  if (!first) {
    process.stdout.write("all is well\n");
    return 0;
  }
  const told =
    check === "trouble" ? await report(first.seed, bug) : `seed ${first.seed}: ${first.violations[0]}`;
  process.stdout.write(`${told}\n`);
  return 1;
}

process.exit(
  await main().catch((error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
    return 2;
  }),
);
