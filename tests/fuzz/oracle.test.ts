import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { operationAt, operationsOf } from "./contract.ts";
import { mutate, nearly } from "./mutate.ts";
import { judge } from "./oracle.ts";
import { valid } from "./schema.ts";
import type { Answer, Sent } from "./target.ts";
import { conforms, misfit } from "./validate.ts";
import { json } from "./values.ts";

// The fuzzer itself: what it must notice, it notices.

const operations = operationsOf("catalog");
const of = (method: string, path: string) => {
  const operation = operationAt(operations, method, path);
  if (!operation) throw new Error(`there is no ${method} ${path}`);
  return operation;
};
const sent: Sent = { method: "GET", path: "/products/A", headers: [], as: "guest", chunked: false };
const product = { sku: "A", name: "A", price: { amount: 1, currency: "GBP" }, kind: "service", images: [] };
const problem = (status: number, over: object = {}) => ({
  type: "urn:souk:problem:not-found",
  title: "Not Found",
  status,
  detail: "no",
  code: "not-found",
  traceId: "a".repeat(32),
  ...over,
});
function answer(status: number, body: unknown, headers: Record<string, string> = {}): Answer {
  const type = status < 400 ? "application/json" : "application/problem+json";
  const all = { "content-type": type, etag: '"1"', "cache-control": "no-cache", ...headers };
  return {
    status,
    headers: new Headers(all),
    text: typeof body === "string" ? body : JSON.stringify(body),
    ms: 1,
  };
}
const asked = {
  kind: "valid" as const,
  method: "GET",
  path: "",
  query: [],
  headers: [],
  as: "guest" as const,
};
const rule = (given: Answer, request: Sent = sent): string | undefined =>
  judge(asked, request, given, of(request.method, "/products/A"))?.rule;

test("answers that are as they should be pass", () => {
  expect(rule(answer(200, product))).toBeUndefined();
  expect(rule(answer(404, problem(404)))).toBeUndefined();
  expect(rule(answer(404, problem(404, { detail: "There is nothing at /products/!/ ( " })))).toBeUndefined();
  expect(rule({ ...answer(304, ""), text: "" })).toBeUndefined();
});

describe("noticed:", () => {
  test.each<[string, Answer]>([
    ["500", answer(500, problem(500))],
    ["undocumented status 418", answer(418, problem(418))],
    ["body of 200 against its schema", answer(200, { ...product, price: 1 })],
    ["undocumented content type of 200", answer(200, product, { "content-type": "text/html" })],
    ["problem of 404", answer(404, "<html>", { "content-type": "text/html" })],
    ["problem of 404", answer(404, problem(400))],
    ["problem of 404", answer(404, problem(404, { code: "Not Found" }))],
    ["problem of 404", answer(404, problem(404, { errors: [{ pointer: "lines/0", detail: "x" }] }))],
    ["tells of the inside", answer(404, problem(404, { detail: "SQLITE_ERROR near x" }))],
    ["tells of the inside", answer(404, problem(404, { detail: "at decide (order)" }))],
    ["valid input is refused with 400", answer(400, problem(400))],
    ["body where none may be", answer(304, "x")],
    ["slow", { ...answer(200, product), ms: 60_000 }],
    ["header x is not ASCII", answer(200, product, { x: "é" })],
  ])("%s", (wanted, given) => {
    const documented = wanted.startsWith("valid")
      ? judge(asked, sent, given, {
          ...of("GET", "/products/A"),
          answers: { 400: { "application/problem+json": {} } },
        })
      : judge(asked, sent, given, of("GET", "/products/A"));
    expect(documented?.rule).toBe(wanted);
  });

  test("a missing header", () => {
    const bare = answer(200, product);
    bare.headers.delete("etag");
    expect(rule(bare)).toBe("200 without etag");
  });

  test("a body that is taken although its schema forbids it, and a pointer to nothing", () => {
    const body = new TextEncoder().encode('{"sku":"A"}');
    const post: Sent = { ...sent, method: "POST", path: "/products", body };
    const made = answer(201, product, { location: "/api/products/A" });
    expect(judge({ ...asked, method: "POST" }, post, made, of("POST", "/products"))?.rule).toBe(
      "invalid input is taken",
    );
    // No body counts as an empty object: taken where nothing is demanded, not where something is.
    const none = { ...post, body: new Uint8Array() };
    expect(judge({ ...asked, method: "POST" }, none, made, of("POST", "/products"))?.rule).toBe(
      "invalid input is taken",
    );
    // Spaces around a text are taken away before it is judged.
    const bodyOf = (name: string) => ({
      "application/json": { type: "object", properties: { name: { type: "string", pattern: name } } },
    });
    const spaced = { ...post, body: new TextEncoder().encode('{"name":"a\\t"}') };
    const products = of("POST", "/products");
    expect(
      judge({ ...asked, method: "POST" }, spaced, made, { ...products, body: bodyOf("^a$") }),
    ).toBeUndefined();
    expect(
      judge({ ...asked, method: "POST" }, spaced, made, { ...products, body: bodyOf("^b$") })?.rule,
    ).toBe("invalid input is taken");
    const undemanding = { ...products, body: { "application/json": { type: "object" } } };
    expect(judge({ ...asked, method: "POST" }, none, made, undemanding)).toBeUndefined();
    const code = { code: "invalid-body", type: "urn:souk:problem:invalid-body" };
    const wrong = answer(400, problem(400, { ...code, errors: [{ pointer: "/lines/0/sku", detail: "x" }] }));
    expect(
      judge({ ...asked, kind: "nearly", method: "POST" }, post, wrong, of("POST", "/products"))?.rule,
    ).toBe("problem of 400");
  });
});

test("what is made by a schema fits it, and what has been mutated mostly does not", () => {
  const schema = of("POST", "/products").body["application/json"] ?? {};
  fc.assert(fc.property(valid(schema), conforms(schema)), { numRuns: 300 });
  const changed = fc
    .sample(fc.tuple(valid(schema), nearly), 300)
    .map(([value, change]) => json(mutate(value, change)));
  const broken = changed.filter((text) => {
    try {
      return misfit(schema, JSON.parse(text)) !== undefined;
    } catch {
      return true;
    }
  });
  expect(broken.length).toBeGreaterThan(150);
});

test("tokens that JSON does not have are written as they are, unless something has cut them off", () => {
  const value = { a: "\u0001raw 1e4", b: "x", c: "\u0001raw 1e400\u0001", d: '\u0001raw "\\x"\u0001' };
  expect(json(value)).toBe('{"a":"\\u0001raw 1e4","b":"x","c":1e400,"d":"\\x"}');
});
