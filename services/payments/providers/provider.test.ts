import { describe, expect, test } from "bun:test";
import type { Call } from "../calls.ts";
import type { Outcome } from "../payment.ts";
import { ask, type Provider } from "./provider.ts";

const amount = { amount: 1_530, currency: "GBP" };
const common = { orderId: "o-1", method: "test" };
const calls = {
  authorise: { ...common, key: "o-1:authorise", operation: "authorise", amount, token: "tok_ok" },
  capture: { ...common, key: "o-1:capture", operation: "capture", amount, final: true, renewals: 0 },
  part: {
    ...{
      ...common,
      key: "o-1:capture:s-1",
      operation: "capture",
      amount,
      part: "s-1",
      final: false,
      renewals: 2,
    },
  },
  void: { ...common, key: "o-1:void", operation: "void" },
  renew: { ...common, key: "o-1:renew:3", operation: "renew", amount, number: 3 },
  refund: { ...common, key: "o-1:refund:2", operation: "refund", amount, number: 2 },
} satisfies Record<string, Call>;

const never = <T>() => new Promise<T>(() => undefined);

/** A provider that does as told, and notes what it was asked. */
function provider(over: Partial<Provider> = {}) {
  const asked: string[] = [];
  const noted: Provider & Pick<Required<Provider>, "renew"> = {
    authorise: async () => ({ approved: true, until: 5_000 }),
    capture: async () => "captured",
    void: async () => [],
    renew: async () => ({ until: 9_000 }),
    refund: async ({ amount }) => amount.amount,
    askedSince: async () => ({ payments: [] }),
    statement: async () => undefined,
    ...over,
  };
  const note =
    <R extends { key: string }, T>(act: (request: R, signal: AbortSignal) => Promise<T>) =>
    (request: R, signal: AbortSignal) => {
      asked.push(request.key);
      return act(request, signal);
    };
  return {
    ...noted,
    asked,
    authorise: note(noted.authorise),
    capture: note(noted.capture),
    void: note(noted.void),
    renew: note(noted.renew),
    refund: note(noted.refund),
  };
}

describe("what came of a call", () => {
  test.each([
    [calls.authorise, { type: "authorised", until: 5_000 }],
    [calls.capture, { type: "captured" }],
    [calls.part, { type: "captured", key: "s-1" }],
    [calls.void, { type: "voided", taken: [] }],
    [calls.renew, { type: "renewed", number: 3, until: 9_000 }],
    [calls.refund, { type: "refunded", number: 2, amount: 1_530 }],
  ] as [Call, Outcome][])("%j → %j", async (call, outcome) => {
    const asked = provider();
    expect(await ask(asked, call, 1_000)).toEqual(outcome);
    expect(asked.asked).toEqual([call.key]);
  });

  test("is a decline", async () => {
    const declines = provider({ authorise: async () => "declined" });
    expect(await ask(declines, calls.authorise, 1_000)).toEqual({
      type: "declined",
      reason: "payment-declined",
    });
  });
});

describe("an authorisation that is not answered in time", () => {
  test("is voided before it counts as declined", async () => {
    let signal: AbortSignal | undefined;
    const silent = provider({
      authorise: (_, given) => {
        signal = given;
        return never();
      },
    });
    expect(await ask(silent, calls.authorise, 10)).toEqual({ type: "declined", reason: "timed-out" });
    expect(silent.asked).toEqual(["o-1:authorise", "o-1:void"]);
    expect(signal?.aborted).toBe(true);
  });

  test("is asked for again as long as the void fails: nothing may stay held", async () => {
    const down = provider({ authorise: () => never(), void: () => Promise.reject(new Error("down")) });
    await expect(ask(down, calls.authorise, 10)).rejects.toThrow("down");
  });

  test("was voided by an attempt before this one", async () => {
    const voided = provider({ authorise: async () => "voided" });
    expect(await ask(voided, calls.authorise, 1_000)).toEqual({ type: "declined", reason: "timed-out" });
    expect(voided.asked).toEqual(["o-1:authorise", "o-1:void"]);
  });
});

describe("what the provider did before, and we do not remember", () => {
  test("it let go of what we want to capture", async () => {
    const taken = [{ key: "s-1", amount: 500 }];
    expect(await ask(provider({ capture: async () => ({ voided: taken }) }), calls.capture, 1_000)).toEqual({
      type: "voided",
      taken,
    });
  });

  test("it took what we want to let go of", async () => {
    const taken = { void: async () => [amount] };
    expect(await ask(provider(taken), calls.void, 1_000)).toEqual({ type: "voided", taken: [amount] });
    expect(await ask(provider({ ...taken, authorise: () => never() }), calls.authorise, 10)).toEqual({
      type: "authorised",
    });
  });

  test("it gave back another amount", async () => {
    expect(await ask(provider({ refund: async () => 30 }), calls.refund, 1_000)).toEqual({
      type: "refunded",
      number: 2,
      amount: 30,
    });
  });
});

describe("a part that cannot be captured", () => {
  test("is refused, and says why", async () => {
    const refuses = provider({ capture: async () => ({ refused: "partial-capture-unavailable" }) });
    expect(await ask(refuses, calls.part, 1_000)).toEqual({
      type: "capture-refused",
      key: "s-1",
      reason: "partial-capture-unavailable",
    });
    // What is captured at once was approved as such.
    await expect(ask(refuses, calls.capture, 1_000)).rejects.toThrow("did not capture o-1");
  });

  test("has run out after so many renewals", async () => {
    const late = provider({ capture: async () => "expired" });
    expect(await ask(late, calls.part, 1_000)).toEqual({ type: "ran-out", key: "s-1", renewals: 2 });
  });
});

describe("a renewal", () => {
  test("is declined, or there is none", async () => {
    for (const over of [{ renew: async () => "declined" as const }, { renew: undefined }])
      expect(await ask({ ...provider(), ...over }, calls.renew, 1_000)).toEqual({
        type: "not-renewed",
        number: 3,
      });
  });
});

test.each([calls.capture, calls.void, calls.renew, calls.refund])(
  "$operation without an answer is made again later",
  async (call) => {
    const nobody = {
      capture: () => never(),
      void: () => never(),
      renew: () => never(),
      refund: () => never(),
    };
    const silent = provider(nobody as Partial<Provider>);
    await expect(ask(silent, call, 10)).rejects.toThrow("did not answer within 10 ms");
  },
);

test("what the provider throws is tried again later", async () => {
  const down = provider({ authorise: () => Promise.reject(new Error("down")) });
  await expect(ask(down, calls.authorise, 1_000)).rejects.toThrow("down");
});
