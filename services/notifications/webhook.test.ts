import { describe, expect, test } from "bun:test";
import {
  type Attempt,
  again,
  type Delivery,
  refusedEvents,
  rotated,
  signing,
  tried,
  usualPolicy,
  type Webhook,
} from "./webhook.ts";

const at = Date.parse("2026-01-01T00:00:00Z");
const hour = 60 * 60_000;
const policy = { waits: [1_000, 10_000], disableAfter: 5 * hour };
const fresh = { attempts: [] };
const well = { failingSince: null };
const failed: Attempt = { at, ms: 5, status: 500 };
const go = (
  delivery: Pick<Delivery, "attempts">,
  webhook: Pick<Webhook, "failingSince">,
  attempt: Attempt,
  spread = 0,
) => tried(delivery, webhook, attempt, { policy, spread });

describe("what follows from a try", () => {
  test.each([200, 201, 204, 299])("%d: delivered, and all is well", (status) => {
    expect(go(fresh, { failingSince: at - hour }, { at, ms: 5, status })).toEqual({
      delivery: { status: "delivered", attempts: [{ at, ms: 5, status }], nextAt: null },
      webhook: { is: "well" },
    });
  });

  test.each([{ status: 301 }, { status: 400 }, { status: 500 }, { error: "The connection was refused" }])(
    "%p: again after a while",
    (said) => {
      expect(go(fresh, well, { at, ms: 5, ...said })).toMatchObject({
        delivery: { status: "pending", nextAt: at + 1_000 },
        webhook: { is: "failing" },
      });
    },
  );

  test("each wait is the next of the schedule, spread a little; after the last it has failed", () => {
    expect(go({ attempts: [failed] }, well, failed, 1).delivery.nextAt).toBe(at + 11_000);
    const last = go({ attempts: [failed, failed] }, well, failed);
    expect(last.delivery).toMatchObject({ status: "failed", nextAt: null });
    expect(last.delivery.attempts).toHaveLength(3);
    expect(last.webhook).toEqual({ is: "failing" });
  });

  test("410: it wants no more", () => {
    expect(go(fresh, well, { at, ms: 5, status: 410 })).toMatchObject({
      delivery: { status: "failed", nextAt: null },
      webhook: { is: "disabled", reason: expect.stringContaining("410") },
    });
  });

  test("failing for too long disables it, with the reason", () => {
    expect(go(fresh, { failingSince: at - 5 * hour + 1 }, failed).webhook).toEqual({ is: "failing" });
    expect(go(fresh, { failingSince: at - 5 * hour }, failed)).toMatchObject({
      delivery: { status: "failed", nextAt: null },
      webhook: { is: "disabled", reason: expect.stringContaining("2025-12-31T19:00:00.000Z") },
    });
  });

  test("the usual schedule ends within four days, before a webhook is given up", () => {
    const total = usualPolicy.waits.reduce((sum, wait) => sum + wait, 0);
    expect(total).toBeGreaterThan(3 * 24 * hour);
    expect(total).toBeLessThan(usualPolicy.disableAfter);
  });

  test("of many tries the last fifty are kept", () => {
    const many = Array.from({ length: 80 }, (_, n) => ({ ...failed, ms: n }));
    expect(go({ attempts: many }, well, failed).delivery.attempts).toHaveLength(50);
  });
});

describe("again", () => {
  const delivery = { attempts: [failed], status: "failed" } as unknown as Delivery;

  test("what has failed, and what was delivered", () => {
    for (const status of ["failed", "delivered"] as const) {
      expect(again({ ...delivery, status }, { status: "enabled" })).toEqual({
        delivery: { status: "pending", nextAt: null },
      });
    }
  });

  test("not while it is disabled, and not before the first try", () => {
    expect(again(delivery, { status: "disabled" })).toMatchObject({ rejected: "webhook-disabled" });
    expect(again({ ...delivery, status: "pending", attempts: [] }, { status: "enabled" })).toMatchObject({
      rejected: "not-tried-yet",
    });
  });
});

describe("secrets", () => {
  test("the one before signs for another day, older ones no more", () => {
    const first = [{ sealed: "a", until: null }];
    const second = rotated(first, "b", at);
    expect(signing(second, at + 24 * hour - 1).map(({ sealed }) => sealed)).toEqual(["b", "a"]);
    expect(signing(second, at + 24 * hour).map(({ sealed }) => sealed)).toEqual(["b"]);
    expect(signing(rotated(second, "c", at + 1), at + 2).map(({ sealed }) => sealed)).toEqual(["c", "b"]);
  });
});

describe("events", () => {
  test("need their scope, each", () => {
    const scopes = new Set(["orders:manage"]);
    expect(refusedEvents(["order.confirmed", "order.cancelled"], scopes)).toBeUndefined();
    expect(refusedEvents(["order.confirmed", "payment.refunded"], scopes)).toMatchObject({
      rejected: "events-not-allowed",
      errors: [{ pointer: "/events/1", detail: expect.stringContaining("payments:manage") }],
    });
  });
});
