import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { eventually, type TestShop, testShop } from "./shop.ts";

let it: TestShop;
let token: string;

beforeAll(async () => {
  it = await testShop();
  token = await it.token();
}, 600_000);
afterAll(() => it?.stop(), 60_000);

interface Message {
  id: string;
  status: string;
}

/** One connection to an order's progress, read as it comes. */
class Follower {
  readonly messages: Message[] = [];
  /** When each comment came, in milliseconds. */
  readonly beats: number[] = [];
  retry: number | undefined;
  over = false;
  readonly response: Promise<Response>;
  readonly #gone = new AbortController();

  constructor(orderId: string, headers: Record<string, string> = {}) {
    const own: Record<string, string> = "order-key" in headers ? {} : { authorization: `Bearer ${token}` };
    this.response = fetch(`${it.shop.url}/api/orders/${orderId}/events`, {
      headers: { ...own, ...headers },
      signal: this.#gone.signal,
    });
    // However the connection comes to its end, it is over.
    void this.#read()
      .catch(() => {})
      .finally(() => {
        this.over = true;
      });
  }

  leave(): void {
    this.#gone.abort();
  }

  get statuses(): string[] {
    return this.messages.map(({ status }) => status);
  }

  async until(holds: () => boolean, what: string, withinMs = 20_000): Promise<void> {
    await eventually(`${what}: ${JSON.stringify(this.messages)}`, async () => holds(), withinMs);
  }

  async #read(): Promise<void> {
    const { body } = await this.response;
    let text = "";
    const decoder = new TextDecoder();
    for await (const chunk of body ?? new ReadableStream<Uint8Array>()) {
      text += decoder.decode(chunk, { stream: true });
      const blocks = text.split("\n\n");
      text = blocks.pop() ?? "";
      for (const block of blocks) this.#take(block);
    }
  }

  #take(block: string): void {
    if (block.startsWith(":")) this.beats.push(performance.now());
    const field = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(block)?.[1];
    const [id, data] = [field("id"), field("data")];
    if (field("retry")) this.retry = Number(field("retry"));
    if (id !== undefined && data !== undefined) this.messages.push({ id, status: JSON.parse(data).status });
  }
}

const slow = { payment: { method: "test", token: "tok_slow" } };

describe("an order's live progress", () => {
  test("comes through the gateway as it happens, each status once, and goes on after confirm", async () => {
    const sku = await it.product();
    const order = await it.place([{ sku, quantity: 1 }], slow);
    const follower = new Follower(order.id);
    const response = await follower.response;
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toStartWith("text/event-stream");
    expect(response.headers.get("cache-control")).toBe("no-store");
    // Told before the slow payment is through: nothing on the way collects it first.
    await follower.until(() => follower.statuses.includes("reserved"), "reserved");
    expect(follower.statuses).not.toContain("confirmed");
    await follower.until(() => follower.statuses.includes("confirmed"), "confirmed");
    expect(follower.over).toBe(false);
    await it.api.call(`/api/orders/${order.id}/cancel`, { method: "POST" });
    await follower.until(() => follower.over, "the end");
    expect(follower.messages).toEqual([
      { id: "1", status: "placed" },
      { id: "2", status: "reserved" },
      { id: "3", status: "confirmed" },
      { id: "4", status: "cancelled" },
    ]);
    const after = new Follower(order.id, { "last-event-id": "4" });
    expect((await after.response).status).toBe(204);
    const again = new Follower(order.id, { "last-event-id": "2" });
    await again.until(() => again.over, "the end");
    expect(again.messages).toEqual(follower.messages.slice(2));
  }, 60_000);

  test("shows a sign of life at least every ten seconds", async () => {
    const sku = await it.product();
    const order = await it.settled(await it.place([{ sku, quantity: 1 }]));
    const follower = new Follower(order.id);
    await follower.response;
    const began = performance.now();
    await follower.until(() => follower.beats.length >= 2, "two heartbeats", 40_000);
    expect(follower.over).toBe(false);
    const gaps = follower.beats.map((at, index) => at - (follower.beats[index - 1] ?? began));
    for (const gap of gaps) expect(gap).toBeLessThan(10_000);
    follower.leave();
  }, 60_000);

  test("is a guest's with the order's key, and nobody else's", async () => {
    const sku = await it.product();
    const order = (await it.place([{ sku, quantity: 1 }], {}, { guest: true })) as unknown as {
      id: string;
      orderKey: string;
    };
    const follower = new Follower(order.id, { "order-key": order.orderKey });
    await follower.until(() => follower.statuses.includes("confirmed"), "confirmed");
    follower.leave();
    for (const key of ["", "wrong"]) {
      const refused = await new Follower(order.id, { "order-key": key }).response;
      expect([refused.status, refused.headers.get("content-type")]).toEqual([
        404,
        "application/problem+json",
      ]);
    }
    expect(await it.refusal("/api/orders/no-such-order/events")).toMatchObject({ status: 404 });
  }, 60_000);

  test("is told to many at once, and keeps nobody else out", async () => {
    const sku = await it.product();
    const order = await it.place([{ sku, quantity: 1 }], slow);
    // This process has 256 connections, and the shop is run from it.
    const followers = Array.from({ length: 200 }, () => new Follower(order.id));
    for (const follower of followers) expect((await follower.response).status).toBe(200);
    await it.settled(order);
    for (const follower of followers)
      await follower.until(() => follower.statuses.includes("confirmed"), "confirmed");
    for (const follower of followers) {
      expect(follower.statuses).toEqual(["placed", "reserved", "confirmed"]);
      follower.leave();
    }
    const busy = async () =>
      Number(
        /souk_gateway_under_way\{to="orders"[^}]*\} (\d+)/.exec(
          await (await fetch(`${it.shop.url}/metrics`)).text(),
        )?.[1] ?? -1,
      );
    await eventually("nobody is followed for who has gone", async () => (await busy()) === 0, 30_000);
  }, 120_000);

  test("goes on where it was when the service is restarted in between", async () => {
    const sku = await it.product();
    const order = await it.place([{ sku, quantity: 1 }], slow);
    const before = new Follower(order.id);
    await before.until(() => before.messages.length > 0, "the first");
    expect(before.retry).toBeGreaterThan(0);
    await it.shop.kill("orders");
    await before.until(() => before.over, "cut off", 30_000);

    // As an EventSource does: again and again, with the id of the last message.
    const seen = [...before.messages];
    await eventually(
      "confirmed",
      async () => {
        const last = seen.at(-1)?.id ?? "0";
        const next = new Follower(order.id, { "last-event-id": last });
        await eventually(
          "over or confirmed",
          async () => next.over || next.statuses.includes("confirmed"),
          30_000,
        );
        next.leave();
        seen.push(...next.messages);
        return seen.some(({ status }) => status === "confirmed");
      },
      60_000,
    );
    expect(seen).toEqual([
      { id: "1", status: "placed" },
      { id: "2", status: "reserved" },
      { id: "3", status: "confirmed" },
    ]);
  }, 120_000);

  test("does not hold up a service that is to stop", async () => {
    const sku = await it.product();
    const order = await it.settled(await it.place([{ sku, quantity: 1 }]));
    const follower = new Follower(order.id);
    await follower.until(() => follower.messages.length === 3, "all so far");
    await it.shop.kill("orders", "app", "SIGTERM");
    await follower.until(() => follower.over, "the end");
    await it.shop.ready();
    const again = new Follower(order.id, { "last-event-id": "3" });
    expect((await again.response).status).toBe(200);
    again.leave();
  }, 60_000);
});
