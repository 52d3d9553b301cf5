import type { Operation } from "./contract.ts";
import type { Ask } from "./request.ts";
import { type Answer, patience, type Sent } from "./target.ts";
import { misfit } from "./validate.ts";

/** What an answer does that it must not: `rule` names the kind, so that one bug is reported once. */
export interface Violation {
  rule: string;
  detail: string;
}

const refusalsAnywhere = [400, 401, 404, 405, 413, 431];

/**
 * Holds an answer against the operation's contract and against what api.md promises of every answer.
 * @param operation what was asked for; `undefined` where the contract knows nothing of the kind
 */
export function judge(
  ask: Ask,
  sent: Sent,
  answer: Answer,
  operation: Operation | undefined,
): Violation | undefined {
  const { status, headers, text, ms } = answer;
  const say = (rule: string, detail: string): Violation => ({ rule, detail });
  if (status >= 500) return say(`${status}`, text.slice(0, 500));
  if (ms > patience) return say("slow", `${Math.round(ms)} ms`);
  const empty = sent.method === "HEAD" || status === 204 || status === 304;
  if (empty && text !== "") return say("body where none may be", text.slice(0, 200));
  const inside = status < 400 ? undefined : leak(text, sent);
  if (inside) return say("tells of the inside", inside);
  if (status >= 400 && !isForeign(operation, answer)) {
    const wrong = empty ? undefined : problem(answer, sent, ask);
    if (wrong) return wrong;
  }
  const promised = promisedHeaders(sent, answer, operation);
  if (promised) return promised;
  if (operation === undefined) {
    return status < 400 || refusalsAnywhere.includes(status)
      ? undefined
      : say("undocumented path", `${status}`);
  }
  const described = operation.answers[status];
  if (described === undefined) return say(`undocumented status ${status}`, text.slice(0, 500));
  if (!empty) {
    const media = mediaOf(headers);
    const schema = described[media];
    if (schema === undefined && !(Object.keys(described).length === 0 && text === "")) {
      return say(
        `undocumented content type of ${status}`,
        `${media}, not ${Object.keys(described).join(" or ") || "nothing"}`,
      );
    }
    if (schema) {
      const wrong = misfit(schema, parsed(text));
      if (wrong) return say(`body of ${status} against its schema`, `${wrong}: ${text.slice(0, 500)}`);
    }
  }
  return acceptance(ask, sent, answer, operation);
}

const mediaOf = (headers: Headers): string => (headers.get("content-type") ?? "").split(";")[0]?.trim() ?? "";

/** The OpenID Provider's refusals have a form of their own (RFC 6749); the contract says so. */
const isForeign = (operation: Operation | undefined, { status, headers }: Answer): boolean =>
  mediaOf(headers) !== "application/problem+json" &&
  operation?.answers[status]?.[mediaOf(headers)] !== undefined;

function problem({ status, headers, text }: Answer, sent: Sent, ask: Ask): Violation | undefined {
  const say = (detail: string): Violation => ({
    rule: `problem of ${status}`,
    detail: `${detail}: ${text.slice(0, 400)}`,
  });
  if (headers.get("content-type")?.split(";")[0] !== "application/problem+json")
    return say(`not problem+json but ${headers.get("content-type")}`);
  const body = parsed(text) as {
    type: string;
    status: number;
    code: string;
    title: string;
    traceId: string;
    errors?: { pointer: string; detail: string }[];
  };
  if (body === undefined || body === null) return say("not JSON");
  if (body.status !== status) return say("another status within");
  if (!/^[a-z]+(-[a-z]+)*$/.test(body.code)) return say("no stable code");
  if (body.type !== `urn:souk:problem:${body.code}` || !body.title) return say("no type or title");
  if (!/^[0-9a-f]{32}$/.test(body.traceId)) return say("no trace id");
  for (const { pointer, detail } of body.errors ?? []) {
    if (!/^(\/([^~]|~[01])*)*$/s.test(pointer) || !detail) return say(`no JSON Pointer: ${pointer}`);
    // A merge patch is judged as a part of the whole, which the sender does not hold.
    if (body.code === "invalid-body" && ask.method !== "PATCH" && !pointsInto(sent, pointer))
      return say(`points at nothing: ${pointer}`);
  }
  return undefined;
}

/** A pointer names a place of the body, or one that is missing from a place of the body. */
function pointsInto({ body }: Sent, pointer: string): boolean {
  let value = parsed(new TextDecoder().decode(body));
  const keys = pointer
    .split("/")
    .slice(1)
    .map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"));
  for (const key of keys.slice(0, -1)) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return false;
    value = (value as Record<string, unknown>)[key];
  }
  return keys.length === 0 || (typeof value === "object" && value !== null);
}

function promisedHeaders(
  { method }: Sent,
  answer: Answer,
  operation: Operation | undefined,
): Violation | undefined {
  const { status, headers } = answer;
  const needs = (name: string): Violation | undefined =>
    headers.has(name) ? undefined : { rule: `${status} without ${name}`, detail: "" };
  for (const [name, value] of headers) {
    if (!/^[\t -~]*$/.test(value))
      return { rule: `header ${name} is not ASCII`, detail: JSON.stringify(value) };
  }
  switch (status) {
    case 201:
      return needs("location") ?? needs("etag");
    case 202:
      if (isOps(operation)) return undefined;
      // A delivery is seen in its list only: it has no version of its own.
      return needs("location") ?? (operation?.path.endsWith("/redeliver") ? undefined : needs("etag"));
    case 200:
      // What is followed has no version to be asked for.
      return method === "GET" && operation && !isOps(operation) && mediaOf(headers) !== "text/event-stream"
        ? (needs("etag") ?? needs("cache-control"))
        : undefined;
    case 304:
    case 412:
      return needs("etag");
    case 401:
      return isForeign(operation, answer) ? undefined : needs("www-authenticate");
    case 405:
      return needs("allow");
    case 429:
      return needs("retry-after");
    default:
      return undefined;
  }
}

/** What only operators see is neither cached nor changed under a condition. */
/** What operators do with the machinery: dead letters and signing keys are no resources of the shop. */
const isOps = (operation: Operation | undefined): boolean =>
  /^\/(dead-letters|keys)(\/|$)/.test(operation?.path ?? "");

const machinery =
  /\bat [^ /]+ \(|\.(ts|mjs|js):\d+|node_modules|SQLITE_|SQLite|drizzle|\/root\/|\/tmp\/|(Type|Range|Syntax|Reference)Error|ECONN|\bbun:|\[object |127\.0\.0\.1|dapr-api-token|ERR_[A-Z]{3}|select .+ from /;

/** A piece of the machinery that shows, unless it is what the client has said itself. */
function leak(text: string, sent: Sent): string | undefined {
  const found = machinery.exec(text)?.[0];
  if (found === undefined) return undefined;
  const said =
    decodeURIComponent(sent.path.replace(/%(?![0-9a-f]{2})/gi, "%25").replace(/%[89a-f][0-9a-f]/gi, "?")) +
    new TextDecoder().decode(sent.body) +
    JSON.stringify(sent.headers);
  return said.includes(found) || text.length > 50_000 ? undefined : `${found} in ${text.slice(0, 300)}`;
}

const trimmed = (value: unknown): unknown => {
  if (typeof value === "string") return value.trim();
  if (Array.isArray(value)) return value.map(trimmed);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, trimmed(one)]));
};

/** What fits must not be refused as if it did not, and what does not fit must not be taken. */
function acceptance(
  ask: Ask,
  sent: Sent,
  { status, text }: Answer,
  operation: Operation,
): Violation | undefined {
  // What a merge patch makes of the whole, its schema cannot say. What somebody else has to sign, no case can be.
  if (
    ask.kind === "valid" &&
    ask.method !== "PATCH" &&
    !text.includes('"code":"invalid-signature"') &&
    (status === 400 || status === 413 || status === 415)
  ) {
    return { rule: `valid input is refused with ${status}`, detail: text.slice(0, 500) };
  }
  const schema = operation.body["application/json"] ?? operation.body["application/merge-patch+json"];
  if (schema === undefined || status < 200 || status > 299 || sent.body === undefined) return undefined;
  // Nothing at all is as good as an empty object.
  const body = parsed(new TextDecoder().decode(sent.body) || "{}");
  // Spaces around a text are taken away before it is judged, which JSON Schema cannot say.
  const wrong = misfit(schema, body) && misfit(schema, trimmed(body));
  return wrong ? { rule: "invalid input is taken", detail: wrong } : undefined;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
