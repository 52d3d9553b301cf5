import { type Db, type Outbox, steady, uuidv7 } from "drizzle-outbox";
import { dapr, type Sidecar } from "hono-dapr";
import { requireStatements } from "./access.ts";
import { createApp } from "./app.ts";
import { type Verify, verifier } from "./auth.ts";
import { type Config, integer, readConfig } from "./config.ts";
import { cronJob, crons } from "./crons.ts";
import { forget, noUnit, openData } from "./data.ts";
import { routesOf } from "./dead-letters.ts";
import { fieldKeys } from "./field-keys.ts";
import { createFlags, type Flags } from "./flags.ts";
import { inbound, retryJob } from "./inbound.ts";
import { issuersOf } from "./issuers.ts";
import type { Env, Kit } from "./kit.ts";
import { createLog, type Log } from "./log.ts";
import { createMetrics } from "./metrics.ts";
import { resealJob } from "./resealing.ts";
import { createSealed } from "./sealed.ts";
import type { Service } from "./service.ts";
import { traceOf } from "./trace.ts";
import { type Traced, traced } from "./traced.ts";

/** A service that runs in this process. */
export interface Running<S> {
  kit: Kit<S>;
  /** What the sidecar calls. */
  fetch(request: Request): Promise<Response>;
  /** What the public calls, where the service has such a face. */
  edge?(request: Request, env?: Env<S>["Bindings"]): Promise<Response>;
  box?: Outbox;
  /** What can be set while it runs, where there is anything. */
  flags?: Flags;
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
  const flags = definition.flags?.length
    ? createFlags({
        declared: definition.flags,
        store: sidecar.configuration("configuration"),
        ...{ log, now },
        every: integer(config, "FLAGS_REFRESH_MS", 30_000),
      })
    : undefined;
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
    flag(flag) {
      if (!flags) throw new Error(`${definition.name} declares no flags`);
      return flags.of(flag);
    },
    forgetAnswers: (owner) => (data?.unit ?? noUnit).idempotency.forgetOwner(owner),
    now,
    id: parts.id ?? (() => uuidv7(now())),
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

  const events = inbound(definition, { kit, metrics, data });
  const ticks = crons(definition, { kit, metrics, data });
  const { internal, edge } = createApp(definition, {
    kit,
    unit: data?.unit ?? noUnit,
    metrics,
    verify,
    box: data?.box,
    flags,
    folder: parts.folder ?? process.cwd(),
  });
  internal.route(
    "/",
    sidecar.subscriptions([...events.subscriptions, ...ticks.callbacks], {
      ...events.options,
      onSidecar: flags?.watch,
    }),
  );

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
    flags,
    fetch: async (request) => internal.fetch(request),
    ...(edge ? { edge: async (request: Request, env?: Env<S>["Bindings"]) => edge.fetch(request, env) } : {}),
    leave: () => closing.abort(),
    async stop() {
      closing.abort();
      clearInterval(sweep);
      keys?.stop();
      flags?.stop();
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

/** The first job of a store that came out of a backup, for services that have nobody outside to compare it with. */
const restored = (): undefined => undefined;
