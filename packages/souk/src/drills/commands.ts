import { type Command, InvalidArgumentError } from "commander";
import { newSeed } from "../chaos/random.ts";
import { brokerDown } from "./broker-down.ts";
import { flashSale } from "./flash-sale.ts";
import { type Ground, Missed, onGround } from "./ground.ts";
import { overload } from "./overload.ts";
import { soak } from "./soak.ts";
import { triple } from "./triple.ts";
import { type Outcome, render, verdictOf } from "./verdict.ts";

type Drill = (signal: AbortSignal, say: (text: string) => void) => Promise<Outcome>;

/** Registers `drill`: each starts a shop of its own, and ends with exit code 1 when something is not as it should be. */
export function drillCommand(program: Command): void {
  const drills = program.command("drill").description("put a shop of its own to a hard test");

  drill(drills, "flash-sale", "500 buyers at once for 50 units: exactly 50 are sold, every time")
    .option("--rounds <n>", "how often, each time for another product", positive, 100)
    .action(({ rounds, json }) => inShop("flash-sale", json, (ground) => flashSale(ground, rounds)));

  drill(
    drills,
    "broker-down",
    "the broker is away while customers buy: all can, and all is done when it is back",
  )
    .option("--seconds <n>", "how long it is away", positive, 120)
    .option("--rate <n>", "orders a second", positive, 50)
    .action(({ seconds, rate, json }) =>
      inShop("broker-down", json, (ground) => brokerDown(ground, { seconds, perSecond: rate })),
    );

  drill(
    drills,
    "overload",
    "far more customers than it can serve: it refuses quickly and finishes what it took",
  )
    .option("--seconds <n>", "how long", positive, 30)
    .action(({ seconds, json }) => inShop("overload", json, (ground) => overload(ground, seconds)));

  drill(
    drills,
    "soak",
    "half of what it can do, for long: it does not grow, leaks nothing and stays as quick",
  )
    .option("--minutes <n>", "how long", positive, 30)
    .option("--rate <n>", "orders a second (default: half of what it can do, measured first)", positive)
    .action(({ minutes, rate, json }) =>
      inShop("soak", json, (ground) => soak(ground, { minutes, perSecond: rate })),
    );

  drill(drills, "triple", "every event three times and out of order: the shop ends as without")
    .option("--orders <n>", "of the retail sample", positive, 1_000)
    .option("--seed <text>", "repeats the order of an earlier drill")
    .action(({ orders, seed = newSeed(), json }) =>
      conduct("triple", json, (signal, say) => triple(signal, say, { orders, seed })),
    );
}

const drill = (drills: Command, name: string, description: string): Command =>
  drills.command(name).description(description).option("--json", "print the verdict as JSON");

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidArgumentError("It must be a whole number from 1.");
  return value;
}

const inShop = (name: string, json: boolean, run: (ground: Ground) => Promise<Outcome>): Promise<void> =>
  conduct(name, json, (signal, say) => onGround(signal, say, run));

/** Runs a drill to its verdict; Ctrl-C stops it and whatever it has started. */
async function conduct(name: string, json: boolean, run: Drill): Promise<void> {
  const stop = new AbortController();
  const onSignal = () => stop.abort(new Error("interrupted"));
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, onSignal);
  const began = performance.now();
  const outcome = await run(stop.signal, (text) => process.stderr.write(`${text}\n`)).catch(
    (error): Outcome => {
      if (!(error instanceof Missed)) throw error;
      return { failures: [error.message], slow: [], figures: {} };
    },
  );
  const verdict = verdictOf(name, outcome, (performance.now() - began) / 1000);
  process.stdout.write(json ? `${JSON.stringify(verdict, null, 2)}\n` : render(verdict));
  process.exitCode = verdict.passed ? 0 : 1;
}
