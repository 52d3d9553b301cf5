import { type Command, InvalidArgumentError, Option } from "commander";
import { Progress } from "../progress.ts";
import { readProject } from "../project.ts";
import { dim, red, reporter, yellow } from "../terminal.ts";
import { bugsCommand } from "./bugs/commands.ts";
import { newSeed } from "./random.ts";
import { commandOf, render, reportOf } from "./report.ts";
import { type ChaosOptions, runChaos, type Tell } from "./run.ts";

interface Options {
  orders: number;
  kills: number;
  seed?: string;
  broker: "redis";
  store: "sqlite" | "postgres";
  duration?: number;
  spare: string[];
  home?: string;
  keep?: boolean;
  json?: boolean;
}

const print = (text: string) => process.stderr.write(`${text}\n`);

/** Registers `chaos`. */
export function chaosCommand(program: Command, { root }: { root: string }): void {
  const command = program
    .command("chaos")
    .description("kill a shop of its own all day long, and check that nothing is lost")
    .option("--orders <n>", "customers who come to order", count, 1_000)
    .option("--kills <n>", "faults: kill -9, freezes (SIGSTOP) and cut-off connections", whole, 25)
    .option(
      "--seed <seed>",
      "decides customers, faults and times (default: a new one, which is printed)",
      name,
    )
    .addOption(new Option("--broker <broker>", "what carries the events").default("redis").argParser(broker))
    .addOption(
      new Option("--store <store>", "where services keep their data")
        .choices(["sqlite", "postgres"])
        .default("sqlite"),
    )
    .option("--duration <seconds>", "how long they come (default: 25 orders a second, 2 s a fault)", count)
    .option(
      "--spare <names>",
      "never hurt: a service with its sidecar, <service>-sidecar, redis, sentry, postgres",
      (text: string) => text.split(",").filter(Boolean),
      [],
    )
    .option(
      "--home <folder>",
      "an empty folder for the shop, which is kept (default: a new one in the temporary folder)",
    )
    .option("--keep", "keep that folder also when everything holds")
    .option("--json", "the verdict as JSON on standard output")
    .addHelpText("after", help)
    .action((options: Options) => chaos(root, options));
  bugsCommand(command, root);
}

const help = `
Starts a shop on free ports in a folder of its own. Customers browse, order, cancel, ask again when no answer comes;
real sales are among them; staff change prices and stock. Meanwhile services, sidecars, Redis, Sentry and the
database server are killed, frozen, and cut off from each other. Then it waits until every order is final, and checks
the stores, the ledger, the payment provider's book and what clients were told. Exit code 1 if anything is wrong;
then the folder is kept, with the history of every order concerned.

  npx souk chaos                                        1,000 orders, 25 faults
  npx souk chaos --orders 20000 --kills 300 --seed 7    the long one
  npx souk chaos --store postgres --spare identity      PostgreSQL is hurt, too; identity is not

See docs/chaos.md.`;

async function chaos(root: string, given: Options): Promise<void> {
  known(root, given.spare);
  const stop = new AbortController();
  const onSignal = () => {
    if (!stop.signal.aborted) print(`\n${dim("stopping …")}`);
    stop.abort(new Stopped());
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, onSignal);
  const seconds = given.duration ?? Math.max(given.orders / 25, given.kills * 2, 1);
  const options: ChaosOptions = {
    root,
    home: given.home,
    orders: given.orders,
    kills: given.kills,
    seed: given.seed ?? newSeed(),
    store: given.store,
    ms: seconds * 1000,
    spare: given.spare,
    keep: given.keep ?? false,
    signal: stop.signal,
    report: reporter(print),
    tell: teller(given.orders),
  };
  try {
    print(dim(`seed ${options.seed}`));
    const outcome = await runChaos(options);
    const report = reportOf(outcome);
    if (given.json) process.stdout.write(`${JSON.stringify(report)}\n`);
    (given.json ? print : (text: string) => process.stdout.write(`${text}\n`))(render(report, outcome));
    if (!report.holds) process.exitCode = 1;
  } catch (error) {
    print(`${yellow(`seed ${options.seed}`)}  again: ${commandOf(options)}`);
    if (!(error instanceof Stopped)) throw error;
    print(red("stopped before there was a verdict"));
    process.exitCode = 130;
  }
}

class Stopped extends Error {}

function teller(orders: number): Tell {
  let progress: Progress | undefined;
  return {
    phase: (text) => print(dim(text)),
    fault: (text) => progress?.note(text),
    customer() {
      progress ??= new Progress("chaos", orders, "orders");
      progress.step();
    },
    closed: () => progress?.end(),
  };
}

/** @throws {Error} for a name to spare that nothing has */
function known(root: string, spare: string[]): void {
  const services = readProject(root).apps.map(({ id }) => id);
  const names = [...services, ...services.map((id) => `${id}-sidecar`), "redis", "sentry", "postgres"];
  const unknown = spare.find((each) => !names.includes(each));
  if (unknown !== undefined)
    throw new Error(`--spare: there is no ${unknown}. There are ${names.join(", ")}.`);
}

function whole(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError("It must be a whole number.");
  return Number(text);
}

function count(text: string): number {
  const value = whole(text);
  if (value === 0) throw new InvalidArgumentError("It must be at least 1.");
  return value;
}

function name(text: string): string {
  if (!/^[\w.-]{1,64}$/.test(text))
    throw new InvalidArgumentError("It must be letters, digits, dots and dashes, 64 at most.");
  return text;
}

function broker(text: string): string {
  if (text !== "redis")
    throw new InvalidArgumentError("The only broker a shop can be started with is redis.");
  return text;
}
