import { createHash } from "node:crypto";
import { lt } from "drizzle-orm";
import type { Db, Dialect, Write } from "drizzle-outbox";
import { Conflict, insert, remove, update } from "drizzle-outbox";
import type { Context, MiddlewareHandler } from "hono";
import { uniqueSymbol } from "hono-openapi";
import type { Caller } from "./auth.ts";
import type { Env } from "./kit.ts";
import { Problem } from "./problem.ts";
import { type SealedRows, sealedRows } from "./resealing.ts";
import { type Sealed, sealedWith } from "./sealed.ts";

const keptFor = 24 * 60 * 60_000;

/** The table of answers given under an Idempotency-Key, part of each service's own schema. */
export const idempotencyTable = (t: Dialect) =>
  t.table(
    "idempotency",
    {
      id: t.text("id").primaryKey(),
      request: t.text("request").notNull(),
      status: t.integer("status").notNull(),
      headers: t.json<Record<string, string>>("headers").notNull(),
      body: t.text("body"),
      at: t.integer("at").notNull(),
      /** Whom it was given to; null for a guest. */
      owner: t.text("owner"),
      /** The id of the key that the body is sealed with. */
      sealedWith: t.text("sealed_with"),
    },
    (own) => [
      t.index("idempotency_at").on(own.at),
      t.index("idempotency_by_seal").on(own.sealedWith, own.id),
    ],
  );

type Table = ReturnType<typeof idempotencyTable>;

/** An answer as it was given the first time. */
export interface StoredAnswer {
  status: number;
  headers: Record<string, string>;
  body: string | null;
}

export interface Idempotency {
  /** The answer given under this id, if any. @throws {Problem} 409 when the request was another one */
  find(id: string, request: string): Promise<StoredAnswer | undefined>;
  /** An answer was given under this id, to whatever request. */
  has(id: string): Promise<boolean>;
  /** The write that keeps an answer, to be committed together with the effect; `owner` is whom it is given to. */
  keep(id: string, request: string, answer: StoredAnswer, owner?: string): Write;
  /** The write that forgets what somebody was answered. */
  forgetOwner(owner: string): Write;
  /** The kept answers as rows with a sealed column. */
  sealedRows(db: Db): SealedRows;
  /** Runs one request an id at a time in this process. @throws {Problem} 409 `in-progress` after ten seconds */
  alone<T>(id: string, run: () => Promise<T>): Promise<T>;
  /** The write that forgets what is older than 24 hours, at this time: now, unless said otherwise. */
  forget(at?: number): Write;
}

type Row = Table["$inferSelect"];

const bodyAt = "idempotency.body";

export interface IdempotencyOptions {
  now(): number;
  /** Seals the answers of a service that `seals`. */
  sealed?: Sealed;
  /** How long a request waits for the one before it that has the same key: 10,000 ms. */
  waitAtMost?: number;
}

export function idempotencyStore(
  table: Table,
  read: (id: string) => Promise<Row | undefined>,
  { now, sealed, waitAtMost = 10_000 }: IdempotencyOptions,
): Idempotency {
  const kept = (id: string, body: string | null) => {
    if (!sealed?.writes) return { body, sealedWith: null };
    return body === null
      ? { body, sealedWith: "" }
      : { body: sealed.seal(body, bodyAt, id), sealedWith: sealed.current };
  };
  // What a version before kept, or this one while it did not seal, is there as it was given.
  const given = (id: string, body: string | null) =>
    body === null || !sealed || sealedWith(body) === undefined ? body : sealed.open(body, bodyAt, id);
  const underWay = new Map<string, Promise<unknown>>();
  return {
    async find(id, request) {
      const row = await read(id);
      if (row === undefined) return undefined;
      if (row.request !== request) {
        throw new Problem(409, {
          code: "idempotency-key-reused",
          detail: "This Idempotency-Key came with another request before: use a new key for a new request",
        });
      }
      return { status: row.status, headers: row.headers, body: given(id, row.body) };
    },
    has: async (id) => (await read(id)) !== undefined,
    keep: (id, request, { body, ...answer }, owner) =>
      insert(table, { id, request, ...answer, ...kept(id, body), owner: owner ?? null, at: now() }),
    forgetOwner: (owner) => remove(table, { owner }),
    sealedRows: (db) =>
      sealedRows(db, table, {
        id: table.id,
        sealedWith: table.sealedWith,
        reseal: ({ id, body }) => update(table, kept(id, given(id, body)), { id, body }, { rows: 1 }),
      }),
    forget: (at = now()) => remove(table, lt(table.at, at - keptFor)),
    async alone(id, run) {
      const started = performance.now();
      for (let first = underWay.get(id); first !== undefined; first = underWay.get(id)) {
        if (!(await settledWithin(first, waitAtMost - (performance.now() - started)))) {
          throw new Problem(409, {
            code: "in-progress",
            detail: "The first request with this Idempotency-Key is still under way",
            headers: { "retry-after": "1" },
          });
        }
      }
      const running = run().finally(() => underWay.delete(id));
      underWay.set(id, running);
      return running;
    },
  };
}

async function settledWithin(work: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), Math.max(0, ms));
  });
  const settled = work.then(
    () => true,
    () => true,
  );
  try {
    return await Promise.race([settled, late]);
  } finally {
    clearTimeout(timer);
  }
}

export interface IdempotentOptions<S> {
  /**
   * What tells one guest from another: a secret that the request shows, or whom it is for. Without it a guest is
   * whoever can repeat the whole request. Two guests never share a key, nor an answer.
   */
  guest?(c: Context<Env<S>>): string | Promise<string>;
  /**
   * What is kept of a body that holds a secret, to tell it from another: a digest that whoever reads the database
   * cannot compute. Without it SHA-256, by which a password could be guessed fast.
   */
  digest?(c: Context<Env<S>>, body: string): string | Promise<string>;
}

/**
 * Honours `Idempotency-Key` (1-255 characters, scoped to the caller, kept 24 hours; IETF draft
 * httpapi-idempotency-key-header): the same key and body get the same answer, and the effect once.
 * What was refused had no effect and is not kept: it may be tried again with the same key.
 * Stands before the handler, which must answer through `transact`. The OpenAPI document names the header.
 * @throws {Problem} 400 for an unusable key, 409 for the same key with another request
 */
export function idempotent<S>({ guest, digest: kept }: IdempotentOptions<S> = {}): MiddlewareHandler<Env<S>> {
  return described<S>(async (c, next) => {
    const key = keyOf(c);
    if (key === undefined) return next();
    const { idempotency } = c.var.unit;
    const text = await c.req.text();
    const request = await (kept ? kept(c, text) : digest(text));
    const of = c.var.caller.kind === "guest" ? await (guest ?? (() => request))(c) : "";
    const id = idOf(c, key, of);
    return idempotency.alone(id, async () => {
      const before = await idempotency.find(id, request);
      if (before !== undefined) {
        c.res = replay(before);
        return;
      }
      c.set("idempotencyKey", { id, request, owner: owned(c.var.caller) });
      await next();
    });
  });
}

/**
 * As {@link idempotent}, for a handler that takes its body in as it comes and commits as it goes. Its answer is kept
 * after all it has committed: when it is cut off before, the request runs again, so doing it twice must do no harm.
 * @throws {Problem} 400 for an unusable key, 409 for the same key with another request
 */
export function idempotentStream<S>(): MiddlewareHandler<Env<S>> {
  return described<S>(async (c, next) => {
    const key = keyOf(c);
    if (key === undefined) return next();
    const id = idOf(c, key, "");
    const { idempotency, commit } = c.var.unit;
    return idempotency.alone(id, async () => {
      const hash = createHash("sha256");
      const body = c.req.raw.body?.pipeThrough(
        new TransformStream<Uint8Array, Uint8Array>({
          transform(chunk, controller) {
            hash.update(chunk);
            controller.enqueue(chunk);
          },
        }),
      );
      if (await idempotency.has(id)) {
        await body?.pipeTo(new WritableStream());
        c.res = replay(await stored(idempotency, id, hash.digest("base64url")));
        return;
      }
      if (body) c.req.raw = new Request(c.req.raw, { body, duplex: "half" } as RequestInit);
      await next();
      if (!c.res.ok) return;
      const request = hash.digest("base64url");
      const headers = Object.fromEntries(c.res.headers);
      const answer = { status: c.res.status, headers, body: await c.res.clone().text() };
      try {
        await commit({ writes: [idempotency.keep(id, request, answer, owned(c.var.caller))] }, c.var.trace);
      } catch (error) {
        if (!(error instanceof Conflict)) throw error;
        // Another replica was given the same key meanwhile, and was quicker.
        c.res = replay(await stored(idempotency, id, request));
      }
    });
  });
}

/** The middleware, which says in the OpenAPI document that the route takes the header. */
function described<S>(middleware: MiddlewareHandler<Env<S>>): MiddlewareHandler<Env<S>> {
  const parameter = {
    name: "Idempotency-Key",
    in: "header",
    required: false,
    description: "The same key and body: the same answer, once. Another body: 409. Kept 24 hours.",
    schema: { type: "string", minLength: 1, maxLength: 255 },
  };
  return Object.assign(middleware, { [uniqueSymbol]: { spec: { parameters: [parameter] } } });
}

async function stored(idempotency: Idempotency, id: string, request: string): Promise<StoredAnswer> {
  const answer = await idempotency.find(id, request);
  if (answer === undefined) throw new Error("an answer that was kept is not there");
  return answer;
}

function keyOf<S>(c: Context<Env<S>>): string | undefined {
  const key = c.req.header("idempotency-key");
  if (key === undefined) return undefined;
  if (key.length < 1 || key.length > 255) {
    throw new Problem(400, {
      code: "invalid-idempotency-key",
      detail: "Idempotency-Key must have 1 to 255 characters",
    });
  }
  return key;
}

/** The request's key, as it is kept: of one caller (of guests, one guest), method and path. */
const idOf = <S>(c: Context<Env<S>>, key: string, guest: string): string =>
  digest(JSON.stringify([c.var.caller.kind, c.var.caller.id, guest, c.req.method, c.req.path, key]));

/** Whose answer it is: nobody's, when a guest gets it. */
const owned = ({ kind, id }: Caller): string | undefined => (kind === "guest" ? undefined : id);

export const replay = ({ status, headers, body }: StoredAnswer): Response =>
  new Response(body, { status, headers: { ...headers, "idempotent-replayed": "true" } });

const digest = (text: string): string => createHash("sha256").update(text).digest("base64url");
