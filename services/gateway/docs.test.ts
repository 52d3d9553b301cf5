import { afterEach, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { brotliDecompressSync } from "node:zlib";
import asyncApiSchema from "@asyncapi/specs/schemas/3.0.0-without-$id.json";
import Ajv from "ajv";
import formats from "ajv-formats";
import { type TestOptions, type TestService, testService } from "chassis/testing";
import type { Memory } from "./edge.ts";
import { covers } from "./openapi-merge.ts";
import gateway from "./service.ts";
import { ways } from "./ways.ts";

let shop: TestService<Memory>;
afterEach(() => shop?.stop());

const start = async (options: Partial<TestOptions> = {}): Promise<void> => {
  shop = await testService(gateway, { folder: import.meta.dir, ...options });
};

interface Document {
  openapi: string;
  paths: Record<string, Record<string, { summary?: string; operationId: string; responses: object }>>;
  components: Record<string, Record<string, unknown>>;
  tags: { name: string }[];
}
const document = async (): Promise<Document> => (await (await shop.edge("/openapi.json")).json()) as Document;

/** Every `$ref` of a value. */
function references(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(references);
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, one]) =>
    key === "$ref" && typeof one === "string" ? [one] : references(one),
  );
}

const at = (whole: unknown, reference: string): unknown =>
  reference
    .slice(2)
    .split("/")
    .reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], whole);

test("the whole API is described, also when no service answers", async () => {
  await start();
  const { openapi, paths, tags } = await document();
  expect(openapi).toBe("3.1.0");
  for (const { path, methods } of ways.filter((way) => !way.pages)) {
    const described = Object.keys(paths).filter((one) => covers(path, one));
    for (const method of methods)
      expect([path, described.some((one) => paths[one]?.[method.toLowerCase()])]).toEqual([path, true]);
  }
  expect(Object.keys(paths)).toEqual(expect.arrayContaining(["/ready", "/api/dead-letters", "/docs"]));
  expect(tags.map(({ name }) => name)).toEqual(expect.arrayContaining(["orders", "catalog", "gateway"]));
});

test("every reference leads somewhere, and every operation has a name of its own", async () => {
  await start();
  const whole = await document();
  expect(references(whole).filter((one) => at(whole, one) === undefined)).toEqual([]);
  const used = new Set(references(whole));
  const unused = Object.entries(whole.components)
    .filter(([kind]) => kind !== "securitySchemes")
    .flatMap(([kind, named]) => Object.keys(named).map((name) => `#/components/${kind}/${name}`))
    .filter((one) => !used.has(one));
  expect(unused).toEqual([]);
  const ids = Object.values(whole.paths).flatMap((methods) =>
    Object.values(methods).map(({ operationId }) => operationId),
  );
  expect(ids.length).toBe(new Set(ids).size);
});

test("a service describes itself; when it is down, what it said last holds", async () => {
  let said: object | undefined = {
    info: { title: "catalog", version: "9.0.0" },
    paths: {
      "/products": { get: { operationId: "p", summary: "New", responses: { 200: { description: "OK" } } } },
      "/products/hidden/way": { get: { operationId: "h", summary: "No way in", responses: {} } },
    },
    components: {},
  };
  let now = 1_000_000;
  await start({
    now: () => now,
    others: ({ url }) =>
      said !== undefined && url.endsWith("/catalog/method/openapi.json")
        ? Response.json(said)
        : Response.json({ errorCode: "ERR_DIRECT_INVOKE" }, { status: 500 }),
  });
  const first = await document();
  expect(first.paths["/api/products"]?.get?.summary).toBe("New");
  expect(Object.keys(first.paths)).not.toContain("/api/products/hidden/way");
  expect(Object.keys(first.paths)).toContain("/api/orders");
  said = undefined;
  for (let i = 0; i < 3; i++) {
    now += 60_000;
    expect((await document()).paths["/api/products"]?.get?.summary).toBe("New");
  }
});

test("what is no contract is not taken for one", async () => {
  await start({ others: () => Response.json({ status: "up" }) });
  const { paths } = await document();
  expect(Object.keys(paths)).toContain("/api/orders");
  expect(await (await shop.edge("/docs/events")).text()).toContain("order.placed");
});

test("names that mean two things are told apart", async () => {
  const schema = (type: string) => ({ components: { schemas: { Money: { type } } } });
  const operation = (operationId: string) => ({
    operationId,
    responses: {
      200: {
        description: "OK",
        content: { "application/json": { schema: { $ref: "#/components/schemas/Money" } } },
      },
    },
  });
  const info = { title: "", version: "1.0.0" };
  await start({
    others: ({ url }) => {
      if (url.endsWith("/catalog/method/openapi.json"))
        return Response.json({ info, ...schema("integer"), paths: { "/products": { get: operation("a") } } });
      if (url.endsWith("/payments/method/openapi.json"))
        return Response.json({
          info,
          ...schema("string"),
          paths: { "/payments/ledger": { get: operation("b") } },
        });
      return Response.json({ errorCode: "ERR_DIRECT_INVOKE" }, { status: 500 });
    },
  });
  const whole = await document();
  const moneyOf = (path: string) =>
    at(whole, references(whole.paths[path]?.get).find((one) => one.includes("Money")) ?? "");
  expect(moneyOf("/api/products")).toEqual({ type: "integer" });
  expect(moneyOf("/api/payments/ledger")).toEqual({ type: "string" });
});

test.each(["/openapi.json", "/asyncapi.json", "/docs/scalar.js", "/docs/start.js"])(
  "%s is not sent twice to whoever has it",
  async (path) => {
    await start();
    const first = await shop.edge(path);
    const etag = first.headers.get("etag") ?? "";
    expect([first.status, etag]).toEqual([200, expect.stringMatching(/^"[\w-]{27}"$/)]);
    const again = await shop.edge(path, { headers: { "if-none-match": etag } });
    expect([again.status, await again.text()]).toEqual([304, ""]);
  },
);

test("the events are AsyncAPI 3.0, and every example fits its schema", async () => {
  await start();
  const whole = (await (await shop.edge("/asyncapi.json")).json()) as {
    channels: object;
    components: {
      messages: Record<string, { payload: object; examples: { payload: { data: object } }[] }>;
    };
  };
  const ajv = formats.default(new Ajv({ strict: false, validateFormats: false }));
  const valid = ajv.compile(asyncApiSchema);
  expect(valid(whole) ? [] : valid.errors).toEqual([]);
  expect(references(whole).filter((one) => at(whole, one) === undefined)).toEqual([]);
  expect(Object.keys(whole.channels)).toEqual(
    expect.arrayContaining(["orders", "catalog", "inventory", "payments"]),
  );
  ajv.addSchema({ $id: "https://shop.test/events", components: whole.components });
  for (const [name, { examples }] of Object.entries(whole.components.messages)) {
    const fits = ajv.compile({
      $ref: `https://shop.test/events#/components/messages/${name}/payload`,
    });
    for (const { payload } of examples) {
      expect([name, fits(payload) ? [] : fits.errors]).toEqual([name, []]);
      expect([name, fits({ ...payload, type: "other" })]).toEqual([name, false]);
    }
  }
}, 60_000);

test("the page of the events has no script, and names every event", async () => {
  await start();
  const response = await shop.edge("/docs/events");
  const page = await response.text();
  const policy = response.headers.get("content-security-policy") ?? "";
  const sheet = /<style>([\s\S]*)<\/style>/.exec(page)?.[1] ?? "";
  expect(policy).toContain(`'sha256-${createHash("sha256").update(sheet).digest("base64")}'`);
  expect(policy).not.toMatch(/unsafe|script-src/);
  expect(page).not.toContain("<script");
  for (const name of ["order.placed", "stock.reserved", "payment.captured", "lines[].sku"])
    expect(page).toContain(name);
});

test("the page of the API allows no inline script or style, and nothing from elsewhere", async () => {
  await start();
  const response = await shop.edge("/docs");
  const page = await response.text();
  const policy = response.headers.get("content-security-policy") ?? "";
  const nonce = /'nonce-([^']+)'/.exec(policy)?.[1] ?? "";
  expect(policy).toContain("default-src 'none'");
  expect(policy).toContain("script-src 'self'");
  expect(policy).not.toMatch(/unsafe|https?:/);
  expect(page).toContain(`<meta property="csp-nonce" content="${nonce}">`);
  expect(page).not.toMatch(/https?:|<script(?! src="\/docs\/)|style=|<style/);
  expect((await (await shop.edge("/docs")).text()).includes(nonce)).toBe(false);
});

test("the reference is the one that its note says, sent small to whoever takes it so", async () => {
  await start();
  const note = JSON.parse(readFileSync(join(import.meta.dir, "vendor/scalar/vendored.json"), "utf8")) as {
    integrity: string;
    version: string;
  };
  const plain = await shop.edge("/docs/scalar.js");
  const text = new Uint8Array(await plain.arrayBuffer());
  expect(`sha512-${createHash("sha512").update(text).digest("base64")}`).toBe(note.integrity);
  expect(plain.headers.get("content-type")).toBe("text/javascript; charset=utf-8");
  const small = await shop.edge("/docs/scalar.js", { headers: { "accept-encoding": "gzip, br" } });
  expect(small.headers.get("content-encoding")).toBe("br");
  const packed = new Uint8Array(await small.arrayBuffer());
  expect(packed.length).toBeLessThan(1_000_000);
  expect(Buffer.compare(brotliDecompressSync(packed), text)).toBe(0);
  const refused = await shop.edge("/docs/scalar.js", { headers: { "accept-encoding": "gzip, br;q=0" } });
  expect(refused.headers.get("content-encoding")).toBeNull();
});
