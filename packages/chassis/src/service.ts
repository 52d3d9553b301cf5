import type { Change, Db, Dialect, Schema, Tables } from "drizzle-outbox";
import { outboxTables, schema } from "drizzle-outbox";
import { Hono, type MiddlewareHandler } from "hono";
import type { Config } from "./config.ts";
import type { CronHandler } from "./crons.ts";
import type { Flag } from "./flag.ts";
import { idempotencyTable } from "./idempotency.ts";
import type { Env, Kit } from "./kit.ts";
import type { Figure } from "./metrics.ts";
import { everywhere, type Reaction } from "./reactions.ts";
import type { SealedRows } from "./resealing.ts";
import { createSealed, type Sealed } from "./sealed.ts";

/** A job that has come due, as its handler sees it. */
export interface Due {
  kind: string;
  key: string;
  data: unknown;
  /** 1 for the first try. */
  attempt: number;
}

/** Does the work of a job; its change is committed together with the job's end. What it throws is tried again. */
export type JobHandler<S> = (job: Due, kit: Kit<S>) => Promise<Change | undefined> | Change | undefined;

/** One service: its table of contents. */
export interface Service<S> {
  /** Its app id in `dapr.yaml`. */
  name: string;
  /** Its own data. A service without one commits nothing. */
  store?: StoreDefinition<S>;
  /** What a service without a store keeps in memory instead, made anew at each start; its `kit.store`. */
  memory?(config: Config): S;
  /** HTTP in, reached through the sidecar. */
  routes: Hono<Env<S>>;
  /** Events in. */
  reactions?: Reaction<S>[];
  /**
   * Work that is due at a time: a row each, by kind. `restored`, with `{ takenAt }` (ms), comes first in a store that
   * came out of a backup: for a service that has to ask somebody outside what was done since.
   */
  jobs?: Record<string, JobHandler<S>>;
  /**
   * What is done again and again, by name; when, says the component of Dapr's cron binding that posts to `/_crons/<name>`.
   * A tick has its effect once, however many replicas there are.
   */
  crons?: Record<string, CronHandler<S>>;
  /** What can be set while it runs, in Dapr's configuration store `configuration`; `kit.flag` says what holds now. */
  flags?: readonly Flag[];
  /** How many jobs may run at once: 64 where nothing is said. */
  jobsAtOnce?: number;
  /** The status of each rejection that is not 409. */
  statuses?: Record<string, number>;
  /** Upper bounds of request bodies in bytes, by path; 1 MiB where nothing is said. */
  bodyLimits?: Record<string, number>;
  /** Paths that check credentials of their own: their Authorization header is not read as a bearer token. */
  ownCredentials?: string[];
  /** A public face on a port of its own, beside the one that the sidecar calls; with /health, /ready and /metrics. */
  edge?: Hono<Env<S>>;
  /** Middleware of the public face that runs before anything is checked, and sees every answer on its way out. */
  edgeMiddleware?: MiddlewareHandler<Env<S>>[];
  /** `node` where a library in it insists on Node's request and response objects. */
  server?: "bun" | "node";
  /** Runs once before the first request. The sidecar may not be there yet: it waits for the service. */
  prepare?(kit: Kit<S>, commit: Commit): Promise<void>;
  /** What else must be there before it is ready, by name. A check that throws is a "no", with its message. */
  checks?: Record<string, (kit: Kit<S>) => Promise<void>>;
  /**
   * It keeps what is personal or secret, encrypted: its keys are there before each request, event and job, and answers
   * kept for an Idempotency-Key are sealed. Its secret store has `fields`. Given as a function it says which rows are
   * brought over when the keys change.
   */
  seals?: boolean | ((store: S) => SealedRows[]);
  /**
   * Secrets with keyrings that it has in common with other services, for what travels between them: `kit.shared`.
   * Those of a service that `seals` are there when its own are; another has to wait until they are `ready`.
   */
  shares?: string[];
  /** What it measures of itself. */
  measures?: Measures<S>;
}

/** Figures for `/metrics`, by name; each is read whenever somebody scrapes. */
export type Measures<S> = Record<
  string,
  Omit<Figure, "read"> & { read(kit: Kit<S>): Record<string, number> }
>;

/** Commits what does not come from a request or an event. */
export type Commit = (change: Change) => Promise<void>;

/** Declares a service; `serve.ts` starts it, `chassis/testing` runs it in memory. */
export const service = <S>(definition: Service<S>): Service<S> =>
  definition.reactions
    ? { ...definition, reactions: definition.reactions.flatMap((one) => everywhere(one)) }
    : definition;

/** A Hono app whose handlers find the service's kit in `c.var`. */
export const router = <S>(): Hono<Env<S>> => new Hono<Env<S>>();

export interface StoreDefinition<S> {
  /** All tables of the service, for both dialects: its own, those of the outbox, and the idempotency keys. */
  tables: Schema<Tables>;
  /** Makes the loads and saves on an open database. */
  open(db: Db, sealed?: Sealed): S;
}

/** The type of what a store's `open` makes. */
export type StoreOf<D> = D extends StoreDefinition<infer S> ? S : never;

/**
 * Declares a service's data: its tables, once for SQLite and PostgreSQL, and its loads and saves.
 * @param build the service's own tables
 * @param open makes the loads and saves; `sealed` encrypts what a service that `seals` keeps
 */
export function defineStore<T extends Tables, S>(
  build: (t: Dialect) => T,
  open: (db: Db, tables: T, sealed: Sealed) => S,
): StoreDefinition<S> {
  const own = schema(build);
  return {
    tables: schema((t) => ({ ...own.for(t.name), ...machinery(t) })),
    open: (db, sealed) => open(db, own.for(db.dialect), sealed ?? keyless()),
  };
}

/** Of a store that is opened without keys: it can do all that needs none. */
const keyless = (): Sealed =>
  createSealed({
    name: "",
    load: () => Promise.reject(new Error("the store was opened without keys")),
    log: { error() {}, info() {} },
  });

/** The tables that every service has. */
export const machinery = (t: Dialect) => ({ ...outboxTables(t), idempotency: idempotencyTable(t) });
