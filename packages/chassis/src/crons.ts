import { type Change, type Db, type Job, type Outbox, outboxTables, schema } from "drizzle-outbox";
import { type Callback, onBinding } from "hono-dapr";
import { integer } from "./config.ts";
import type { Kit } from "./kit.ts";
import type { Metrics } from "./metrics.ts";
import type { JobHandler, Service } from "./service.ts";
import { traceOf } from "./trace.ts";
import { traced } from "./traced.ts";

/** The job that does what a tick asks for; its key is the name of the schedule. */
export const cronJob = "cron";

/** Where a sidecar posts a tick: the `route` of its component. No access policy lets another app call it. */
export const cronRoute = (name: string): string => `/_crons/${name}`;

/** A time that a schedule has reached. */
export interface Tick {
  name: string;
  /** Ms since the epoch: the minute in which it was reached. The same for all sidecars, and at every try. */
  at: number;
}

/**
 * Does what is due; its change is committed together with the end of the run. What it throws is tried again, by one
 * replica at a time, until it is done; ticks that come meanwhile are taken to be answered by that.
 */
export type CronHandler<S> = (tick: Tick, kit: Kit<S>) => Promise<Change | undefined> | Change | undefined;

interface Surroundings<S> {
  kit: Kit<S>;
  metrics: Metrics;
  /** Of a service with a store. */
  data: { db: Db; box: Outbox } | undefined;
}

/** How ticks come into a service, and what does their work. */
export interface Crons<S> {
  callbacks: Callback[];
  /** The handler of {@link cronJob}. */
  run: JobHandler<S>;
}

/**
 * Each sidecar of a service ticks by itself. A tick is noted down in the inbox under its minute, together with a job:
 * the first sidecar's counts, and is on disk before it is answered.
 * @throws {Error} when a service that keeps nothing on disk has crons
 */
export function crons<S>(definition: Service<S>, surroundings: Surroundings<S>): Crons<S> {
  const { kit, metrics, data } = surroundings;
  const handlers = definition.crons ?? {};
  const names = Object.keys(handlers);
  if (names.length > 0 && !data)
    throw new Error(`${definition.name} has crons, and no store: nothing would keep them to one run`);
  const slot = integer(kit.config, "CRON_SLOT_MS", 60_000);

  async function tick(name: string, headers: Headers): Promise<void> {
    if (!data) return;
    const reached = firedAt(headers) ?? kit.now();
    const at = reached - (reached % slot);
    const job: Job = { kind: cronJob, key: name, at: kit.now(), data: { at } };
    const id = new Date(at).toISOString();
    const result = await data.box.once(id, `cron ${name}`, async () =>
      (await pendingRun(data.db, name))
        ? undefined
        : traced({ jobs: [job] }, traceOf(headers.get("traceparent") ?? undefined)),
    );
    metrics.reactions.inc({ type: `cron ${name}`, result });
  }

  return {
    callbacks: names.map((name) =>
      onBinding(name, (_, headers) => tick(name, headers), { route: cronRoute(name) }),
    ),
    async run({ key: name, data: kept }) {
      const handle = handlers[name];
      if (!handle) {
        kit.log.warn({ cron: name }, "a cron that this version does not know was left out");
        return undefined;
      }
      return handle({ name, at: (kept as { at: number }).at }, kit);
    },
  };
}

/** The run that a tick began, until it has ended. */
export const pendingRun = (db: Db, name: string) =>
  db.find(tables.for(db.dialect).outboxJobs, { kind: cronJob, key: name });

const tables = schema(outboxTables);

/** When the schedule of a sidecar was reached, as Dapr's cron component says: `2026-07-29 03:00:00.000123 +0000 UTC m=+5.1`. */
function firedAt(headers: Headers): number | undefined {
  const said = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d{1,3})?)/.exec(headers.get("readtimeutc") ?? "");
  const at = said ? Date.parse(`${said[1]}T${said[2]}Z`) : Number.NaN;
  return Number.isNaN(at) ? undefined : at;
}
