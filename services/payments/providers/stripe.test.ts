import { beforeEach, describe, expect, test } from "bun:test";
import type { Call, FakeStripe } from "../../../tests/stripe/fake.ts";
import type { Money } from "../payment.ts";
import { ask } from "./provider.ts";
import { patient, stripeOn } from "./stripe.fixture.ts";
import type { StripeProvider } from "./stripe.ts";

const amount = { amount: 1_530, currency: "GBP" };
const day = 24 * 60 * 60_000;

let fake: FakeStripe;
let provider: StripeProvider;
let reference: string;

beforeEach(() => {
  ({ fake, provider } = stripeOn());
  reference = "";
});

async function open(orderId = "o-1", money: Money = amount): Promise<unknown> {
  const opened = await provider.open({ key: `${orderId}:open`, orderId, amount: money }, patient);
  if ("reference" in opened) reference = opened.reference;
  return opened;
}
const of = (key: string) => ({ key: `o-1:${key}`, orderId: "o-1", reference });
/** What it says, as a word where it approves. */
const authorise = async (token = "pm_card_visa") => {
  const answer = await provider.authorise({ ...of("authorise"), amount, token }, patient);
  return typeof answer === "object" && "approved" in answer ? "approved" : answer;
};
const capture = () => provider.capture({ ...of("capture"), amount, final: true }, patient);
const capturePart = (part: string, minor: number, final = false) =>
  provider.capture({ ...of(`capture:${part}`), amount: { ...amount, amount: minor }, part, final }, patient);
const refund = (number: number, minor: number) =>
  provider.refund({ ...of(`refund:${number}`), amount: { ...amount, amount: minor } }, patient);
const held = () =>
  fake
    .intents("o-1")
    .reduce((all, one) => all + one.amount_capturable + one.amount_received - one.refunded, 0);

/** Breaks the connection once, before or after Stripe has done what such a call asks for. */
function breakOnce(when: "before" | "after", path: RegExp): void {
  fake.interfere = (now, call) => {
    if (now !== when || call.method !== "POST" || !path.test(call.path)) return undefined;
    fake.interfere = undefined;
    throw new Error("the connection broke");
  };
}
const answerOnce = (status: number, error: Record<string, unknown>): void => {
  fake.interfere = (): Response => {
    fake.interfere = undefined;
    return Response.json({ error }, { status });
  };
};

describe("what is asked of Stripe", () => {
  test("is one intent, confirmed once, captured by hand, with our key and the order's id", async () => {
    await open();
    await authorise();
    await capture();
    expect(fake.calls.map(({ method, path, key }) => `${method} ${path} ${key}`)).toEqual([
      "POST /v1/payment_intents o-1:open",
      `POST /v1/payment_intents/${reference}/confirm o-1:authorise`,
      `POST /v1/payment_intents/${reference}/capture o-1:capture`,
    ]);
    expect(fake.intents()).toMatchObject([
      { amount: 1_530, currency: "gbp", metadata: { orderId: "o-1", shop: "http://shop.test" } },
    ]);
  });

  test("is in the minor units that Stripe has", async () => {
    await open("o-1", { amount: 1_530, currency: "JPY" });
    await open("o-2", { amount: 1_530, currency: "ISK" });
    await open("o-3", { amount: 153_000, currency: "MGA" });
    expect(fake.intents().map(({ amount: minor, currency }) => `${minor} ${currency}`)).toEqual([
      "1530 jpy",
      "153000 isk",
      "1530 mga",
    ]);
    expect(await provider.statement("o-3", reference)).toMatchObject({
      total: { amount: 153_000, currency: "MGA" },
    });
  });

  test.each([
    [{ amount: 1_535, currency: "KWD" }, "amount_not_payable"],
    [{ amount: 29, currency: "GBP" }, "amount_too_small"],
    [{ amount: 100_000_000, currency: "GBP" }, "amount_too_large"],
  ])("of %j is declined: %s", async (money, declined) => {
    expect(await open("o-1", money)).toEqual({ declined });
    expect(fake.intents()).toEqual([]);
  });
});

describe("a card", () => {
  test.each([
    ["pm_card_chargeDeclined", "generic_decline"],
    ["pm_card_chargeDeclinedInsufficientFunds", "insufficient_funds"],
    // Its holder does not learn from us that it was reported.
    ["pm_card_chargeDeclinedLostCard", "generic_decline"],
    ["pm_card_authenticationRequired", "authentication_required"],
    ["pm_of_nobody", "resource_missing"],
  ])("%s is declined: %s", async (token, declined) => {
    await open();
    expect(await authorise(token)).toEqual({ declined });
    expect(held()).toBe(0);
    // Another day, when Stripe has forgotten the key.
    fake.later(2 * day);
    expect(await authorise(token)).toEqual({ declined });
    expect(held()).toBe(0);
  });

  test("that wants to ask its holder something is declined, and not left waiting", async () => {
    await open();
    fake.interfere = () => {
      fake.interfere = undefined;
      return Response.json({ id: reference, object: "payment_intent", status: "requires_action" });
    };
    expect(await authorise()).toEqual({ declined: "authentication_required" });
  });

  test("that is still being looked at is asked for again", async () => {
    await open();
    fake.interfere = () => {
      fake.interfere = undefined;
      return Response.json({ id: reference, object: "payment_intent", status: "processing" });
    };
    await expect(authorise()).rejects.toThrow("has not decided yet");
    expect(await authorise()).toBe("approved");
  });
});

describe.each(["before", "after"] as const)("when the connection breaks %s Stripe has done it", (when) => {
  test.each([0, 2 * day])("and is tried again %i ms later, nothing happens twice", async (wait) => {
    const again = async <T>(path: RegExp, call: () => Promise<T>): Promise<T> => {
      breakOnce(when, path);
      await expect(call()).rejects.toThrow();
      fake.later(wait);
      return call();
    };
    await again(/payment_intents$/, open);
    await again(/confirm$/, authorise);
    expect(held()).toBe(1_530);
    await again(/capture$/, capture);
    await again(/refunds$/, () => refund(1, 500));
    expect(held()).toBe(1_030);
    await again(/refunds$/, () => refund(2, 1_030));
    expect(held()).toBe(0);
    // Whatever is left over of the first try was never confirmed.
    expect(fake.intents("o-1").filter(({ status }) => status !== "requires_payment_method")).toHaveLength(1);
    expect(await provider.statement("o-1", reference)).toMatchObject({ state: "captured", refunded: 1_530 });
  });

  test.each([0, 2 * day])("a void that is tried again %i ms later lets go once", async (wait) => {
    await open();
    await authorise();
    breakOnce(when, /cancel$/);
    const letGo = () => provider.void(of("void"), patient);
    await expect(letGo()).rejects.toThrow();
    fake.later(wait);
    expect(await letGo()).toEqual([]);
    expect(held()).toBe(0);
  });

  test.each([0, 2 * day])("and parts are tried again %i ms later, each is captured once", async (wait) => {
    await open();
    await authorise();
    const again = async <T>(path: RegExp, call: () => Promise<T>): Promise<T> => {
      breakOnce(when, path);
      await expect(call()).rejects.toThrow();
      fake.later(wait);
      return call();
    };
    expect(await again(/capture$/, () => capturePart("s-1", 500))).toBe("captured");
    expect(await again(/capture$/, () => capturePart("s-2", 500))).toBe("captured");
    expect(fake.intents("o-1")).toMatchObject([{ amount_received: 1_000, amount_capturable: 530 }]);
    expect(await again(/refunds$/, () => refund(1, 100))).toBe(100);
    const taken = [
      { key: "s-1", amount: 500 },
      { key: "s-2", amount: 500 },
    ];
    expect(await again(/capture$/, () => provider.void(of("void"), patient))).toEqual(taken);
    expect(fake.intents("o-1")).toMatchObject([
      { status: "succeeded", amount_received: 1_000, refunded: 100 },
    ]);
  });
});

describe("an authorisation", () => {
  const approval = (token = "pm_card_visa"): Promise<unknown> =>
    provider.authorise({ ...of("authorise"), amount, token }, patient);

  test("says until when it lasts, and whether it can be captured only once", async () => {
    await open();
    const until = Math.floor(fake.now() / 1_000) * 1_000 + 7 * day;
    const answer = (await approval()) as { until: number };
    expect<unknown>(answer).toEqual({ approved: true, until: expect.any(Number) });
    expect(Math.abs(answer.until - until)).toBeLessThan(5_000);
    // Whoever asks again hears the same.
    expect(await approval()).toEqual(answer);
    fake.later(2 * day);
    expect(await approval()).toEqual(answer);
    ({ fake, provider } = stripeOn());
    await open();
    expect(await approval("pm_card_credit_disableEnterpriseCardFeatures")).toMatchObject({ whole: true });
  });

  test("that can be captured only once is, for all of it or with the rest let go of", async () => {
    await open();
    await approval("pm_card_credit_disableEnterpriseCardFeatures");
    expect(await capturePart("s-1", 500)).toEqual({ refused: "partial-capture-unavailable" });
    expect(fake.intents("o-1")).toMatchObject([{ amount_received: 0, amount_capturable: 1_530 }]);
    expect(await capturePart("s-1", 500, true)).toBe("captured");
    expect(fake.intents("o-1")).toMatchObject([{ status: "succeeded", amount_received: 500 }]);
  });

  test("that has run out leaves what was captured", async () => {
    await open();
    await approval();
    await capturePart("s-1", 500);
    fake.expire("o-1");
    const taken = [{ key: "s-1", amount: 500 }];
    expect(await capturePart("s-2", 500)).toEqual({ voided: taken });
    expect(await capturePart("s-2", 1_030, true)).toEqual({ voided: taken });
    expect(await provider.statement("o-1", reference)).toMatchObject({ state: "captured", captures: taken });
  });

  test("that somebody captured on Stripe's own pages is in the statement, under no name", async () => {
    await open();
    await approval();
    await capturePart("s-1", 500);
    fake.captureByHand("o-1", 300);
    expect(await provider.statement("o-1", reference)).toMatchObject({
      state: "open",
      captures: [{ amount: 300 }, { key: "s-1", amount: 500 }],
    });
  });

  test("whose capture the bank declines is refused", async () => {
    await open();
    await approval();
    fake.interfere = (when, { path }) => {
      if (when !== "before" || !path.endsWith("capture")) return undefined;
      fake.interfere = undefined;
      return Response.json({ error: { type: "card_error", code: "card_declined" } }, { status: 402 });
    };
    expect(await capturePart("s-1", 500)).toEqual({ refused: "payment-declined" });
    // Asked for again, with another amount, it is another call.
    expect(await capturePart("s-1", 400)).toBe("captured");
  });
});

describe("an error of Stripe's", () => {
  test.each([
    [429, { type: "invalid_request_error", code: "rate_limit" }, "StripeRateLimitError"],
    [500, { type: "api_error" }, "StripeAPIError"],
    [503, { type: "api_error" }, "StripeAPIError"],
    [409, { type: "invalid_request_error", code: "idempotency_key_in_use" }, "StripeAPIError"],
    [400, { type: "invalid_request_error", code: "lock_timeout" }, "StripeInvalidRequestError"],
    [
      404,
      { type: "invalid_request_error", code: "resource_missing", param: "intent" },
      "StripeInvalidRequestError",
    ],
  ])("%i %j is thrown, so that the job comes again", async (status, error, name) => {
    await open();
    answerOnce(status, error);
    const thrown = await authorise().catch((caught: unknown) => caught);
    expect((thrown as { type: string }).type).toBe(name);
    expect(await authorise()).toBe("approved");
  });

  test("a key that Stripe does not know is said so, and not shown", async () => {
    ({ provider, fake } = stripeOn(undefined, { key: "sk_live_wrong" }));
    const thrown = String(await open().catch((error: unknown) => error));
    expect(thrown).toContain("put a valid one into the secret stripe-api-key");
    expect(thrown).not.toContain("sk_live");
  });

  test("a key that may not do this is said so", async () => {
    await open();
    answerOnce(403, { type: "invalid_request_error" });
    await expect(authorise()).rejects.toThrow("may not do this");
  });

  test("no answer in time is an authorisation that is let go of", async () => {
    await open();
    const call = {
      ...of("authorise"),
      method: "stripe",
      operation: "authorise" as const,
      amount,
      token: "pm_card_visa",
    };
    let answered = (_?: undefined): void => undefined;
    fake.interfere = (when: string, { path }: Call) => {
      if (when !== "after" || !path.endsWith("confirm")) return undefined;
      return new Promise((resolve) => {
        answered = resolve;
      });
    };
    expect(await ask(provider, call, 50)).toEqual({ type: "declined", reason: "timed-out" });
    answered();
    expect(held()).toBe(0);
    expect(fake.intents("o-1")).toMatchObject([{ status: "canceled" }]);
  });

  test("no answer in time to the first call holds nothing", async () => {
    fake.interfere = () => new Promise<undefined>(() => undefined);
    const call = { key: "o-1:authorise", orderId: "o-1", method: "stripe", operation: "authorise" as const };
    expect(await ask(provider, { ...call, amount, token: "pm_card_visa" }, 20)).toEqual({
      type: "declined",
      reason: "timed-out",
    });
    expect(held()).toBe(0);
  });
});

describe("an order that is given up", () => {
  const call = { key: "o-1:authorise", orderId: "o-1", method: "stripe", operation: "authorise" as const };
  const givenUp = { ...call, amount, token: "pm_card_visa", givenUp: true };

  test("before Stripe knows of it needs nothing of Stripe", async () => {
    fake.interfere = () => {
      throw new Error("Stripe is away");
    };
    expect(await ask(provider, givenUp, 1_000)).toEqual({ type: "declined", reason: "timed-out" });
    expect(fake.calls).toEqual([]);
  });

  test("is let go of without being asked for", async () => {
    await open();
    expect(await ask(provider, { ...givenUp, reference }, 1_000)).toEqual({
      type: "declined",
      reason: "timed-out",
    });
    expect(fake.calls.filter(({ path }) => path.endsWith("confirm"))).toEqual([]);
    expect(fake.intents("o-1")).toMatchObject([{ status: "canceled" }]);
  });
});

describe("what others do on Stripe's own pages", () => {
  beforeEach(async () => {
    await open();
    await authorise();
  });

  test("a hold that Stripe has let go of cannot be captured any more", async () => {
    fake.expire("o-1");
    expect(await capture()).toEqual({ voided: [] });
  });

  test("money that they gave back counts as given back, and is not given back twice", async () => {
    await capture();
    fake.refundByHand("o-1", 530);
    expect(await provider.statement("o-1", reference)).toMatchObject({ refunds: [], refunded: 530 });
    // We did not know, and wanted to give back all of it.
    expect(await refund(1, 1_530)).toBe(1_530);
    expect(await refund(1, 1_530)).toBe(1_530);
    expect(held()).toBe(0);
    expect(await provider.statement("o-1", reference)).toMatchObject({
      refunds: [{ number: 1, amount: 1_530 }],
      refunded: 1_530,
    });
    // Nothing is left, and the customer has it.
    expect(await refund(2, 10)).toBe(10);
    expect(held()).toBe(0);
  });

  test("what a bank disputes is not refunded; what it has taken back is not given back twice", async () => {
    await capture();
    await refund(1, 530);
    fake.dispute("o-1", "under_review");
    await expect(refund(2, 1_000)).rejects.toThrow("has not decided yet");
    expect(await provider.statement("o-1", reference)).toMatchObject({ refunded: 530 });
    fake.dispute("o-1", "lost");
    expect(await refund(2, 1_000)).toBe(1_000);
    expect(await provider.statement("o-1", reference)).toMatchObject({ refunded: 1_530 });
    expect(fake.intents("o-1")).toMatchObject([{ refunded: 530, lost: 1_000 }]);
  });

  test("what a bank has decided for the shop can be refunded", async () => {
    await capture();
    fake.dispute("o-1", "needs_response");
    fake.dispute("o-1", "won");
    expect(await refund(1, 1_000)).toBe(1_000);
    expect(held()).toBe(530);
  });

  test("a dispute is in the statement", async () => {
    await capture();
    fake.dispute("o-1", "needs_response");
    expect((await provider.statement("o-1", reference))?.disputes).toMatchObject([
      { status: "needs_response", reason: "fraudulent", amount: 1_530 },
    ]);
  });
});

test("payments of another shop on the same account are not named", async () => {
  await open();
  const page = await stripeOn(fake, { shop: "http://other.test" }).provider.askedSince(0, { limit: 10 });
  expect(page.payments).toEqual([]);
});

test("what happened to older payments is found by its events", async () => {
  await open();
  await authorise();
  fake.later(10 * day);
  const since = fake.now();
  await capture();
  const named: string[] = [];
  for (let after: string | undefined = "intents:"; after; ) {
    const page = await provider.askedSince(since, { after, limit: 10 });
    named.push(...page.payments.map(({ orderId }) => orderId));
    after = page.after;
  }
  expect([...new Set(named)]).toEqual(["o-1"]);
  expect(await provider.orderOf(reference)).toBe("o-1");
});
