import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { type TestService, testService } from "chassis/testing";
import catalog from "./service.ts";
import type { Store } from "./store.ts";

let shop: TestService<Store>;

interface Report {
  accepted: number;
  rejected: { line: number; detail: string }[];
  rejectedCount: number;
}

const gbp = (amount: number) => ({ amount, currency: "GBP" });
const product = (sku: string, over: Record<string, unknown> = {}) => ({
  sku,
  name: `Product ${sku}`,
  price: gbp(255),
  kind: "physical",
  ...over,
});
const line = (sku: string, over: Record<string, unknown> = {}) => JSON.stringify(product(sku, over));
const send = (body: string | Uint8Array | ReadableStream, headers: Record<string, string> = {}) =>
  shop.request("/products/import", {
    method: "POST",
    body,
    headers: { "content-type": "application/x-ndjson", ...headers },
    scopes: ["catalog:write"],
  });
const report = async (body: string | Uint8Array | ReadableStream): Promise<Report> => {
  const response = await send(body);
  expect(response.status).toBe(200);
  return (await response.json()) as Report;
};
const nothingRejected = { rejected: [], rejectedCount: 0 };
const told = async () =>
  (await shop.published()).map(({ type, data }) => {
    const { sku, version, onHand } = data as { sku: string; version?: number; onHand?: number };
    return [type, sku, version ?? onHand];
  });

beforeEach(async () => {
  shop = await testService(catalog, { folder: import.meta.dir });
});
afterEach(() => shop.stop());

describe("an import", () => {
  test("creates, updates, and says what is in stock", async () => {
    expect(await report([line("A", { onHand: 5 }), line("B")].join("\n"))).toEqual({
      accepted: 2,
      ...nothingRejected,
    });
    expect(await report(`${line("A", { name: "Other", onHand: 6 })}\n`)).toEqual({
      accepted: 1,
      ...nothingRejected,
    });
    expect((await told()).filter(([, sku]) => sku === "A")).toEqual([
      ["product.created", "A", 1],
      ["product.stocked", "A", 5],
      ["product.updated", "A", 2],
      ["product.stocked", "A", 6],
    ]);
    expect(await (await shop.request("/products/A")).json()).toMatchObject({ name: "Other" });
  });

  test("of what is there already changes nothing, and accepts it", async () => {
    await report(line("A"));
    expect(await report(line("A"))).toEqual({ accepted: 1, ...nothingRejected });
    expect(await told()).toEqual([["product.created", "A", 1]]);
    expect((await shop.request("/products/A")).headers.get("etag")).toBe('"1"');
  });

  test("takes a weight and a tax class", async () => {
    await report(line("A", { weight: 120, taxClass: "reduced" }));
    const read = await shop.request("/products/A");
    expect(await read.json()).toEqual(product("A", { weight: 120, taxClass: "reduced", images: [] }));
    expect(await report(line("B", { weight: "120" }))).toMatchObject({
      accepted: 0,
      rejected: [{ line: 1, detail: expect.stringContaining("weight") }],
    });
  });

  test("may name a product more than once: the last line holds", async () => {
    const body = [line("A"), line("A", { name: "Second" }), line("A", { name: "Third" })].join("\n");
    expect(await report(body)).toEqual({ accepted: 3, ...nothingRejected });
    expect(await told()).toEqual([
      ["product.created", "A", 1],
      ["product.updated", "A", 2],
      ["product.updated", "A", 3],
    ]);
  });

  test("lists again what was deleted, its version going on", async () => {
    await report(line("A"));
    const headers = { "if-match": "*" };
    await shop.request("/products/A", { method: "DELETE", headers, scopes: ["catalog:write"] });
    await report(line("A"));
    expect((await shop.request("/products/A")).headers.get("etag")).toBe('"3"');
  });

  test("of nothing is nothing", async () => {
    expect(await report("")).toEqual({ accepted: 0, ...nothingRejected });
    expect(await report("\n \n\r\n")).toEqual({ accepted: 0, ...nothingRejected });
  });

  test("takes a byte order mark, CRLF, blank lines, and a last line without an end", async () => {
    const body = `\ufeff${line("A")}\r\n\r\n${line("B")}\r\n \t\n{\n${line("C")}`;
    expect(await report(body)).toMatchObject({ accepted: 3, rejected: [{ line: 5 }], rejectedCount: 1 });
  });

  test.each<[string | Uint8Array, RegExp]>([
    ["{", /not JSON/],
    ["[]", /./],
    ["null", /./],
    ['"A"', /./],
    [line("B", { price: 2.55 }), /^\/price: /],
    [line("B", { surprise: 1 }), /^\/surprise: /],
    [line("B", { onHand: -1 }), /^\/onHand: /],
    [line("B", { onHand: 1.5 }), /^\/onHand: /],
    [line(" B"), /^\/sku: /],
    [line("B", { kind: undefined }), /^\/kind: /],
    [line("B", { name: "x".repeat(300_000) }), /longer than 262144 bytes/],
    [Buffer.concat([Buffer.from('{"sku":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')]), /UTF-8/],
  ])("rejects the line %#, and only that one", async (bad, why) => {
    const body = Buffer.concat([
      Buffer.from(`${line("A")}\n`),
      Buffer.from(bad),
      Buffer.from(`\n${line("C")}\n`),
    ]);
    const { accepted, rejected, rejectedCount } = await report(new Uint8Array(body));
    expect({ accepted, rejectedCount }).toEqual({ accepted: 2, rejectedCount: 1 });
    expect(rejected).toMatchObject([{ line: 2 }]);
    expect(rejected[0]?.detail).toMatch(why);
    expect((await shop.request("/products?limit=100").then((r) => r.json())) as unknown).toMatchObject({
      items: [{ sku: "A" }, { sku: "C" }],
    });
  });

  test("is cut into lines wherever its bytes are", async () => {
    const body = Buffer.from(`${line("Ä")}\r\n${line("茶", { name: "Ünïcödé 🫖" })}\n`);
    const stream = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const byte of body) controller.enqueue(Uint8Array.of(byte));
        controller.close();
      },
    });
    expect(await report(stream)).toEqual({ accepted: 2, ...nothingRejected });
    expect(await (await shop.request(`/products/${encodeURIComponent("茶")}`)).json()).toMatchObject({
      name: "Ünïcödé 🫖",
    });
  });

  test("is taken in as it comes: what came is there before the rest is sent", async () => {
    let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
    const stream = new ReadableStream<Uint8Array>({
      start(its) {
        controller = its;
      },
    });
    const answer = report(stream);
    const first = Array.from({ length: 200 }, (_, i) => `${line(`A${i}`)}\n`).join("");
    controller?.enqueue(Buffer.from(first));
    for (let events = 0; events < 200; events = (await shop.published()).length) await turn();
    controller?.enqueue(Buffer.from(line("B")));
    controller?.close();
    expect(await answer).toEqual({ accepted: 201, ...nothingRejected });
  });

  test("that breaks off keeps what came before, and says so", async () => {
    let sent = 0;
    const stream = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (sent === 300) controller.error(new Error("gone"));
        else controller.enqueue(Buffer.from(`${line(`A${sent++}`)}\n`));
      },
    });
    const response = await send(stream);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ code: "body-incomplete" });
    expect((await shop.request("/products/A199")).status).toBe(200);
  });

  test("beside another one of the same products loses nothing of either", async () => {
    const body = (name: string) => Array.from({ length: 500 }, (_, i) => line(`P${i}`, { name })).join("\n");
    const reports = await Promise.all(["One", "Two", "Three"].map((name) => report(body(name))));
    expect(reports.map(({ accepted }) => accepted)).toEqual([500, 500, 500]);
    const versions = new Map<string, number[]>();
    for (const { subject = "", data } of await shop.published()) {
      versions.set(subject, [...(versions.get(subject) ?? []), (data as { version: number }).version]);
    }
    expect(versions.size).toBe(500);
    for (const seen of versions.values()) expect(seen).toEqual(seen.map((_, i) => i + 1));
  });

  test("of 5,000 lines is taken at once, and told of line by line", async () => {
    const body = Array.from({ length: 5_000 }, (_, i) =>
      line(`SKU ${i}`, {
        name: `White hanging heart T-light holder number ${i}`,
        category: `C${i % 20}`,
        onHand: i,
      }),
    ).join("\n");
    expect(await report(body)).toEqual({ accepted: 5_000, ...nothingRejected });
    expect((await shop.published()).length).toBe(10_000);
    const found = await shop.request("/products?search=hanging%20number%204999");
    expect(await found.json()).toMatchObject({ items: [{ sku: "SKU 4999" }], nextCursor: null });
  }, 120_000);

  test("reports the first 10,000 rejected lines, and counts all", async () => {
    const result = await report("x\n".repeat(10_005));
    expect(result.rejected).toHaveLength(10_000);
    expect(result.rejected.at(-1)?.line).toBe(10_000);
    expect(result).toMatchObject({ accepted: 0, rejectedCount: 10_005 });
  });

  test("of more than 64 MiB is refused: before it is read when it says so, else where it becomes so", async () => {
    const announced = await send(line("A"), { "content-length": String(64 * 1024 * 1024 + 1) });
    expect(announced.status).toBe(413);
    expect((await shop.request("/products/A")).status).toBe(404);
    const long = new Uint8Array(1024 * 1024).fill(32, 0, -1);
    long[long.length - 1] = 10;
    let sent = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (sent++ > 70) controller.close();
        else controller.enqueue(long);
      },
    });
    expect((await send(endless)).status).toBe(413);
  });

  test("of the demo's products is taken whole, and all that has to be in stock is", async () => {
    expect(await report(await Bun.file(`${import.meta.dir}/demo.ndjson`).text())).toEqual({
      accepted: 25,
      ...nothingRejected,
    });
    const stocked = (await shop.published()).filter(({ type }) => type === "product.stocked");
    expect(stocked).toHaveLength(24);
  });

  test("happens once for one Idempotency-Key", async () => {
    const key = { "idempotency-key": "k-1" };
    const first = await send(`${line("A", { onHand: 5 })}\n{`, key);
    const [again, other] = [await send(`${line("A", { onHand: 5 })}\n{`, key), await send(line("B"), key)];
    expect(again.status).toBe(200);
    expect(again.headers.get("idempotent-replayed")).toBe("true");
    expect((await again.json()) as unknown).toEqual(await first.json());
    expect(other.status).toBe(409);
    expect(await told()).toEqual([
      ["product.created", "A", 1],
      ["product.stocked", "A", 5],
    ]);
  });

  test("that was refused or broke off leaves its Idempotency-Key free", async () => {
    const key = { "idempotency-key": "k-1" };
    expect((await send(line("A"), { ...key, "content-type": "text/plain" })).status).toBe(415);
    expect((await send(line("A"), key)).status).toBe(200);
  });

  test("is NDJSON, and says so", async () => {
    expect((await send(line("A"), { "content-type": "application/json" })).status).toBe(415);
    expect((await send(line("A"), { "content-type": "application/x-ndjson; charset=utf-8" })).status).toBe(
      200,
    );
  });
});

const turn = () => new Promise((resolve) => setImmediate(resolve));
