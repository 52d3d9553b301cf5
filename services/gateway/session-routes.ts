import { createHash } from "node:crypto";
import { type Env, open, Problem, problemResponse, problems, router, says } from "chassis";
import type { Context, MiddlewareHandler } from "hono";
import * as v from "valibot";
import { addressOf } from "./addresses.ts";
import { SessionView, SignedOut } from "./contracts.ts";
import { cookieName, cookieOf, setCookie } from "./cookies.ts";
import type { Memory } from "./edge.ts";
import { network } from "./limiter.ts";
import type { Begun } from "./openid.ts";
import { isOwnRead, isSafe, requireOwnPage } from "./own-site.ts";
import { seal, unseal } from "./sealing.ts";
import { isId } from "./session-store.ts";
import { failedPage, failedPolicy } from "./sign-in-page.ts";

type E = Env<Memory>;

/** As long as identity waits for somebody to sign in, in seconds. */
const patience = 60 * 60;
/** As long as a person may stay signed in at identity, in seconds; it is over sooner when nothing is asked for. */
const longest = 30 * 24 * 60 * 60;
const where = "gateway.sign-in";

const Kept = v.object({ nonce: v.string(), verifier: v.string(), returnTo: v.string() });

/** Of requests with cookies and no token: gives those of a browser that is signed in the access token of its session. */
export const signedIn: MiddlewareHandler<E> = async (c, next) => {
  const { headers } = c.req.raw;
  const id = c.req.path.startsWith("/api/") ? idOf(c) : undefined;
  const safe = isSafe(c.req.method);
  // What another site makes a browser read gets what everybody gets.
  if (id === undefined || (safe && !isOwnRead(headers))) return next();
  const { kit } = c.var;
  const { limits, sessions } = kit.store;
  const who = network(addressOf(c));
  if (!sessions.knows(id)) limits.ensure(kit.now(), "bad-tokens", "address", who);
  const session = await sessions.current(kit, id);
  if (session === undefined) {
    limits.note(kit, "bad-tokens", "address", who);
    await next();
    return c.res.headers.append("set-cookie", forgotten(c));
  }
  if (!safe) requireOwnPage(headers, kit.config, session.csrf, headers.get("x-souk-csrf") ?? undefined);
  headers.set("authorization", `Bearer ${session.access}`);
  await next();
  c.res.headers.append("vary", "Cookie");
};

export const sessionPaths = [
  { path: "/session", methods: ["GET" as const] },
  { path: "/session/sign-in", methods: ["GET" as const] },
  { path: "/session/callback", methods: ["GET" as const] },
  { path: "/session/sign-out", methods: ["POST" as const] },
];

export const sessionRoutes = router<Memory>()
  .get(
    "/session",
    says("Who is signed in in this browser", { 200: SessionView, 304: "never" }),
    open("says only to whom the cookie belongs"),
    async (c) => {
      const { kit } = c.var;
      const id = isOwnRead(c.req.raw.headers) ? idOf(c) : undefined;
      const session = id === undefined ? undefined : await kit.store.sessions.current(kit, id);
      c.header("vary", "Cookie");
      if (session) {
        const { name, scopes, csrf } = session;
        return c.json({ signedIn: true, name, scopes, csrf });
      }
      if (id !== undefined) c.header("set-cookie", forgotten(c));
      return c.json({ signedIn: false });
    },
  )

  .get(
    "/session/sign-in",
    says("Lead a browser to where a person signs in, and back to `return_to`", {
      302: null,
      ...problems(400, 503),
    }),
    open("leads to the page where a person signs in"),
    async (c) => {
      const { kit } = c.var;
      const returnTo = ownPath(c.req.query("return_to") ?? "/", kit.config.publicUrl);
      const { state, nonce, verifier, url } = await kit.store.sessions.openId.begin(kit);
      const kept = await seal(kit, JSON.stringify({ nonce, verifier, returnTo }), where, state);
      c.header("set-cookie", setCookie(signInName(c, state), kept, patience, secure(c)));
      return c.redirect(url, 302);
    },
  )

  .get(
    "/session/callback",
    says("Where a browser comes back to after signing in", { 303: null, ...problems(400, 503) }),
    open("worth something only with the cookie of the sign-in"),
    async (c) => {
      const { kit } = c.var;
      const { sessions } = kit.store;
      const state = c.req.query("state") ?? "";
      const begun = await begunOf(c, state);
      if (begun === undefined)
        return failed(
          c,
          "sign-in-expired",
          "This sign-in has taken too long, or was begun in another browser",
        );
      const done = setCookie(signInName(c, state), "", 0, secure(c));
      try {
        const tokens = await sessions.openId.finish(kit, new URL(c.req.url).search, begun);
        const before = idOf(c);
        const id = await sessions.begin(kit, tokens);
        if (before !== undefined) await sessions.end(kit, before);
        c.header("set-cookie", done);
        c.header("set-cookie", setCookie(sessionName(c), id, longest, secure(c)), { append: true });
        return c.redirect(begun.returnTo, 303);
      } catch (error) {
        if (error instanceof Problem && error.status >= 500) throw error;
        kit.log.warn({ err: String(error), trace: c.var.trace }, "a sign-in failed");
        return failed(c, "sign-in-failed", "You have not been signed in", done);
      }
    },
  )

  .post(
    "/session/sign-out",
    says("End the session of this browser", { 200: SignedOut, 303: null, ...problems(403) }),
    open("ends nothing but the session of its cookie"),
    async (c) => {
      const { kit } = c.var;
      const { sessions } = kit.store;
      const { headers } = c.req.raw;
      const form = /^application\/x-www-form-urlencoded\b/i.test(headers.get("content-type") ?? "");
      const id = idOf(c);
      const session = id === undefined ? undefined : await sessions.find(kit, id);
      if (id !== undefined && session !== undefined) {
        // A page without script has a field in the place of the header.
        const field = form ? (await c.req.parseBody()).csrf : undefined;
        const shown = headers.get("x-souk-csrf") ?? (typeof field === "string" ? field : undefined);
        requireOwnPage(headers, kit.config, session.csrf, shown);
        await sessions.end(kit, id);
      }
      c.header("set-cookie", forgotten(c));
      // Identity has a session of its own in the browser, and asks there whether to end it.
      const continueAt = await sessions.openId.signOutUrl(kit);
      return form ? c.redirect(continueAt, 303) : c.json({ signedIn: false, continueAt });
    },
  );

const secure = (c: Context<E>): boolean => c.var.kit.config.publicUrl.startsWith("https:");
const sessionName = (c: Context<E>): string => cookieName("souk-session", secure(c));
/** Several sign-ins may be under way, in several tabs. */
const signInName = (c: Context<E>, state: string): string =>
  cookieName(`souk-sign-in-${createHash("sha256").update(state).digest("hex").slice(0, 8)}`, secure(c));
const forgotten = (c: Context<E>): string => setCookie(sessionName(c), "", 0, secure(c));

function idOf(c: Context<E>): string | undefined {
  const id = cookieOf(c.req.raw.headers.get("cookie"), sessionName(c));
  return isId(id) ? id : undefined;
}

async function begunOf(c: Context<E>, state: string): Promise<(Begun & { returnTo: string }) | undefined> {
  const cookie = cookieOf(c.req.raw.headers.get("cookie"), signInName(c, state));
  const text = cookie === undefined ? undefined : await unseal(c.var.kit, cookie, where, state);
  return text === undefined ? undefined : { state, ...v.parse(Kept, JSON.parse(text)) };
}

/**
 * A path of this shop, and nothing that a browser would take for another place.
 * @throws {Problem} 400
 */
function ownPath(path: string, publicUrl: string): string {
  const url = URL.canParse(path, publicUrl) ? new URL(path, publicUrl) : undefined;
  const here = url?.origin === new URL(publicUrl).origin && /^\/(?![/\\])[ -~]*$/.test(path);
  if (url && here && path.length <= 2_000) return url.pathname + url.search + url.hash;
  throw new Problem(400, { code: "invalid-return", detail: "return_to must be a path of this shop" });
}

/** Says what went wrong: to a person as a page, to a program as everywhere. */
function failed(c: Context<E>, code: string, detail: string, cookie?: string): Response | Promise<Response> {
  const headers: Record<string, string> = cookie === undefined ? {} : { "set-cookie": cookie };
  if (!/\btext\/html\b/.test(c.req.header("accept") ?? ""))
    return problemResponse(c, new Problem(400, { code, detail, headers }), c.var.trace);
  return c.html(failedPage(detail), 400, { ...headers, "content-security-policy": failedPolicy });
}
