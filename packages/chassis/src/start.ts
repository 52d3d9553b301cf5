import { randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import {
  type Change,
  type Db,
  migrate,
  type Outbox,
  openPostgres,
  openSqlite,
  outbox,
  StorageUnavailable,
  type StoredEvent,
  steady,
} from "drizzle-outbox";
import { dapr, type Sidecar } from "hono-dapr";
import { requireStatements } from "./access.ts";
import { createApp } from "./app.ts";
import { type Verify, verifier } from "./auth.ts";
import { type Config, integer, readConfig } from "./config.ts";
import { cronJob, crons } from "./crons.ts";
import { routesOf } from "./dead-letters.ts";
import { cloudEvent } from "./emit.ts";
import { fieldKeys } from "./field-keys.ts";
import { idempotencyStore, type idempotencyTable } from "./idempotency.ts";
import { inbound, retryJob } from "./inbound.ts";
import { issuersOf } from "./issuers.ts";
import type { Env, Kit, Unit } from "./kit.ts";
import { type Listening, listen } from "./listen.ts";
import { createLog, type Log } from "./log.ts";
import { createMetrics, type Metrics } from "./metrics.ts";
import { resealJob } from "./resealing.ts";
import { createSealed, type Sealed } from "./sealed.ts";
import { seldom } from "./seldom.ts";
import type { Service } from "./service.ts";
import { traceOf } from "./trace.ts";

/** A service that runs in this process. */
export interface Running<S> {
  kit: Kit<S>;
  /** What the sidecar calls. */
  fetch(request: Request): Promise<Response>;
  /** What the public calls, where the service has such a face. */
  edge?(request: Request, env?: Env<S>["Bindings"]): Promise<Response>;
  box?: Outbox;
  /** Ends what goes on for as long as somebody listens: they come back elsewhere. */
  leave(): void;
  /** Takes nothing new, finishes what is under way, sends what is committed, closes the database. */
  stop(): Promise<void>;
}

/** What a test puts in the place of the real thing. */
export interface Parts {
  config?: Config;
  sidecar?: Sidecar;
  db?: Db;
  log?: Log;
  now?: () => number;
  id?: () => string;
  verify?: Verify;
  /** The service's folder; else the one that this runs in. */
  folder?: string;
}

/** Puts a service together: database, outbox, subscriptions, routes. Listens to nothing yet. */
export async function compose<S>(definition: Service<S>, parts: Parts = {}): Promise<Running<S>> {
  requireStatements(definition.name, routesOf(definition), ...(definition.edge ? [definition.edge] : []));
  const config = parts.config ?? readConfig(definition.name);
  const log = parts.log ?? createLog(config);
  const sidecar = parts.sidecar ?? dapr({ appId: config.name, appToken: config.appToken });
  const now = parts.now ?? Date.now;
  const metrics = createMetrics(config.name);
  const verify = parts.verify ?? verifier(issuersOf(config, sidecar), now);

  const closing = new AbortController();
  const load = (secret: string) => () => sidecar.secrets("secrets").get(secret);
  const writes = config.env.SEAL_FIELDS !== "no";
  // Bound to the secret's name, not the service's: what one has sealed the other opens.
  const shared = new Map(
    (definition.shares ?? []).map((name) => [name, createSealed({ name, load: load(name), log, writes })]),
  );
  const sealed = createSealed({
    name: config.name,
    load: load("fields"),
    log,
    writes,
    alongside: [...shared.values()],
  });
  const data = definition.store
    ? await openData(definition, { config, sidecar, log, now, metrics, sealed, db: parts.db })
    : undefined;
  const kit: Kit<S> = {
    // A definition with neither has routes of a kit without: S is then `undefined`.
    store: data ? data.store : (definition.memory?.(config) as S),
    sidecar,
    log,
    config,
    sealed,
    shared(name) {
      const keys = shared.get(name);
      if (!keys) throw new Error(`${definition.name} does not say that it shares ${name}`);
      return keys;
    },
    forgetAnswers: (owner) => (data?.unit ?? noUnit).idempotency.forgetOwner(owner),
    now,
    id: parts.id ?? (() => randomBytes(16).toString("base64url")),
    closing: closing.signal,
  };
  metrics.add(
    Object.fromEntries(
      Object.entries(definition.measures ?? {}).map(([name, one]) => [
        name,
        { ...one, read: () => one.read(kit) },
      ]),
    ),
  );
  await definition.prepare?.(kit, (change) => (data?.unit ?? noUnit).commit(change, traceOf(undefined)));

  const events = inbound(definition, { kit, metrics, data, traced });
  const ticks = crons(definition, { kit, metrics, data, traced });
  const { internal, edge } = createApp(definition, {
    kit,
    unit: data?.unit ?? noUnit,
    metrics,
    verify,
    box: data?.box,
    folder: parts.folder ?? process.cwd(),
  });
  internal.route("/", sidecar.subscriptions([...events.subscriptions, ...ticks.callbacks], events.options));

  const { seals } = definition;
  const keys = seals
    ? fieldKeys({
        ...{ sealed, metrics, log, now },
        rows: [
          ...(data ? [data.unit.idempotency.sealedRows(data.db)] : []),
          ...(typeof seals === "function" ? seals(kit.store) : []),
        ],
        commit: (change) => (data?.unit ?? noUnit).commit(change, traceOf(undefined)),
        every: integer(config, "FIELD_KEYS_REFRESH_MS", 5_000),
      })
    : undefined;
  const resealing = keys ? { [resealJob]: keys.reseal } : {};
  const jobs = Object.fromEntries(
    Object.entries({
      restored,
      ...resealing,
      ...definition.jobs,
      [cronJob]: ticks.run,
      [retryJob]: events.retry,
    }).map(([kind, handle]) => [
      kind,
      async ({ key, data: kept, attempt }: { key: string; data: unknown; attempt: number }) => {
        if (seals) await sealed.ready();
        const { data, trace } = kept as Traced;
        return traced(await handle({ kind, key, data, attempt }, kit), trace);
      },
    ]),
  );
  const background = data
    ? [data.box.relay(), data.box.work(jobs, { concurrency: definition.jobsAtOnce })]
    : [];
  const steadily = steady(now);
  const sweep = data ? setInterval(() => void forget(data.unit, log, steadily()), 60_000) : undefined;
  sweep?.unref();

  return {
    kit,
    box: data?.box,
    fetch: async (request) => internal.fetch(request),
    ...(edge ? { edge: async (request: Request, env?: Env<S>["Bindings"]) => edge.fetch(request, env) } : {}),
    leave: () => closing.abort(),
    async stop() {
      closing.abort();
      clearInterval(sweep);
      keys?.stop();
      if (data)
        await data.box.drain({ signal: AbortSignal.timeout(3_000) }).catch((error) => {
          log.warn(
            { err: String(error) },
            "stopped before everything was sent; the rest goes out at the next start",
          );
        });
      await Promise.all(background.map((part) => part.stop()));
      if (data && !parts.db) await data.db.close();
    },
  };
}

/** Starts a service as a process: listens, says when it is ready, stops in order on SIGTERM and SIGINT. */
export async function start<S>(definition: Service<S>): Promise<void> {
  const config = readConfig(definition.name);
  const running = await compose(definition, { config }).catch((error: unknown) => {
    if (!(error instanceof StorageUnavailable)) throw error;
    // Its message is for whoever has to mend it; where in the code it was found is not.
    createLog(config).fatal({ storage: error.reason }, error.message);
    process.exit(1);
  });
  const { log } = running.kit;
  const servers: Listening[] = [];
  const server = definition.server ?? "bun";
  const inside = await listen(running, { port: config.appPort, hostname: "127.0.0.1", server });
  servers.push(inside);
  if (running.edge) {
    servers.push(
      await listen(
        { fetch: running.edge },
        {
          port: config.publicPort,
          hostname: config.host,
          server,
          // What the public may hold a connection for without sending or taking anything.
          idle: integer(config, "IDLE_TIMEOUT_S", 30),
        },
      ),
    );
  }
  log.info({ port: inside.port }, `${config.name} listens`);

  let stopping = false;
  const stop = async (signal: string): Promise<void> => {
    if (stopping) return;
    stopping = true;
    log.info({ signal }, `${config.name} stops`);
    // What does not finish in time is safe in the outbox and the inbox; nobody should wait for it.
    const patience = setTimeout(() => process.exit(0), 8_000);
    patience.unref();
    running.leave();
    await Promise.all(servers.map((listening) => listening.close()));
    await running.stop();
    process.exit(0);
  };
  process.on("SIGTERM", () => void stop("SIGTERM"));
  process.on("SIGINT", () => void stop("SIGINT"));
}

interface Data<S> {
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

async function openData<S>(
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
      log.warn(
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

/** The first job of a store that came out of a backup, for services that have nobody outside to compare it with. */
const restored = (): undefined => undefined;

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

/** A job's data as it is kept: with the trace of what caused the job. */
interface Traced {
  data?: unknown;
  trace?: string;
}

/** The change, with its events and jobs carrying the trace of what caused them. */
function traced(change: Change | undefined, trace: string | undefined): Change | undefined {
  if (!change) return change;
  const { events, jobs } = change;
  return {
    ...change,
    events:
      trace === undefined
        ? events
        : events?.map((event) => ({ ...event, headers: { traceparent: trace, ...event.headers } })),
    jobs: jobs?.map((job) =>
      "cancel" in job ? job : { ...job, data: { data: job.data, trace } satisfies Traced },
    ),
  };
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

async function forget(unit: Unit, log: Log, at: number): Promise<void> {
  try {
    await unit.commit({ writes: [unit.idempotency.forget(at)] }, "");
  } catch (error) {
    if (error instanceof StorageUnavailable) return;
    log.warn({ err: String(error) }, "old idempotency keys were not forgotten; they will be in a minute");
  }
}

const noUnit: Unit = {
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
