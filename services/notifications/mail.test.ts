import { describe, expect, test } from "bun:test";
import { Pace, policyOf, Turns } from "./limits.ts";
import { afterTry, dropped, type Mail } from "./mail.ts";

const at = 1_000_000;
const mail: Mail = {
  id: "e-1",
  template: "verify-email",
  status: "pending",
  userId: "u_1",
  orderId: null,
  language: "en",
  sealed: { to: "x", name: "x", link: "x" },
  facts: null,
  tries: 0,
  reason: null,
  createdAt: at,
  endedAt: null,
};
const unsent = { is: "unsent", reason: "the mail server cannot be reached" } as const;
const days = 24 * 60 * 60_000;

describe("a mail after a try", () => {
  test("sent", () => {
    expect(afterTry(mail, { is: "sent" }, at)).toEqual({
      mail: { status: "sent", tries: 1, reason: null, endedAt: at },
    });
  });

  test.each([
    [0, 1_000],
    [1, 2_000],
    [5, 32_000],
    [9, 300_000],
    [5_000, 300_000],
  ])("unsent after %d tries: again after %d ms", (tries, wait) => {
    expect(afterTry({ ...mail, tries }, unsent, at)).toEqual({
      mail: { status: "pending", tries: tries + 1, reason: unsent.reason, endedAt: null },
      nextAt: at + wait,
    });
  });

  test("a mail server may be away for days; after four nobody waits any more", () => {
    expect(afterTry(mail, unsent, at + 4 * days - 1).mail.status).toBe("pending");
    expect(afterTry(mail, unsent, at + 4 * days)).toEqual({
      mail: { status: "failed", tries: 1, reason: unsent.reason, endedAt: at + 4 * days },
    });
  });

  test("an address that is refused is not tried again", () => {
    const after = afterTry(mail, { is: "refused", reason: "550" }, at);
    expect(after).toEqual({ mail: { status: "failed", tries: 1, reason: "550", endedAt: at } });
  });

  test("dropped says why", () => {
    expect(dropped(mail, "unsubscribed", at).mail).toMatchObject({
      status: "dropped",
      reason: "unsubscribed",
    });
  });
});

describe("limits", () => {
  test("a rush is spread, and what comes later waits for nothing", () => {
    const pace = new Pace(50);
    expect([pace.slot(at), pace.slot(at), pace.slot(at)]).toEqual([at, at + 50, at + 100]);
    expect(pace.slot(at + 10_000)).toBe(at + 10_000);
  });

  test("times are whole", () => {
    const pace = new Pace(1_000 / 30);
    pace.slot(at);
    expect(pace.slot(at)).toBe(at + 33);
  });

  test("a clock that was set back makes nobody wait for it", () => {
    const pace = new Pace(50);
    pace.slot(at + 2 * days);
    expect(pace.slot(at)).toBe(at + 50);
  });

  test("a rush of hours goes out no faster than one of minutes, also after a restart", () => {
    const [pace, next] = [new Pace(100), new Pace(100)];
    const slots = Array.from({ length: 100_000 }, () => pace.slot(at));
    expect(slots.at(-1)).toBe(at + 9_999_900);
    next.behind(100_000, at);
    expect(next.slot(at)).toBe(at + 10_000_000);
  });

  test("turns of one webhook, and of others beside", () => {
    const turns = new Turns(2);
    const [first, second] = [turns.take("a"), turns.take("a")];
    expect(turns.take("a")).toBeUndefined();
    expect(turns.take("b")).toBeDefined();
    first?.();
    expect(turns.take("a")).toBeDefined();
    second?.();
  });

  test("the schedule from outside", () => {
    expect(policyOf({ WEBHOOK_RETRY_MS: "1,2" }).waits).toEqual([1, 2]);
    expect(() => policyOf({ WEBHOOK_RETRY_MS: "soon" })).toThrow("WEBHOOK_RETRY_MS");
    expect(() => policyOf({ WEBHOOK_DISABLE_AFTER_MS: "soon" })).toThrow("WEBHOOK_DISABLE_AFTER_MS");
  });
});
