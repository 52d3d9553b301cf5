import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Db, migrate, openSqlite } from "drizzle-outbox";
import { type CloudEvent, dapr, type EventType } from "hono-dapr";
import { fakeSidecar, publishedIn } from "hono-dapr/testing";
import { pino } from "pino";
import { type Caller, unauthorised } from "../auth.ts";
import { answeredBy } from "../calls.ts";
import { compose } from "../compose.ts";
import { readConfig } from "../config.ts";
import { cronRoute, pendingRun } from "../crons.ts";
import type { Service } from "../service.ts";

export interface TestOptions {
  /** The service's folder (`import.meta.dir`), for its migrations. */
  folder: string;
  /** Milliseconds since the epoch. */
  now?: () => number;
  env?: Record<string, string>;
  /** An empty database to run on, of whoever closes it; else a SQLite file of its own. */
  db?: Db;
  /** The keyring that the secret `fields` holds now; one of its own, where nothing is said. */
  fieldKeys?: () => string;
  /** The keyring of what the service shares with others; one of its own, where nothing is said. */
  sharedKeys?: string;
  /** What is set in the configuration store when it starts, as texts by key. */
  flags?: Record<string, string>;
  /** Answers calls to other services, and to stores; what it has no answer for is looked for in a store in memory. */
  others?: (request: Request) => Response | undefined | Promise<Response | undefined>;
}

export interface RequestOptions {
  method?: string;
  /** Sent as JSON; text, bytes and streams as they are. */
  body?: unknown;
  headers?: Record<string, string>;
  /** The caller's scopes; without them the caller is a guest. */
  scopes?: string[];
  /** The caller's id. */
  caller?: string;
  /** The caller is a user, not a client. */
  user?: boolean;
}

/** A whole service in this process, on a database of its own, with a sidecar that only notes what is published. */
export interface TestService<S> {
  store: S;
  request(path: string, options?: RequestOptions): Promise<Response>;
  /** The public face, where there is one. */
  edge(path: string, options?: RequestOptions): Promise<Response>;
  /** Delivers an event as the sidecar would, and gives its answer. */
  deliver<T, I>(
    type: EventType<T, I>,
    data: I,
    options?: { id?: string },
  ): Promise<"SUCCESS" | "RETRY" | "DROP">;
  /** Delivers several in one batch, as a bulk subscription does. */
  deliverAll<T, I>(type: EventType<T, I>, data: I[]): Promise<string[]>;
  /**
   * Has a schedule reach a time, `now` unless said otherwise, as one sidecar tells it; resolves when what it begins has ended.
   * @throws {Error} when the handler threw, or there is no such schedule
   */
  tick(name: string, at?: number): Promise<void>;
  /** Sets a flag, or unsets it; resolves when the service has read it. */
  set(key: string, value: string | undefined): Promise<void>;
  /** Everything published so far, in order, once the outbox is empty. */
  published(): Promise<CloudEvent[]>;
  /** Makes the broker refuse (true) or take (false) what is published. */
  brokerDown(down: boolean): void;
  stop(): Promise<void>;
}

/** Runs a service for a test. Stop it when done. */
export async function testService<S>(definition: Service<S>, options: TestOptions): Promise<TestService<S>> {
  const folder = mkdtempSync(join(tmpdir(), `${definition.name}-`));
  const events: CloudEvent[] = [];
  let down = false;
  const kept = storesOf(definition.name);
  for (const [key, value] of Object.entries(options.flags ?? {})) kept.set(key, value);
  const ownKeys = JSON.stringify({ current: "k1", keys: { k1: randomBytes(32).toString("base64url") } });

  const sidecar = dapr({
    endpoint: "http://sidecar.test",
    appId: definition.name,
    async fetch(input, init) {
      const request = new Request(input, init);
      const { pathname } = new URL(request.url);
      if (pathname.startsWith("/v1.0/publish")) {
        if (down)
          return Response.json(
            { errorCode: "ERR_PUBSUB_PUBLISH_MESSAGE", message: "broker down" },
            { status: 500 },
          );
        events.push(...publishedIn(await request.json()));
        return new Response(null, { status: 204 });
      }
      const keyring = /^\/v1\.0\/secrets\/secrets\/([\w-]+)$/.exec(pathname)?.[1] ?? "";
      if (keyring === "fields") return Response.json({ fields: options.fieldKeys?.() ?? ownKeys });
      if (definition.shares?.includes(keyring))
        return Response.json({ [keyring]: options.sharedKeys ?? ownKeys });
      if (pathname.startsWith("/v1.0/healthz")) return new Response(null, { status: 204 });
      if (pathname.startsWith("/v1.0/configuration/")) return kept.ask(request);
      const answered = await options.others?.(request);
      const other = /^\/v1\.0\/invoke\/([^/]+)/.exec(pathname)?.[1];
      // As a service answers: with its name.
      if (answered && other && !answered.headers.has(answeredBy)) answered.headers.set(answeredBy, other);
      if (answered) return answered;
      if (pathname.startsWith("/v1.0/state/")) return kept.ask(request);
      return Response.json({ errorCode: "ERR_DIRECT_INVOKE", message: "nobody there" }, { status: 500 });
    },
  });
  const config = readConfig(definition.name, {
    PUBLIC_URL: "http://shop.test",
    SOUK_DATA: folder,
    LOG_LEVEL: "silent",
    ...options.env,
  });
  const migrations = join(options.folder, "migrations");
  const db = options.db ?? (definition.store ? await fresh(join(folder, "test.db"), migrations) : undefined);
  if (options.db) await migrate(options.db, migrations);
  const running = await compose(definition, {
    config,
    sidecar,
    db,
    log: pino({ level: "silent" }),
    now: options.now,
    verify: callerOf,
    folder: options.folder,
  });
  await running.flags?.look();

  const requestOf = (
    path: string,
    { method = "GET", body, headers = {}, scopes, caller, user }: RequestOptions = {},
  ): Request =>
    new Request(`http://${definition.name}.test${path}`, {
      method,
      headers: {
        ...(body !== undefined && !asItIs(body) ? { "content-type": "application/json" } : {}),
        ...(scopes
          ? { authorization: `Bearer ${tokenFor(caller ?? "tester", user ? "user" : "client", scopes)}` }
          : {}),
        ...headers,
      },
      ...(body === undefined ? {} : { body: asItIs(body) ? body : JSON.stringify(body) }),
    });
  const post = (topic: string, body: unknown): Promise<Response> =>
    running.fetch(
      new Request(`http://${definition.name}.test/_events/${topic}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      }),
    );
  const cloudEvent = <T, I>(type: EventType<T, I>, data: I, id?: string) => ({
    ...type.of(data, { source: "test", ...(id ? { id } : {}) }),
    topic: type.topic,
  });

  return {
    store: running.kit.store,
    request: (path, request) => running.fetch(requestOf(path, request)),
    edge: (path, request) => {
      if (!running.edge) throw new Error(`${definition.name} has no public face`);
      return running.edge(requestOf(path, request));
    },
    async deliver(type, data, { id } = {}) {
      const response = await post(type.topic, cloudEvent(type, data, id));
      return ((await response.json()) as { status: "SUCCESS" | "RETRY" | "DROP" }).status;
    },
    async deliverAll(type, data) {
      const entries = data.map((one, index) => ({
        entryId: String(index),
        event: cloudEvent(type, one),
        contentType: "application/cloudevents+json",
      }));
      const response = await post(type.topic, {
        id: crypto.randomUUID(),
        entries,
        pubsubname: "pubsub",
        topic: type.topic,
        type: "com.dapr.event.sent.bulk",
      });
      return ((await response.json()) as { statuses: { status: string }[] }).statuses.map(
        ({ status }) => status,
      );
    },
    async set(key, value) {
      kept.set(key, value ?? "");
      await running.flags?.look();
    },
    async tick(name, at = running.kit.now()) {
      const response = await running.fetch(
        new Request(`http://${definition.name}.test${cronRoute(name)}`, {
          method: "POST",
          headers: { readTimeUTC: new Date(at).toISOString().replace("T", " ").replace("Z", " +0000 UTC") },
        }),
      );
      if (!response.ok) throw new Error(`The tick of ${name} was answered ${response.status}`);
      if (db) await ranOut(db, name);
    },
    async published() {
      await running.box?.drain();
      return [...events];
    },
    brokerDown(now) {
      down = now;
    },
    async stop() {
      down = false;
      await running.stop();
      if (!options.db) await db?.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Files that are migrated and empty, by the folder of their migrations. */
const migrated = new Map<string, Uint8Array>();

/** Opens a database in a new file, migrated: which is done once, and copied for every other test. */
async function fresh(path: string, migrations: string): Promise<Db> {
  const known = migrated.get(migrations);
  if (known) {
    writeFileSync(path, known);
    return openSqlite(path);
  }
  const db = await openSqlite(path);
  await migrate(db, migrations);
  await db.close();
  migrated.set(migrations, readFileSync(path));
  return openSqlite(path);
}

/** Waits until the run that a tick began has ended. */
async function ranOut(db: Db, name: string): Promise<void> {
  for (let run = await pendingRun(db, name); run; run = await pendingRun(db, name)) {
    if (run.attempt > 0 && run.token === null)
      throw new Error(`The cron ${name} threw, and will be tried again`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** The state store and the configuration of one app, in memory. */
function storesOf(app: string) {
  const fake = fakeSidecar();
  const ask = fake.fetch(app);
  return {
    async ask({ url, method, headers, body }: Request): Promise<Response> {
      const asked = new Headers(headers);
      asked.set("dapr-api-token", fake.apiToken(app));
      return ask(url, { method, headers: asked, body });
    },
    /** The service is not told by it. */
    set: (key: string, value: string) => fake.set("configuration", key, value),
  };
}

const asItIs = (body: unknown): body is string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array> =>
  typeof body === "string" || body instanceof Uint8Array || body instanceof ReadableStream;

/** A token that only a service under test understands. */
const tokenFor = (id: string, kind: Caller["kind"], scopes: string[]): string =>
  Buffer.from(JSON.stringify({ id, kind, scopes })).toString("base64url");

async function callerOf(token: string): Promise<Caller> {
  try {
    return JSON.parse(Buffer.from(token, "base64url").toString(), revive) as Caller;
  } catch {
    throw unauthorised("invalid_token", "the token does not hold");
  }
}

const revive = (key: string, value: unknown): unknown =>
  key === "scopes" ? new Set(value as string[]) : value;
