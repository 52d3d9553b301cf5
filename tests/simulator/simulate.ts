import { faults } from "../../packages/drizzle-outbox/src/faults.ts";
import { atEnd } from "./at-end.ts";
import { Broker } from "./broker.ts";
import type { Bug } from "./bug.ts";
import { Clients } from "./clients.ts";
import type { Subscription } from "./delivery.ts";
import { type App, apps, type Fault, type Plan } from "./plan.ts";
import { Dead, type Incarnation, Process } from "./process.ts";
import { provide } from "./provider.ts";
import { Random } from "./random.ts";
import { type Shop, stores } from "./shop.ts";
import { subscriptions } from "./subscriptions.ts";
import { surround } from "./surroundings.ts";
import { tickAll } from "./ticking.ts";
import { Watch } from "./watch.ts";
import { World } from "./world.ts";

/** What came of one simulation. */
export interface Result {
  /** What should not have been; empty when all is well. */
  violations: string[];
  /** What happened, in order. */
  trace: string[];
  /** Of the trace and of all that is stored at the end: the same for the same plan. */
  hash: string;
  /** What the services keep at the end, as it can be compared between runs: without times. */
  stores: Record<App, string[]>;
  /** Things that happened, and ms that went by in the simulation. */
  happened: number;
  elapsed: number;
}

/** Ms after the last fault in which every order must be final, and nothing be on its way any more. */
const comesToRest = 120_000;
/** More things than this do not happen in a shop that works. */
const most = 400_000;

let topics: ReadonlyMap<App, Subscription[]> | undefined;

/** Lets happen what is planned, in a shop of its own. */
export async function simulate(plan: Plan, bug?: Bug): Promise<Result> {
  topics ??= await subscriptions(plan);
  return run(plan, topics, bug);
}

async function run(
  plan: Plan,
  subscribed: ReadonlyMap<App, Subscription[]>,
  bug: Bug | undefined,
): Promise<Result> {
  const world = new World(plan);
  const processes = new Map<App, Process>();
  const broker = new Broker(world, processes, subscribed, bug);
  for (const app of apps) processes.set(app, new Process(app, world, broker, bug));
  const restore = surround(world.clock, new Random(plan.seed).fork("surroundings"));
  const book = provide(world, processes.get("payments") as Process, bug);
  const rejected = (error: unknown) => {
    if (!(error instanceof Dead)) world.violate(`a promise was rejected and nobody heard: ${error}`);
  };
  process.on("unhandledRejection", rejected);
  faults.at = (point) => (world.clock.current as Incarnation | undefined)?.step("at", point);
  try {
    const clients = new Clients(world, processes);
    const shop: Shop = { world, processes, broker, clients, book };
    const watch = new Watch(shop);
    for (const service of processes.values()) service.start();
    tickAll(shop);
    for (const fault of plan.faults) world.clock.after(fault.at, undefined, () => strike(shop, fault));
    await untilAtRest(shop, watch);
    if (world.violations.length === 0) atEnd(shop);
    return resultOf(shop);
  } finally {
    faults.at = undefined;
    process.off("unhandledRejection", rejected);
    restore();
    book.close();
    for (const { disk } of processes.values()) disk.close();
  }
}

async function untilAtRest(shop: Shop, watch: Watch): Promise<void> {
  const { world } = shop;
  let look = 0;
  while (world.violations.length === 0) {
    try {
      if (!(await world.clock.next())) return world.violate("nothing happens any more");
    } catch (error) {
      return world.violate(`an exception was not caught: ${error instanceof Error ? error.stack : error}`);
    }
    watch.look();
    if (world.elapsed < look || !world.quiet) continue;
    look = world.elapsed + 250;
    const open = unrest(shop);
    if (open === undefined) return;
    const late = world.elapsed > world.plan.quietAt + comesToRest;
    if (late || world.clock.happened > most)
      return world.violate(
        `${Math.round((world.elapsed - world.plan.quietAt) / 1000)} s after the last fault ${open}`,
      );
  }
}

/** What is still under way; `undefined` when nothing is. */
function unrest({ clients, broker, processes }: Shop): string | undefined {
  const [busy] = clients.busy;
  if (busy) return `${busy} has no answer`;
  if (broker.waiting > 0) return `${broker.waiting} events are not acknowledged`;
  for (const { app, disk } of processes.values()) {
    const [row] = disk.rows<{ events: number; jobs: number }>(
      "select (select count(*) from outbox_events) as events, (select count(*) from outbox_jobs) as jobs",
    );
    if (row?.events) return `${row.events} events are in the outbox of ${app}`;
    if (row?.jobs) return `${row.jobs} jobs of ${app} are not done`;
  }
  return undefined;
}

function strike({ world, processes }: Shop, fault: Fault): void {
  if (fault.do === "outage") {
    world.say("broker", `IS DOWN for ${fault.ms} ms`);
    world.outageUntil = Math.max(world.outageUntil, world.clock.now + fault.ms);
    return;
  }
  const process = processes.get(fault.app) as Process;
  const { incarnation } = process;
  switch (fault.do) {
    case "crash":
      if (!incarnation?.alive) return;
      Object.assign(incarnation, { fuse: fault.steps, power: fault.power, down: fault.down });
      if (fault.steps === 0) process.kill("between two things");
      return;
    case "freeze":
      if (!incarnation?.alive) return;
      world.say(fault.app, `IS STOPPED for ${fault.ms} ms`);
      incarnation.frozenUntil = world.clock.now + fault.ms;
      return;
    case "restart":
      process.restart(fault.down);
      return;
    case "disk-errors":
      process.failDisk(fault.ms, fault.share);
      return;
    default:
      fault satisfies never;
  }
}

function resultOf(shop: Shop): Result {
  const { world } = shop;
  const kept = stores(shop);
  const all = [...world.trace, ...Object.values(kept).flat()].join("\n");
  return {
    violations: world.violations,
    trace: world.trace,
    hash: Bun.hash(all).toString(16),
    stores: kept,
    happened: world.clock.happened,
    elapsed: world.elapsed,
  };
}
