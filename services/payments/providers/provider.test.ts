import { describe, expect, test } from "bun:test";
import type { Call } from "../calls.ts";
import { ask, type Provider } from "./provider.ts";

const amount = { amount: 1_530, currency: "GBP" };
const common = { orderId: "o-1", method: "test" };
const calls = {
  authorise: { ...common, key: "o-1:authorise", operation: "authorise", amount, token: "tok_ok" },
  capture: { ...common, key: "o-1:capture", operation: "capture", amount },
  void: { ...common, key: "o-1:void", operation: "void" },
  refund: { ...common, key: "o-1:refund:2", operation: "refund", amount, number: 2 },
} satisfies Record<string, Call>;

const never = <T>() => new Promise<T>(() => undefined);

/** A provider that does as told, and notes what it was asked. */
function provider(over: Partial<Provider> = {}) {
  const asked: string[] = [];
  const noted: Provider = {
    authorise: async () => "approved",
    capture: async () => "captured",
    void: async () => "voided",
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
    refund: note(noted.refund),
  };
}

describe("what came of a call", () => {
  test.each([
    [calls.authorise, { type: "authorised" }],
    [calls.capture, { type: "captured" }],
    [calls.void, { type: "voided" }],
    [calls.refund, { type: "refunded", number: 2, amount: 1_530 }],
  ] as const)("%j → %j", async (call, outcome) => {
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
    expect(await ask(provider({ capture: async () => "voided" }), calls.capture, 1_000)).toEqual({
      type: "voided",
    });
  });

  test("it took what we want to let go of", async () => {
    const taken = { void: async () => "captured" as const };
    expect(await ask(provider(taken), calls.void, 1_000)).toEqual({ type: "captured" });
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

test.each([calls.capture, calls.void, calls.refund])(
  "$operation without an answer is made again later",
  async (call) => {
    const silent = provider({ capture: () => never(), void: () => never(), refund: () => never() });
    await expect(ask(silent, call, 10)).rejects.toThrow("did not answer within 10 ms");
  },
);

test("what the provider throws is tried again later", async () => {
  const down = provider({ authorise: () => Promise.reject(new Error("down")) });
  await expect(ask(down, calls.authorise, 1_000)).rejects.toThrow("down");
});
