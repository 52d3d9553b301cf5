import { describe, expect, test } from "bun:test";
import * as v from "valibot";
import { event } from "./event.ts";

const OrderPlaced = event("orders", "order.placed", v.object({ orderId: v.string() }));

describe("event", () => {
  test("makes an event that is ready to be published", () => {
    const placed = OrderPlaced.of({ orderId: "o-1" });
    expect(placed).toEqual({
      specversion: "1.0",
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      type: "order.placed",
      topic: "orders",
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      datacontenttype: "application/json",
      data: { orderId: "o-1" },
    });
    expect(OrderPlaced.of({ orderId: "o-1" }).id).not.toBe(placed.id);
  });

  test("takes what is known, and extensions", () => {
    const options = {
      id: "e-1",
      subject: "o-1",
      source: "shop",
      time: "2026-01-01T00:00:00Z",
      traceparent: "00-1-2-01",
      tenant: "t-1",
    };
    expect(OrderPlaced.of({ orderId: "o-1" }, options)).toMatchObject(options);
  });

  test("lets no option change what the event is", () => {
    const options = { type: "other", topic: "other", data: 1, specversion: "0.3" };
    const { type, topic, data, specversion } = OrderPlaced.of({ orderId: "o-1" }, options);
    expect({ type, topic, data, specversion } as object).toEqual({
      type: "order.placed",
      topic: "orders",
      data: { orderId: "o-1" },
      specversion: "1.0",
    });
  });
});
