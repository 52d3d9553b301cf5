import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Outbox, StorageUnavailable } from "drizzle-outbox";
import { type Context, Hono, type MiddlewareHandler } from "hono";
import { routePath } from "hono/route";
import { appToken } from "hono-dapr";
import { nothing } from "./access.ts";
import { guest, identify, type Verify } from "./auth.ts";
import { answeredBy } from "./calls.ts";
import { routesOf } from "./dead-letters.ts";
import { cacheable } from "./etag.ts";
import { face } from "./face.ts";
import type { Flags } from "./flags.ts";
import { UnknownKey } from "./keyring.ts";
import type { Env, Kit, Unit } from "./kit.ts";
import { bodyLimits } from "./limits.ts";
import type { Metrics } from "./metrics.ts";
import { Problem, problemResponse, toProblem } from "./problem.ts";
import type { Service } from "./service.ts";
import { traceOf } from "./trace.ts";

const readinessHolds = 1_000;
const eventsWait = 3_000;

/**
 * A sidecar hands over many events at once, together as large as it takes a body at all (`maxBodySize` in dapr.yaml), and
 * in base64. What is refused for its size would come again and again.
 */
const mostEvents = Math.ceil((65 * 4) / 3) * 1024 * 1024;

/** No id holds a control character, and PostgreSQL cannot even be asked for some. */
const hidden = /\p{Cc}|%(?:[01][0-9a-f]|7f)/iu;

interface Surroundings<S> {
  kit: Kit<S>;
  unit: Unit;
  metrics: Metrics;
  verify: Verify;
  box: Outbox | undefined;
  flags: Flags | undefined;
  /** The service's own, with its `contract/`. */
  folder: string;
}

/** The app that the sidecar calls, and the public one where the service has a face of its own. */
export function createApp<S>(
  definition: Service<S>,
  { kit, unit, metrics, verify, box, flags, folder }: Surroundings<S>,
) {
  const setUp: MiddlewareHandler<Env<S>> = async (c, next) => {
    const started = performance.now();
    c.set("kit", kit);
    c.set("unit", unit);
    c.set("trace", traceOf(c.req.header("traceparent")));
    c.set("caller", guest);
    c.set("reach", nothing);
    await next();
    c.res.headers.set(answeredBy, kit.config.name);
    metrics.http.observe(
      { method: c.req.method, route: routePath(c, -1), status: String(c.res.status) },
      (performance.now() - started) / 1000,
    );
  };
  const own = new Set(definition.ownCredentials);
  const known: MiddlewareHandler<Env<S>> = async (c, next) => {
    if (!own.has(c.req.path)) c.set("caller", await identify(c, verify));
    await next();
  };
  const keyed: MiddlewareHandler<Env<S>> = async (_, next) => {
    if (definition.seals) await kit.sealed.ready();
    await next();
  };
  /** Right after its start a service would otherwise do as if nothing were set. */
  const informed: MiddlewareHandler<Env<S>> = async (_, next) => {
    await flags?.known();
    await next();
  };
  const byPath = definition.bodyLimits ?? {};
  const onError = (error: Error, c: Context<Env<S>>): Response => {
    const problem = toProblem(error, definition.statuses);
    // Another replica has a key already that we have not.
    if (error instanceof UnknownKey) void kit.sealed.refresh();
    // That the database does not store is said once, when it begins.
    if (problem.status >= 500 && !(error instanceof Problem) && !StorageUnavailable.of(error)) {
      kit.log.error(
        { err: error.stack ?? String(error), path: c.req.path, trace: c.var.trace },
        "a request failed",
      );
    }
    return problemResponse(c, problem, c.var.trace);
  };
  const onMissing = (c: Context<Env<S>>): Response =>
    problemResponse(
      c,
      new Problem(404, { code: "not-found", detail: `There is nothing at ${c.req.path}` }),
      c.var.trace,
    );

  const plain: MiddlewareHandler<Env<S>> = async (c, next) =>
    hidden.test(c.req.path) ? onMissing(c) : next();

  const internal = new Hono<Env<S>>();
  internal.onError(onError);
  internal.notFound(onMissing);
  internal.use(setUp);
  const alive = (c: Context<Env<S>>): Response => c.json({ status: "up" });
  const ready = (dependencies: Dependencies, c: Context<Env<S>>): Response => {
    // Events wait for a broker that is down; what has a place for them to wait goes on without it.
    const up = Object.entries(dependencies).every(
      ([name, { status }]) => status === "up" || (box && name === "broker"),
    );
    return c.json({ status: up ? "ready" : "not-ready", dependencies }, up ? 200 : 503, {
      "cache-control": "no-store",
    });
  };
  const scraped = async (c: Context<Env<S>>): Promise<Response> =>
    c.text(await metrics.text(), 200, { "content-type": metrics.contentType });
  internal.get("/health", alive);
  internal.use(appToken(kit.config.appToken));
  internal.get("/ready", async (c) => ready(await check(definition, kit, box), c));
  internal.get("/metrics", scraped);
  // What it publishes about itself, as `npm run contracts` has written it.
  for (const name of ["openapi.json", "events.json"])
    internal.get(`/${name}`, async (c) => {
      const text = await readFile(join(folder, "contract", name), "utf8").catch(() => undefined);
      return text === undefined ? onMissing(c) : cacheable(c, JSON.parse(text), "no-cache");
    });

  const guarded = new Hono<Env<S>>();
  guarded.use(plain, bodyLimits<Env<S>>(byPath, { "/_events/": mostEvents }), known, keyed, informed);
  guarded.route("/", routesOf(definition));
  internal.route("/", guarded);

  if (!definition.edge) return { internal, edge: undefined };
  const edge = new Hono<Env<S>>();
  edge.onError(onError);
  edge.notFound(onMissing);
  edge.use(setUp, ...(definition.edgeMiddleware ?? []));
  // Whoever asks often must not make the whole shop check itself as often.
  const checked = held(() => check(definition, kit, box), readinessHolds, kit.now);
  edge.route(
    "/",
    face<S>(alive, async (c) => ready(await checked(), c), scraped),
  );
  edge.use(bodyLimits<Env<S>>(byPath), known, informed);
  edge.route("/", definition.edge);
  return { internal, edge };
}

type Dependencies = Record<string, { status: "up" | "down"; detail?: string }>;

/** What `ask` said, asked again only when it is older than `ms`. */
function held<T>(ask: () => Promise<T>, ms: number, now: () => number): () => Promise<T> {
  let last: { said: Promise<T>; at: number } | undefined;
  return () => {
    // A clock that was set back makes what was said look as if it came later.
    if (last === undefined || Math.abs(now() - last.at) >= ms) last = { said: ask(), at: now() };
    return last.said;
  };
}

/** @throws {Error} when committed events have been waiting to be sent */
async function sending(box: Outbox): Promise<void> {
  const { oldestOutboxAgeMs } = await box.pending();
  if (oldestOutboxAgeMs > eventsWait)
    throw new Error(`events wait to be sent, the oldest for ${Math.round(oldestOutboxAgeMs / 1000)} s`);
}

/** Each dependency with its state; a dependency that is down says why. */
async function check<S>(definition: Service<S>, kit: Kit<S>, box: Outbox | undefined): Promise<Dependencies> {
  const checks: Record<string, () => Promise<unknown>> = {
    sidecar: () => kit.sidecar.ready({ timeout: 1_000 }),
    ...(definition.seals ? { "field keys": () => kit.sealed.ready() } : {}),
    ...(box ? { database: () => box.stores(), broker: () => sending(box) } : {}),
    ...Object.fromEntries(
      Object.entries(definition.checks ?? {}).map(([name, run]) => [name, () => run(kit)]),
    ),
  };
  const results = await Promise.all(
    Object.entries(checks).map(async ([name, run]) => {
      try {
        await run();
        return [name, { status: "up" }] as const;
      } catch (error) {
        return [name, { status: "down", detail: detailOf(error) }] as const;
      }
    }),
  );
  return Object.fromEntries(results);
}

/** Where a database lies is nobody's business outside: its log has that. */
function detailOf(error: unknown): string {
  if (error instanceof StorageUnavailable) return `it does not store: ${error.reason}`;
  return error instanceof Error ? error.message : String(error);
}
