import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { type TestService, testService } from "chassis/testing";
import { PaymentCaptured, ProductCreated, StockRefused, StockReserved } from "./contracts.ts";
import orders from "./service.ts";
import type { Store } from "./store.ts";

let shop: TestService<Store>;

beforeEach(async () => {
  shop = await testService(orders, { folder: import.meta.dir });
  const price = { amount: 255, currency: "GBP" };
  await shop.deliver(ProductCreated, { sku: "A", name: "A", price, kind: "physical", version: 1 });
});
afterEach(() => shop.stop());

interface Message {
  id: string;
  data: { orderId: string; status: string; reason?: string };
}

async function place(guest = false): Promise<{ id: string; orderKey: string }> {
  const response = await shop.request("/orders", {
    method: "POST",
    ...(guest ? {} : { scopes: ["orders:read", "orders:write"], caller: "ada" }),
    body: {
      lines: [{ sku: "A", quantity: 1 }],
      customer: { email: "ada@example.com", name: "Ada" },
      shippingAddress: { name: "Ada", line1: "1 Main Street", city: "London", country: "GB" },
      payment: { method: "test", token: "tok_ok" },
    },
  });
  return (await response.json()) as { id: string; orderKey: string };
}

const follow = (id: string, headers: Record<string, string> = {}, caller = "ada") =>
  shop.request(`/orders/${id}/events`, {
    headers,
    ...("order-key" in headers ? {} : { scopes: ["orders:read"], caller }),
  });

/** The messages of a stream as they come. */
async function* messages(response: Response): AsyncGenerator<Message> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? new ReadableStream<Uint8Array>()) {
    text += decoder.decode(chunk, { stream: true });
    const parts = text.split("\n\n");
    text = parts.pop() ?? "";
    for (const part of parts) {
      const id = /^id: (.*)$/m.exec(part)?.[1];
      const data = /^data: (.*)$/m.exec(part)?.[1];
      if (id !== undefined && data !== undefined) yield { id, data: JSON.parse(data) };
    }
  }
}

const all = async (response: Response): Promise<string[]> => {
  const seen: string[] = [];
  for await (const { id, data } of messages(response)) seen.push(`${id} ${data.status}`);
  return seen;
};

describe("the live progress of an order", () => {
  test("tells every status as it comes, and ends with the last one", async () => {
    const { id: orderId } = await place();
    const response = await follow(orderId);
    expect(response.headers.get("content-type")).toStartWith("text/event-stream");
    const stream = messages(response);
    expect((await stream.next()).value).toMatchObject({ id: "1", data: { orderId, status: "placed" } });
    await shop.deliver(StockRefused, { orderId });
    expect((await stream.next()).value).toMatchObject({
      id: "2",
      data: { status: "rejected", reason: "out-of-stock" },
    });
    expect((await stream.next()).done).toBe(true);
  });

  test("goes on after a step that was seen, with the same ids each time", async () => {
    const { id: orderId } = await place();
    await shop.deliver(StockReserved, { orderId });
    const stream = messages(await follow(orderId, { "last-event-id": "1" }));
    expect((await stream.next()).value).toMatchObject({ id: "2", data: { status: "reserved" } });
    await shop.deliver(PaymentCaptured, { orderId });
    expect((await stream.next()).value).toMatchObject({ id: "3", data: { status: "confirmed" } });
  });

  test("begins anew after an id that it has never given", async () => {
    const { id: orderId } = await place();
    await shop.deliver(StockRefused, { orderId });
    for (const id of ["7", "-1", "x", ""])
      expect(await all(await follow(orderId, { "last-event-id": id }))).toEqual(["1 placed", "2 rejected"]);
  });

  test("tells whoever has seen the end not to come back", async () => {
    const { id: orderId } = await place();
    await shop.deliver(StockRefused, { orderId });
    const response = await follow(orderId, { "last-event-id": "2" });
    expect([response.status, await response.text()]).toEqual([204, ""]);
  });

  test("is for those who may see the order: its owner, and a guest with its key", async () => {
    const { id: hers } = await place();
    expect((await follow(hers, {}, "eve")).status).toBe(404);
    const { id: guests, orderKey } = await place(true);
    expect((await follow(guests, { "order-key": "wrong" })).status).toBe(404);
    await shop.deliver(StockRefused, { orderId: guests });
    expect(await all(await follow(guests, { "order-key": orderKey }))).toEqual(["1 placed", "2 rejected"]);
  });

  test("is told to many at once", async () => {
    const { id: orderId } = await place();
    const followers = await Promise.all(Array.from({ length: 200 }, () => follow(orderId)));
    const seen = Promise.all(followers.map(all));
    await shop.deliver(StockRefused, { orderId });
    for (const one of await seen) expect(one).toEqual(["1 placed", "2 rejected"]);
  });

  test("ends when the service stops, so that its followers come back elsewhere", async () => {
    const { id: orderId } = await place();
    const seen = all(await follow(orderId));
    await shop.stop();
    expect(await seen).toEqual(["1 placed"]);
  });
});

describe("how far many orders are", () => {
  interface Statuses {
    items: { id: string; version: number; status: string }[];
  }
  const ask = async (ids: string[], scopes: string[], caller: string): Promise<Statuses> =>
    (await (
      await shop.request(`/order-statuses?ids=${ids.join(",")}`, { scopes, caller })
    ).json()) as Statuses;

  test("is told of those that the caller may see, each once, as they are now", async () => {
    const mine = await place();
    const guests = await place(true);
    await shop.deliver(StockReserved, { orderId: mine.id });
    const all = [mine.id, guests.id, mine.id, "nobody-s"];
    expect(await ask(all, ["orders:read"], "ada")).toEqual({
      items: [{ id: mine.id, version: 2, status: "reserved" }],
    });
    expect(await ask(all, ["orders:read"], "eve")).toEqual({ items: [] });
    const { items } = await ask(all, ["orders:manage"], "staff");
    expect(items.map(({ id, status }) => `${id} ${status}`).sort()).toEqual(
      [`${mine.id} reserved`, `${guests.id} placed`].sort(),
    );
  });

  test("takes one to a hundred ids", async () => {
    const status = async (ids: string): Promise<number> =>
      (await shop.request(`/order-statuses?ids=${ids}`, { scopes: ["orders:read"], caller: "ada" })).status;
    const many = (count: number): string => Array.from({ length: count }, (_, at) => `id-${at}`).join(",");
    expect(await Promise.all(["", "a,", ",a", "a b", many(101)].map(status))).toEqual(Array(5).fill(400));
    expect(await Promise.all(["a", many(100)].map(status))).toEqual([200, 200]);
  });
});
