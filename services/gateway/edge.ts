import {
  type Config,
  type Env,
  integer,
  isCurrent,
  type Kit,
  leftTo,
  type Measures,
  open,
  Problem,
  router,
  says,
} from "chassis";
import type { Context, MiddlewareHandler } from "hono";
import { proxies } from "./addresses.ts";
import { EdgeCache, type Found } from "./cache.ts";
import { Crowd } from "./crowd.ts";
import { deadLetterPaths, deadLetters } from "./dead-letters.ts";
import { Descriptions } from "./descriptions.ts";
import { docPaths, docRoutes } from "./docs-routes.ts";
import { door } from "./door.ts";
import { forward, forwardWhole, passBack } from "./forward.ts";
import { home } from "./home.ts";
import { Lanes } from "./lanes.ts";
import { limited } from "./limited.ts";
import { asked } from "./paths.ts";
import { secured } from "./protection.ts";
import { RateLimits } from "./rate-limits.ts";
import { Readiness } from "./readiness.ts";
import { sessionPaths, sessionRoutes } from "./session-routes.ts";
import { Sessions } from "./sessions.ts";
import { pagePolicy } from "./style.ts";
import { behind, type Way, ways } from "./ways.ts";

/** What the gateway keeps: nothing that is missed after a restart. */
export interface Memory {
  cache: EdgeCache;
  readiness: Readiness;
  lanes: Lanes;
  limits: RateLimits;
  sessions: Sessions;
  crowd: Crowd;
  /** Host headers that are known to be ours. */
  hosts: Set<string>;
  descriptions: Descriptions;
}

type E = Env<Memory>;

/** Milliseconds in which a service should answer: beyond it, no more are let through to it at once. */
const answersWithin = 250;
/** What Bun has open at once where nothing else is said; what is more waits, whoever it is for. */
const bunsConnections = 256;

/** @throws {Error} naming a setting that cannot be read */
export function memory(config: Config): Memory {
  proxies(config.env.TRUSTED_PROXIES ?? "");
  return {
    cache: new EdgeCache(),
    readiness: new Readiness(),
    lanes: new Lanes(
      integer(config, "LATENCY_OBJECTIVE_MS", answersWithin),
      integer(config, "BUN_CONFIG_MAX_HTTP_REQUESTS", bunsConnections),
    ),
    limits: new RateLimits(config),
    sessions: new Sessions(config),
    descriptions: new Descriptions(),
    crowd: new Crowd(config),
    hosts: new Set(),
  };
}

export const bodyLimits = Object.fromEntries(ways.flatMap(({ path, most }) => (most ? [[path, most]] : [])));
export const ownCredentials = ways.filter((way) => way.ownCredentials).map(({ path }) => path);

/** What the gateway tells of itself: how busy each service is. */
export const measures: Measures<Memory> = {
  souk_gateway_limit: {
    help: "Requests that may be under way at a service at once, as it answers now",
    label: "to",
    read: ({ store }) => store.lanes.figures(({ ordinary }) => ordinary.limit.value),
  },
  souk_gateway_under_way: {
    help: "Requests under way at a service",
    label: "to",
    read: ({ store }) =>
      store.lanes.figures(
        ({ ordinary, streamed, followers }) => ordinary.underWay + streamed.taken + followers.taken,
      ),
  },
  souk_gateway_waiting: {
    help: "Requests that wait for their turn",
    label: "to",
    read: ({ store }) => store.lanes.figures(({ ordinary }) => ordinary.waiting),
  },
  souk_gateway_lag_seconds: {
    help: "How late the gateway is with its own work",
    label: "of",
    read: ({ store }) => ({ "event loop": store.lanes.lag.value / 1_000 }),
  },
  souk_gateway_refused_total: {
    help: "Requests refused because a service had too much to do",
    label: "to",
    counts: true,
    read: ({ store }) => store.lanes.figures(({ refused }) => refused),
  },
  souk_gateway_requests: {
    help: "Requests under way, and those refused because their network had too many",
    label: "are",
    read: ({ store: { crowd } }) => ({ "under way": crowd.underWay, refused: crowd.refused }),
  },
  souk_gateway_limited_total: {
    help: "Requests refused because their sender had used up a share",
    label: "limit",
    counts: true,
    read: ({ store }) => store.limits.refused,
  },
  souk_gateway_limits_shared: {
    help: "Whether rate limits are shared with the other gateways (1), or each counts for itself (0)",
    label: "through",
    read: ({ store }) => ({ state: store.limits.shared }),
  },
};

/** Readiness: every service behind the gateway, and the broker. */
export const checks = Object.fromEntries(
  [...behind, "broker"].map((name) => [
    name,
    async (kit: Kit<Memory>): Promise<void> => {
      const state = (await kit.store.readiness.states(kit)).find((one) => one.name === name);
      if (!state?.up) throw new Error(state?.detail ?? "it is not known");
    },
  ]),
);

export const edgeMiddleware: MiddlewareHandler<E>[] = [secured, door];

async function front(c: Context<E>): Promise<Response> {
  const states = await c.var.kit.store.readiness.states(c.var.kit);
  return c.html(home(states), 200, { "content-security-policy": pagePolicy, "cache-control": "no-store" });
}

const onTheWay = (way: Way) => {
  const inside = (target: string): string => (target.startsWith("/api/") ? target.slice(4) : target);
  const { cached } = way;

  return async (c: Context<E>): Promise<Response> => {
    const { target, last } = asked(c.req.url);
    const { cache } = c.var.kit.store;
    if (c.req.method !== "GET" && c.req.method !== "HEAD") {
      try {
        return await passBack(c, way, await forward(c, way, { target: inside(target) }));
      } finally {
        // Also when no answer came: it may have had its effect.
        if (way.changes) cache.forget(...way.changes(last));
      }
    }
    if (!cached) return passBack(c, way, await forward(c, way, { target: inside(target) }));
    const found =
      cache.fresh(target) ??
      (await cache.get(target, cached(last), (tag) => {
        const headers: Record<string, string> = tag === undefined ? {} : { "if-none-match": tag };
        return forwardWhole(c, way, { target: inside(target), headers, anonymous: true });
      }));
    return fromCache(c, found);
  };
};

function fromCache(c: Context<E>, { status, headers: given, body, tag, how, age }: Found): Response {
  const headers = new Headers(given);
  headers.set("cache-status", `edge; ${how}`);
  if (how.startsWith("hit")) headers.set("age", String(age));
  if (tag !== undefined && isCurrent(c, tag)) {
    headers.delete("content-type");
    return new Response(null, { status: 304, headers });
  }
  return new Response(body, { status, headers });
}

export const edge = router<Memory>();
edge.use(limited);
edge.get(
  "/",
  says("What runs here, for people", { 200: { "text/html": null } }),
  open("a page that shows what runs"),
  front,
);
edge.route("/", sessionRoutes);
edge.route("/", deadLetters);
edge.route("/", docRoutes);
for (const way of ways) {
  const go = onTheWay(way);
  // Hono answers HEAD by GET.
  for (const method of way.methods) edge.on(method, way.path, leftTo(way.service), go);
}
for (const [path, methods] of Map.groupBy(
  [...ways, ...sessionPaths, ...deadLetterPaths, ...docPaths, { path: "/", methods: ["GET" as const] }],
  ({ path }) => path,
)) {
  // A path that another one covers leaves the refusal to that one.
  if (ways.some((way) => way.path !== path && covers(way.path, path))) continue;
  const all = methods.flatMap((way) => way.methods);
  const allow = (
    all.includes("GET") ? ["GET", "HEAD", ...all.filter((method) => method !== "GET")] : all
  ).join(", ");
  edge.all(path, () => {
    throw new Problem(405, {
      code: "method-not-allowed",
      detail: `Only ${allow} can be used here`,
      headers: { allow },
    });
  });
}

function covers(pattern: string, path: string): boolean {
  const wanted = pattern.split("/");
  const given = path.split("/");
  return (
    wanted.length === given.length && wanted.every((part, at) => part === given[at] || part.startsWith(":"))
  );
}
