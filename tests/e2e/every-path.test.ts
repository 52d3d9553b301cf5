import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { seed } from "../../packages/souk/src/seed.ts";
import { edge } from "../../services/gateway/edge.ts";
import { covers } from "../../services/gateway/openapi-merge.ts";
import { ways } from "../../services/gateway/ways.ts";
import { misfit } from "../fuzz/validate.ts";
import { type Called, Caller, inOrder, type Operation, operationsOf } from "./examples.ts";
import { foreignProvider } from "./foreign-provider.ts";
import { served } from "./served.ts";
import { type TestShop, testShop } from "./shop.ts";

// The document is held against the gateway, and every operation of it against a real shop: by its own example, as it
// stands there, or by the end-to-end test that says (and is held to it, in `served.ts`) that it does it.

// It signs in a person.
const provider = await foreignProvider();

let it: TestShop;
let operations: Operation[];
let caller: Caller;

beforeAll(async () => {
  it = await testShop({ RATE_LIMITS: "on", ...provider.env });
  // Examples name what a first start brings.
  await seed(it.shop.url, it.shop.home);
  const token = await it.token();
  const client = JSON.parse(readFileSync(join(it.shop.home.dir, "dev-client.json"), "utf8")) as Record<
    string,
    string
  >;
  const credentials = new URLSearchParams({
    client_id: client.clientId ?? "",
    client_secret: client.clientSecret ?? "",
  });
  const another = await it.token();
  caller = new Caller(it, token, (text) =>
    text
      .replace(/client_id=\w+&client_secret=…/, credentials.toString())
      .replace("token=…", `token=${another}`),
  );
  operations = operationsOf((await (await fetch(`${it.shop.url}/openapi.json`)).json()) as { paths: object });
}, 600_000);
afterAll(async () => {
  await it?.stop();
  await provider.stop();
}, 60_000);

const name = ({ method, path }: Pick<Operation, "method" | "path">): string => `${method} ${path}`;

describe("the document and the gateway", () => {
  // What is for all methods guards, counts or refuses; files of a page are no operations, nor are pages with forms.
  const pages = ways.filter((way) => way.pages).map(({ path }) => path);
  const routes = [
    ...edge.routes.filter(
      ({ method, path }) => method !== "ALL" && !pages.includes(path) && !path.endsWith(".js"),
    ),
    ...["/health", "/ready", "/metrics"].map((path) => ({ method: "GET", path })),
  ];

  test("whatever is served is described", () => {
    const missing = routes.filter(
      ({ method, path }) => !operations.some((one) => one.method === method && covers(path, one.path)),
    );
    expect(missing.map(name)).toEqual([]);
  });

  test("whatever is described is served", () => {
    const missing = operations.filter(
      (one) => !routes.some(({ method, path }) => one.method === method && covers(path, one.path)),
    );
    expect(missing.map(name)).toEqual([]);
  });
});

test("every operation has an example that works, or a test that does it", () => {
  const elsewhere = new Set(Object.values(served).flat());
  const untested = operations.filter((one) => !one.hasExample && !elsewhere.has(name(one)));
  expect(untested.map(name)).toEqual([]);
  const known = new Set(operations.map(name));
  expect([...elsewhere].filter((one) => !known.has(one))).toEqual([]);
});

test("every example works as it stands, and is answered as the document says", async () => {
  const wrong: string[] = [];
  for (const operation of inOrder(operations.filter(({ hasExample }) => hasExample))) {
    const called = await patiently(operation);
    const trouble = troubleOf(operation, called);
    if (trouble !== undefined) wrong.push(`${name(operation)}: ${trouble}`);
  }
  expect(wrong).toEqual([]);
}, 300_000);

test("every answer that is shown is one that the document allows", () => {
  const shown = operations.flatMap((operation) =>
    Object.entries(operation.responses).flatMap(([status, { content = {} }]) =>
      Object.values(content).flatMap(({ schema, example }) =>
        schema && example !== undefined
          ? [`${name(operation)} ${status}: ${misfit(schema, example) ?? ""}`]
          : [],
      ),
    ),
  );
  expect(shown.length).toBeGreaterThan(5);
  expect(shown.filter((one) => !one.endsWith(": "))).toEqual([]);
});

test("a person's own cart takes over the one that was begun before signing in", async () => {
  const token = await provider.tokenOf("u_ada", "orders:read orders:write");
  const headers = { authorization: `Bearer ${token}` };
  const lines = [{ sku: "TEA-MINT", quantity: 3 }];
  const guest = { method: "POST", body: { lines }, guest: true };
  const begun = await it.api.call<{ id: string }>("/api/carts", guest);
  const merge = { method: "POST", body: { cartId: begun.body.id }, guest: true, headers };
  await it.api.call("/api/carts/mine/merge", merge);
  const mine = await it.api.call<{ lines: object[] }>("/api/carts/mine", { guest: true, headers });
  expect(mine.body.lines).toMatchObject(lines);
}, 60_000);

test("a signing key is withdrawn, and not listed any more", async () => {
  const listed = async () =>
    (await it.api.call<{ items: { kid: string; state: string }[] }>("/api/keys")).body.items;
  const next = (await listed()).find(({ state }) => state === "next");
  expect(next).toBeDefined();
  await it.api.call(`/api/keys/${next?.kid}`, { method: "DELETE" });
  expect((await listed()).map(({ kid }) => kid)).not.toContain(next?.kid);
}, 60_000);

/** What other services have to hear of first takes a moment: the same call is answered then. */
async function patiently(operation: Operation): Promise<Called> {
  const until = performance.now() + 15_000;
  for (;;) {
    const called = await caller.call(operation);
    const later = [404, 409, 422, 503].includes(called.status);
    if (!later || performance.now() > until) return called;
    await Bun.sleep(50);
  }
}

function troubleOf({ responses }: Operation, { status, headers, text }: Called): string | undefined {
  const described = responses[status];
  if (status >= 400 || described === undefined) return `${status} ${text.slice(0, 300)}`;
  for (const header of Object.keys(described.headers ?? {}))
    if (!headers.has(header)) return `${status} without ${header}`;
  if (described.content === undefined) return text === "" ? undefined : `${status} with a body`;
  const media = headers.get("content-type")?.split(";")[0] ?? "";
  const content = described.content[media];
  if (content === undefined) return `${status} with ${media}, not ${Object.keys(described.content)}`;
  if (content.schema === undefined) return text === "" ? `${status} without a body` : undefined;
  const misfits = misfit(content.schema, JSON.parse(text));
  return misfits && `${status}: ${misfits}: ${text.slice(0, 300)}`;
}
