import type { Handler, Hono, MiddlewareHandler } from "hono";
import { findTargetHandler } from "hono/utils/handler";
import { uniqueSymbol } from "hono-openapi";
import { type Caller, guest as nobody, unauthorised } from "./auth.ts";
import { Problem } from "./problem.ts";

/** Who may call a route: said in its code, held by middleware, shown in its contract. */
export interface Statement {
  /** Guests may call it, and why that does no harm. */
  open?: string;
  /** Who decides in the end: this route only passes requests on. */
  leftTo?: string;
  /** A token with any of these reaches all there is. */
  all?: string[];
  /** A token with any of these reaches what is its caller's own; `user`: every user's token does. */
  own?: string[] | "user";
  /** The header with the secret that opens one single thing, to guests as well. */
  key?: string;
  /** What is nobody's in particular is open to whoever knows its id, which cannot be guessed. */
  byId?: true;
}

/** What a caller may reach where not all is everybody's: the store is asked for that and nothing else. */
export type Reach =
  | "all"
  | {
      /** The id of the caller, to whom it must belong. */
      owner?: string;
      /** The secret that the caller shows for it. */
      key?: string;
    };

/** The reach of a route that does not say anything about it. */
export const nothing: Reach = {};

type AccessEnv = { Variables: { caller: Caller; reach: Reach } };
type Guard = MiddlewareHandler<AccessEnv>;

const statements = new WeakMap<object, Statement>();

/**
 * Lets everybody pass. A caller with a token needs one of the scopes, where there are some: a token does what it was
 * given for, and no more.
 * @param why what makes that harmless
 * @throws {Problem} 403 for a token without the scope
 */
export function open(why: string, ...scopes: string[]): Guard {
  return stated({ open: why, ...(scopes.length > 0 ? { all: scopes } : {}) }, async (c, next) => {
    const { caller } = c.var;
    if (scopes.length > 0 && caller.kind !== "guest" && !holds(caller, scopes)) throw missing(scopes);
    await next();
  });
}

/** Lets everybody pass to whoever decides: for a route that sends requests on to another service. */
export const leftTo = (who: string): Guard => stated({ leftTo: who }, (_, next) => next());

/**
 * Lets a request pass whose caller holds one of the scopes.
 * @throws {Problem} 401 without a token, 403 without the scope
 */
export function allow(...scopes: string[]): Guard {
  return stated({ all: scopes }, async (c, next) => {
    const { caller } = c.var;
    if (caller.kind === "guest") throw anonymous(scopes);
    if (!holds(caller, scopes)) throw missing(scopes);
    c.set("reach", "all");
    await next();
  });
}

export interface Ownership {
  /** With any of these a caller reaches what is everybody's. */
  all: string[];
  /** With any of these a caller reaches what is their own; `user`: every user does, by being signed in. */
  own: string[] | "user";
  /** The header with the secret that opens one thing to whoever shows it. */
  key?: string;
  /** What is nobody's in particular is open to whoever knows its id, which cannot be guessed. */
  byId?: true;
}

/**
 * Lets a request pass whose caller may have something here, and says in `c.var.reach` what: it goes into the query, so
 * that what is others' is not found, like what does not exist.
 * @throws {Problem} 401 without a token where no key opens anything, 403 for a token without the scope and no key
 */
export function owned({ all, own, key: header, byId }: Ownership): Guard {
  const scopes = own === "user" ? all : [...own, ...all];
  const statement = { all, own, ...(header === undefined ? {} : { key: header }), ...(byId ? { byId } : {}) };
  return stated(statement, async (c, next) => {
    const { caller } = c.var;
    const key = header === undefined ? undefined : c.req.header(header);
    const guest = caller.kind === "guest";
    const mayOwn =
      !guest && caller.id !== nobody.id && (own === "user" ? caller.kind === "user" : holds(caller, own));
    if (guest && header === undefined && !byId) throw anonymous(scopes);
    if (!guest && !mayOwn && !byId && key === undefined && !holds(caller, all)) throw missing(scopes);
    const theirs = { ...(mayOwn ? { owner: caller.id } : {}), ...(key === undefined ? {} : { key }) };
    c.set("reach", holds(caller, all) ? "all" : theirs);
    await next();
  });
}

const holds = ({ scopes }: Caller, wanted: readonly string[]): boolean =>
  wanted.some((scope) => scopes.has(scope));

const anonymous = (scopes: string[]): Problem =>
  unauthorised(
    undefined,
    scopes.length > 0 ? `This needs a token with the scope ${scopes.join(" or ")}` : "This needs a token",
  );

const missing = (scopes: string[]): Problem =>
  new Problem(403, {
    code: "insufficient-scope",
    detail:
      scopes.length > 0
        ? `This needs the scope ${scopes.join(" or ")}`
        : "This is for users, not for clients",
    headers: {
      "www-authenticate": `Bearer realm="souk", error="insufficient_scope", scope="${scopes.join(" ")}"`,
    },
  });

/** The middleware, which the start and the OpenAPI document can ask what it says. */
function stated(statement: Statement, middleware: Guard): Guard {
  statements.set(middleware, statement);
  return Object.assign(middleware, {
    [uniqueSymbol]: { spec: { security: securityOf(statement), "x-access": statement } },
  });
}

/** The statement as OpenAPI's alternatives: any one of them will do, and an empty one stands for nothing at all. */
export function securityOf({
  open: why,
  all = [],
  own = [],
  key,
  byId,
}: Statement): Record<string, string[]>[] {
  return [
    ...(why === undefined && !byId ? [] : [{}]),
    ...(own === "user" ? [{ oauth: [] }] : own.map((scope) => ({ oauth: [scope] }))),
    ...all.map((scope) => ({ oauth: [scope] })),
    ...(key === undefined ? [] : [{ [key.toLowerCase()]: [] }]),
  ];
}

/** A route of a service, with what it says about its callers. */
export interface Stated {
  method: string;
  /** As Hono writes it. */
  path: string;
  statement: Statement | undefined;
}

/** Every route of an app, with its statement. What is for all methods is no route: it guards, counts or refuses. */
// biome-ignore lint/suspicious/noExplicitAny: what its handlers find in their context does not matter here
export function statementsOf(app: Hono<any>): Stated[] {
  const routes = new Map<string, Stated>();
  for (const { method, path, handler } of app.routes) {
    if (method === "ALL") continue;
    const name = `${method} ${path}`;
    const statement = statements.get(findTargetHandler(handler as Handler)) ?? routes.get(name)?.statement;
    routes.set(name, { method, path, statement });
  }
  return [...routes.values()];
}

/**
 * Default deny: a service with a route that does not say who may call it does not start.
 * @throws {Error} naming the routes
 */
// biome-ignore lint/suspicious/noExplicitAny: as above
export function requireStatements(name: string, ...apps: Hono<any>[]): void {
  const silent = apps.flatMap(statementsOf).filter(({ statement }) => statement === undefined);
  if (silent.length === 0) return;
  const routes = silent.map(({ method, path }) => `${method} ${path}`).join(", ");
  throw new Error(
    `${name} does not say who may call ${routes}: put allow("a:scope"), owned({ all, own, key }) or open("why") before the handler`,
  );
}
