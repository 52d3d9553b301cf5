import { mkdirSync } from "node:fs";
import { join } from "node:path";
import {
  type Db,
  migrate,
  type Outbox,
  openPostgres,
  openSqlite,
  outbox,
  StorageUnavailable,
  type StoredEvent,
} from "drizzle-outbox";
import type { Sidecar } from "hono-dapr";
import { type Config, integer } from "./config.ts";
import { cloudEvent } from "./emit.ts";
import { idempotencyStore, type idempotencyTable } from "./idempotency.ts";
import type { Unit } from "./kit.ts";
import type { Log } from "./log.ts";
import type { Metrics } from "./metrics.ts";
import { TooEarly } from "./reactions.ts";
import type { Sealed } from "./sealed.ts";
import { seldom } from "./seldom.ts";
import type { Service } from "./service.ts";
import { traced } from "./traced.ts";

/** What a service keeps on disk, opened. */
export interface Data<S> {
  db: Db;
  box: Outbox;
  store: S;
  unit: Unit;
}

interface Surroundings {
  config: Config;
  sidecar: Sidecar;
  log: Log;
  now(): number;
  metrics: Metrics;
  sealed: Sealed;
  db: Db | undefined;
}

/** Opens a service's database, brings it up to date, and puts the outbox on it. */
export async function openData<S>(
  definition: Service<S>,
  { config, sidecar, log, now, metrics, sealed, db: given }: Surroundings,
): Promise<Data<S>> {
  const { store: declared } = definition;
  if (!declared) throw new Error(`${definition.name} has no store`);
  const db = given ?? (await open(config));
  if (!given) await migrate(db, join(process.cwd(), "migrations"));
  const tell = seldom(1_000, now);
  const box = outbox(db, {
    send: (events) => send(events, config.name, sidecar),
    clock: now,
    retain: { sent: integer(config, "RETAIN_SENT_EVENTS_MS", 0) },
    onStorage(trouble) {
      if (trouble) log.error({ storage: trouble.reason }, trouble.message);
      else log.info("the database stores again");
    },
    onError(error, about) {
      if (StorageUnavailable.of(error)) return; // Said once, when it begins.
      // Without a broker every event fails every two seconds, and there may be thousands.
      const alike = tell(String(error));
      if (alike === undefined) return;
      log[error instanceof TooEarly ? "info" : "warn"](
        { err: String(error), ...describe(about), ...(alike > 0 ? { alike } : {}) },
        "will be tried again",
      );
    },
  });
  metrics.watch(async () => ({ ...(await box.pending()), deadLetters: await box.deadLetters.count() }));
  const table = idempotencyTableOf(declared.tables.for(db.dialect));
  const unit: Unit = {
    commit: (change, trace) => box.commit(traced(change, trace) ?? {}),
    idempotency: idempotencyStore(table, (id) => db.find(table, { id }), {
      now,
      sealed: definition.seals ? sealed : undefined,
    }),
    deadLetters: box.deadLetters,
  };
  return { db, box, store: declared.open(db, sealed), unit };
}

async function open(config: Config): Promise<Db> {
  if (config.databaseUrl) return openPostgres(config.databaseUrl);
  mkdirSync(config.dataDir, { recursive: true, mode: 0o700 });
  return openSqlite(join(config.dataDir, `${config.name}.db`));
}

type IdempotencyTable = ReturnType<typeof idempotencyTable>;

function idempotencyTableOf(tables: Record<string, unknown>): IdempotencyTable {
  if (!tables.idempotency) throw new Error("the store was not made by defineStore");
  return tables.idempotency as IdempotencyTable;
}

/** Hands committed events to the broker, topic by topic. */
async function send(
  events: StoredEvent[],
  source: string,
  sidecar: Sidecar,
): Promise<{ failed: { id: string; error: unknown }[] }> {
  const byTopic = Map.groupBy(events, (event) => event.topic);
  const results = await Promise.all(
    [...byTopic].map(async ([topic, some]) => {
      try {
        return (
          await sidecar.publishEvents(
            topic,
            some.map((event) => cloudEvent(event, source)),
          )
        ).failed;
      } catch (error) {
        // One topic's trouble must not hold back the others.
        return some.map(({ id }) => ({ id, error }));
      }
    }),
  );
  return { failed: results.flat() };
}

function describe({
  event,
  job,
}: {
  event?: StoredEvent;
  job?: { kind: string; key: string; attempt: number };
}) {
  return event ? { event: event.id, type: event.type } : { job };
}

/** Forgets the answers kept for Idempotency-Keys that are old enough. */
export async function forget(unit: Unit, log: Log, at: number): Promise<void> {
  try {
    await unit.commit({ writes: [unit.idempotency.forget(at)] }, "");
  } catch (error) {
    if (error instanceof StorageUnavailable) return;
    log.warn({ err: String(error) }, "old idempotency keys were not forgotten; they will be in a minute");
  }
}

/** Of a service that keeps nothing on disk. */
export const noUnit: Unit = {
  commit: async () => {
    throw new Error("a service without a store commits nothing");
  },
  get idempotency(): never {
    throw new Error("a service without a store keeps no answers");
  },
  get deadLetters(): never {
    throw new Error("a service without a store keeps no dead letters");
  },
};
