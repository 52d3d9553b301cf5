import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { type Env, fieldErrors, Problem, toProblem } from "chassis";
import type { Context } from "hono";
import { getCookie, setCookie } from "hono/cookie";
import type { html } from "hono/html";
import type { GenericSchema, InferOutput } from "valibot";
import type { Store } from "../store.ts";
import { issuerOf } from "./issuer.ts";
import { errorPage, type Form, type Said } from "./pages.ts";
import { pagePolicy } from "./style.ts";

/** How forms come in and pages go out. */

export type C = Context<Env<Store>>;
export type Fields = Record<string, string>;

type Html = ReturnType<typeof html>;

/** A page as an answer; nobody keeps a copy. */
export async function show(
  c: C,
  page: Html,
  { status = 200, leadsTo }: { status?: number; leadsTo?: string | undefined } = {},
): Promise<Response> {
  c.header("cache-control", "no-store");
  c.header("content-security-policy", pagePolicy(leadsTo));
  c.header("referrer-policy", "no-referrer");
  return c.html(page, status as 200);
}

/** On to another page, by GET. */
export function goOn(c: C, to: string): Response {
  c.header("cache-control", "no-store");
  return c.redirect(to, 303);
}

/** The fields of a form; one that comes twice counts as it came last, files do not count. */
export async function fieldsOf(c: C): Promise<Fields> {
  const type = c.req.header("content-type") ?? "";
  if (!type.startsWith("application/x-www-form-urlencoded")) return {};
  return Object.fromEntries(new URLSearchParams(await c.req.text()));
}

/** The network address of the client, as the gateway saw it. */
export const addressOf = (c: C): string | undefined =>
  c.req.header("x-forwarded-for")?.split(",")[0]?.trim() || undefined;

/**
 * Whether a form came from a page of ours: its token is one that only we can make of `bound`, and the browser, where
 * it says so (Fetch Metadata), sends it from our own pages.
 */
export async function fromUs(c: C, bound: string, token: string | undefined): Promise<boolean> {
  const site = c.req.header("sec-fetch-site");
  if (site !== undefined && site !== "same-origin" && site !== "none") return false;
  const { sealing } = await issuerOf(c.var.kit).open();
  const expected = Buffer.from(sealing.tokenOf(bound));
  const given = Buffer.from(token ?? "");
  return expected.length === given.length && timingSafeEqual(expected, given);
}

/** A form of this page, bound to the browser by a cookie where no interaction does it. */
export async function formFor(c: C, action: string): Promise<Form> {
  const { sealing } = await issuerOf(c.var.kit).open();
  let cookie = browserOf(c);
  if (cookie === undefined) {
    cookie = randomBytes(16).toString("base64url");
    const secure = isSecure(c);
    setCookie(c, cookieName(c), cookie, { httpOnly: true, sameSite: "Strict", path: "/", secure });
  }
  return { action, token: sealing.tokenOf(`${action} ${cookie}`) };
}

/** Whether a form of {@link formFor} came back from the browser that it was made for. */
export async function cameBack(c: C, action: string, { token }: Fields): Promise<boolean> {
  const cookie = browserOf(c);
  return cookie !== undefined && (await fromUs(c, `${action} ${cookie}`, token));
}

const isSecure = (c: C): boolean => c.var.kit.config.publicUrl.startsWith("https:");
const cookieName = (c: C): string => (isSecure(c) ? "__Host-forms" : "forms");

function browserOf(c: C): string | undefined {
  const value = getCookie(c, cookieName(c));
  return value !== undefined && /^[\w-]{22}$/.test(value) ? value : undefined;
}

/** What of a form does not fit, by field. */
export function parsedForm<S extends GenericSchema>(
  schema: S,
  fields: Fields,
): { ok: true; value: InferOutput<S> } | { ok: false; said: Said } {
  const result = schema["~standard"].validate(fields);
  if (result instanceof Promise) throw new TypeError("The schema must be synchronous");
  if (!result.issues) return { ok: true, value: result.value as InferOutput<S> };
  return {
    ok: false,
    said: { wrong: "Something is not as it should be.", fields: byField(fieldErrors(result.issues)) },
  };
}

/** What a refusal says, for the page that the form is on. @throws what is no refusal, but a failure */
export function refusal(error: unknown): { said: Said; status: number } {
  const problem = toProblem(error);
  if (problem.status >= 500 && !(error instanceof Problem)) throw error;
  const wrong =
    problem.status >= 500 ? "The shop has too much to do right now. Try again in a moment." : problem.message;
  return { said: { wrong, fields: byField(problem.errors ?? []) }, status: problem.status };
}

const byField = (errors: readonly { pointer: string; detail: string }[]): Record<string, string> =>
  Object.fromEntries(errors.map(({ pointer, detail }) => [pointer.slice(1), sentence(detail)]));

const sentence = (text: string): string =>
  `${text.charAt(0).toUpperCase()}${text.slice(1)}.`.replace(/\.\.$/, ".");

/** A failure as a page: what went wrong is for the log. */
export function failed(error: Error, c: C): Promise<Response> {
  const problem = toProblem(error);
  const { log } = c.var.kit;
  if (!(error instanceof Problem))
    log.error({ err: error.stack ?? String(error), path: c.req.path, trace: c.var.trace }, "a page failed");
  for (const [name, value] of Object.entries(problem.headers)) c.header(name, value);
  const busy = problem.status === 503;
  return show(c, errorPage({ error: busy ? "temporarily_unavailable" : "server_error" }), {
    status: problem.status,
  });
}

const remembered = 60_000;
const most = 10_000;
const outcomes = new Map<string, { outcome: Promise<unknown>; at: number }>();

/**
 * Does what a form asks for once, although somebody pressed its button twice: the second gets what the first got.
 * @param form this very form: what it is for, its token and what was typed
 */
export function once<T>(form: readonly unknown[], now: number, work: () => Promise<T>): Promise<T> {
  // What was typed may be a password.
  const key = createHash("sha256").update(JSON.stringify(form)).digest("base64url");
  for (const [old, { at }] of outcomes) {
    if (Math.abs(now - at) < remembered && outcomes.size < most) break;
    outcomes.delete(old);
  }
  const before = outcomes.get(key);
  if (before) return before.outcome as Promise<T>;
  const outcome = work();
  outcomes.set(key, { outcome, at: now });
  outcome.catch(() => outcomes.delete(key));
  return outcome;
}
