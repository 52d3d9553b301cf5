import fc from "fast-check";
import type { Operation } from "./contract.ts";
import { attack, type Mutation, mutate, nearly } from "./mutate.ts";
import { oddHeader } from "./odd-headers.ts";
import { type Hints, valid } from "./schema.ts";
import { clumsy, wicked } from "./spoil.ts";
import { encoded, honestText, hostileText, json, junk } from "./values.ts";

/** How the bytes of a body come to be. */
export type How = "bom" | "utf-16" | "latin-1" | "gzip" | "cut" | "chunked" | "twice";

/**
 * One request as it is to be sent. Texts may hold marks such as `{{sku:3}}`, which stand for something that is
 * only known when it is sent.
 */
export interface Ask {
  /** What it should be: `valid` must not be answered as if it were not. */
  kind: "valid" | "nearly" | "hostile" | "wild";
  method: string;
  /** Percent-encoded. */
  path: string;
  query: [string, string][];
  headers: [string, string][];
  /** Scopes of a client's token; a guest has none, a user has what customers have. */
  as: string[] | "guest" | "user";
  body?: { text: string; how: How[] };
}

/** A field that stands for something the shop knows, such as an order. */
export const known = (what: string): fc.Arbitrary<string> => fc.nat(11).map((n) => `{{${what}:${n}}}`);

const scopes = [
  "orders:read",
  "orders:write",
  "orders:manage",
  "catalog:write",
  "inventory:write",
  "payments:manage",
  "users:manage",
  "ops",
];

/** What an honest client asks of an operation. */
export function honest(operation: Operation, hints: Hints): fc.Arbitrary<Ask> {
  return draft(operation, hints).map((made) => finished(tidy(made), "valid"));
}

const fields = (value: unknown): Record<string, unknown> => value as Record<string, unknown>;

/** What a schema cannot say: a resource keeps the name that its path has, an order has lines or a cart. */
function tidy(made: Draft): Draft {
  if (made.media === form) {
    const own = { client_id: "{{clientid:0}}", client_secret: "{{clientsecret:0}}", scope: "orders:read" };
    // A client shows who it is in one way, and asks for what is here.
    // The development client is a machine.
    const grant = "grant_type" in fields(made.value) ? { grant_type: "client_credentials" } : {};
    const { client_assertion: _, client_assertion_type: __, resource: ___, ...rest } = fields(made.value);
    return { ...made, as: "guest", value: { ...rest, ...own, ...grant } };
  }
  if (typeof made.value !== "object" || made.value === null || Array.isArray(made.value)) return made;
  const { sku, cartId, ...rest } = fields(made.value);
  const named = sku === undefined || made.method === "PUT" ? {} : { sku };
  const buys = made.path === "/orders" || made.path === "/quotes";
  const either = buys && rest.lines !== undefined;
  const cart = either || (cartId === undefined && !buys) ? {} : { cartId: cartId ?? "{{cartId:0}}" };
  return { ...made, value: { ...rest, ...named, ...cart } };
}

/** An honest request to which one or two things have happened. */
export function spoiled(operation: Operation, hints: Hints, kind: "nearly" | "hostile"): fc.Arbitrary<Ask> {
  const body = kind === "nearly" ? nearly : attack;
  const inBody = fc
    .array(body, { minLength: 1, maxLength: 2 })
    .map((mutations) => (made: Draft) => mutateBody(made, mutations));
  const hasBody = Object.keys(operation.body).length > 0;
  const elsewhere = kind === "nearly" ? clumsy : wicked;
  const spoil = hasBody
    ? fc.oneof({ weight: 3, arbitrary: inBody }, { weight: 2, arbitrary: elsewhere(operation) })
    : elsewhere(operation);
  return fc.tuple(draft(operation, hints), spoil).map(([made, change]) => finished(change(made), kind));
}

/** Any method on any path. */
export function wild(operations: Operation[]): fc.Arbitrary<Ask> {
  const paths = fc.oneof(
    fc.constantFrom(...operations.map(({ path }) => path.replace(/\{[^}]+\}/g, "{{sku:0}}"))),
    fc
      .array(fc.oneof(hostileText, fc.constantFrom("products", "orders", "stock")).map(encoded), {
        maxLength: 4,
      })
      .map((parts) => `/${parts.join("/")}`),
    fc.constantFrom(
      "/",
      "//",
      "/health",
      "/dapr/config",
      "/_events/",
      "/_events/nothing",
      "/%2e%2e/ready",
      "/products/",
      "/orders//",
      "/orders/%2e%2e/products",
    ),
  );
  return fc.record({
    kind: fc.constant("wild" as const),
    method: fc.constantFrom("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"),
    path: paths,
    query: fc.array(fc.tuple(hostileText, hostileText), { maxLength: 2 }),
    headers: fc.array(oddHeader, { maxLength: 3 }),
    as: fc.constantFrom<string[] | "guest">(scopes, "guest"),
    body: fc.option(
      fc.record({
        text: fc.oneof(
          junk.map(json),
          hostileText.map((text) => text.toWellFormed()),
        ),
        how: fc.constant<How[]>([]),
      }),
      { nil: undefined },
    ),
  });
}

/** A request before its body is text. */
export interface Draft extends Omit<Ask, "kind" | "body"> {
  media?: string;
  value?: unknown;
  how: How[];
}

function draft(operation: Operation, hints: Hints): fc.Arbitrary<Draft> {
  const [media, schema] = Object.entries(operation.body)[0] ?? [];
  const value =
    schema === undefined
      ? fc.constant(undefined)
      : media === ndjson
        ? fc.array(valid(schema, hints), { maxLength: 4 })
        : valid(schema, hints);
  const names = [...operation.path.matchAll(/\{([^}]+)\}/g)].map(([, name = ""]) => name);
  // The id of what: that is said by what stands before it.
  const upTo = (name: string): string => `${operation.path.split(`{${name}}`)[0]}{${name}}`;
  const segment = (name: string): fc.Arbitrary<string> =>
    fc.oneof(
      {
        weight: 5,
        arbitrary: hints[upTo(name)] ?? hints[`{${name}}`] ?? known(name),
      },
      { weight: 1, arbitrary: honestText },
    ) as fc.Arbitrary<string>;
  const query = operation.query.map(({ name, schema: of, required }) => {
    const text = (hints[`?${name}`] ?? valid(of, hints)) as fc.Arbitrary<string>;
    return (required ? text : fc.option(text, { freq: 2 })).map((text) => [name, text] as const);
  });
  const guarded = ["PUT", "PATCH", "DELETE"].includes(operation.method);
  return fc
    .record({
      segments: fc.tuple(...names.map(segment)),
      query: fc.tuple(...query),
      value,
      key: fc.option(
        fc.string({ unit: "grapheme-ascii", minLength: 1, maxLength: 40 }).map((key) => key.trim() || "k"),
        { freq: 3 },
      ),
      match: fc.constantFrom("{{etag}}", "{{etag}}", "{{etag}}", "*", undefined),
      as: fc.oneof(
        { weight: 6, arbitrary: fc.constant(scopes) },
        { weight: 1, arbitrary: fc.constant("guest" as const) },
        { weight: 1, arbitrary: fc.constant("user" as const) },
      ),
    })
    .map(({ segments, query, value, key, match, as }): Draft => {
      let index = 0;
      return {
        method: operation.method,
        path: operation.path.replace(/\{[^}]+\}/g, () =>
          encoded(segments[index++] ?? "").replace(/^\.{1,2}$/, "dots"),
        ),
        query: query.flatMap(([name, text]) => (text === null ? [] : [[name, text] as [string, string]])),
        headers: [
          ...(guarded && match !== undefined ? [["if-match", match] as [string, string]] : []),
          ...(operation.method === "POST" && key !== null
            ? [["idempotency-key", key] as [string, string]]
            : []),
          ...(operation.method === "GET" && match === "{{etag}}"
            ? [["if-none-match", match] as [string, string]]
            : []),
        ],
        as,
        ...(media === undefined ? {} : { media, value }),
        how: [],
      };
    });
}

const ndjson = "application/x-ndjson";
const form = "application/x-www-form-urlencoded";

function finished({ media, value, how, ...ask }: Draft, kind: Ask["kind"]): Ask {
  if (media === undefined) return { ...ask, kind };
  const typed = ask.headers.some(([name]) => name === "content-type");
  return {
    ...ask,
    kind,
    headers: typed ? ask.headers : [...ask.headers, ["content-type", media]],
    body: { text: written(media, value), how },
  };
}

function written(media: string, value: unknown): string {
  if (media === ndjson && Array.isArray(value)) return value.map(json).join("\n");
  if (media === form && typeof value === "object" && value !== null) {
    return Object.entries(value)
      .map(([name, one]) => `${encoded(name)}=${encoded(String(one))}`)
      .join("&");
  }
  return json(value);
}

function mutateBody(made: Draft, mutations: Mutation[]): Draft {
  return { ...made, value: mutations.reduce(mutate, made.value) };
}
