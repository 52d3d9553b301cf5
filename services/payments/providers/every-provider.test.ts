import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { Provider } from "./provider.ts";
import { patient, stripeOn } from "./stripe.fixture.ts";
import { testProvider } from "./test.ts";

// What every provider must keep to, whoever moves the money.

interface Bench {
  provider: Provider;
  tokens: { approved: string; declined: string; nobodys: string };
  /** What it has of an order: held and not let go of, taken, given back; minor units. */
  money(orderId: string): { held: number; taken: number; given: number };
  close(): void;
}

const benches: Record<string, () => Bench> = {
  test() {
    const provider = testProvider(":memory:");
    const sum = (orderId: string, outcome: string) =>
      provider
        .book()
        .filter((line) => line.payment === orderId && line.outcome === outcome)
        .filter(({ operation }) => outcome !== "voided" || operation === "void")
        .reduce((all, { amount }) => all + amount, 0);
    return {
      provider,
      tokens: { approved: "tok_ok", declined: "tok_declined", nobodys: "tok_of_nobody" },
      money: (orderId) => ({
        held: sum(orderId, "approved") - sum(orderId, "captured") - sum(orderId, "voided"),
        taken: sum(orderId, "captured"),
        given: sum(orderId, "refunded"),
      }),
      close: () => provider.close(),
    };
  },
  stripe() {
    const { fake, provider } = stripeOn();
    return {
      provider,
      tokens: { approved: "pm_card_visa", declined: "pm_card_chargeDeclined", nobodys: "pm_of_nobody" },
      money(orderId) {
        const all = fake.intents(orderId);
        const sum = (of: (intent: (typeof all)[number]) => number) =>
          all.reduce((total, one) => total + of(one), 0);
        return {
          held: sum((one) => one.amount_capturable),
          taken: sum((one) => one.amount_received),
          given: sum((one) => one.refunded),
        };
      },
      close: () => undefined,
    };
  },
};

const amount = { amount: 1_530, currency: "GBP" };

describe.each(Object.keys(benches))("the provider %s", (name) => {
  let bench: Bench;
  let reference: string | undefined;

  beforeEach(async () => {
    bench = (benches[name] as () => Bench)();
    const opened = await bench.provider.open?.({ key: "o-1:open", orderId: "o-1", amount }, patient);
    reference = opened && "reference" in opened ? opened.reference : undefined;
  });
  afterEach(() => bench.close());

  const of = (key: string) => ({ key: `o-1:${key}`, orderId: "o-1", reference });
  const authorise = async (token: string): Promise<string> => {
    const answer = await bench.provider.authorise({ ...of("authorise"), amount, token }, patient);
    if (typeof answer === "string") return answer;
    return "approved" in answer ? "approved" : "declined";
  };
  const capture = (money = amount) =>
    bench.provider.capture({ ...of("capture"), amount: money, final: true }, patient);
  const capturePart = (part: string, minor: number, final = false) =>
    bench.provider.capture(
      { ...of(`capture:${part}`), amount: { ...amount, amount: minor }, part, final },
      patient,
    );
  const letGo = () => bench.provider.void(of("void"), patient);
  const refund = (number: number, minor: number) =>
    bench.provider.refund({ ...of(`refund:${number}`), amount: { ...amount, amount: minor } }, patient);
  const money = () => bench.money("o-1");
  const statement = () => bench.provider.statement("o-1", reference);

  test("an authorisation that is approved stays so, and holds the money once", async () => {
    for (let time = 0; time < 3; time++) expect(await authorise(bench.tokens.approved)).toBe("approved");
    // Whatever is asked later under the same key.
    expect(await authorise(bench.tokens.declined)).toBe("approved");
    expect(money()).toEqual({ held: 1_530, taken: 0, given: 0 });
    expect(await statement()).toMatchObject({ total: amount, state: "open", refunds: [] });
  });

  test.each(["declined", "nobodys"] as const)(
    "one with the token %s is declined, and stays so",
    async (which) => {
      for (let time = 0; time < 3; time++) expect(await authorise(bench.tokens[which])).toBe("declined");
      expect(money()).toEqual({ held: 0, taken: 0, given: 0 });
      expect(await statement()).toMatchObject({ state: "declined" });
    },
  );

  test("one that was voided first is never approved", async () => {
    expect(await letGo()).toEqual([]);
    expect(await authorise(bench.tokens.approved)).toBe("voided");
    expect(money()).toEqual({ held: 0, taken: 0, given: 0 });
  });

  test("what is held is captured once, and cannot be let go of then", async () => {
    await authorise(bench.tokens.approved);
    for (let time = 0; time < 3; time++) expect(await capture()).toBe("captured");
    expect(await letGo()).toEqual([{ amount: 1_530 }]);
    expect(await authorise(bench.tokens.approved)).toBe("approved");
    expect(money()).toEqual({ held: 0, taken: 1_530, given: 0 });
    expect(await statement()).toMatchObject({
      total: amount,
      state: "captured",
      captures: [{ amount: 1_530 }],
      refunds: [],
    });
  });

  test("what is held is let go of once, and cannot be captured then", async () => {
    await authorise(bench.tokens.approved);
    for (let time = 0; time < 3; time++) expect(await letGo()).toEqual([]);
    expect(await capture()).toEqual({ voided: [] });
    expect(await authorise(bench.tokens.approved)).toBe("voided");
    expect(money()).toEqual({ held: 0, taken: 0, given: 0 });
    expect(await statement()).toMatchObject({ total: amount, state: "voided", refunds: [] });
  });

  test("no more is captured than is held", async () => {
    await authorise(bench.tokens.approved);
    await expect(capture({ ...amount, amount: 1_531 })).rejects.toThrow();
    expect(money()).toEqual({ held: 1_530, taken: 0, given: 0 });
  });

  test("what is held is captured in parts, each once, and the rest is let go of", async () => {
    await authorise(bench.tokens.approved);
    for (let time = 0; time < 3; time++) expect(await capturePart("s-1", 500)).toBe("captured");
    expect(await capturePart("s-2", 300)).toBe("captured");
    expect(money()).toEqual({ held: 730, taken: 800, given: 0 });
    const taken = [
      { key: "s-1", amount: 500 },
      { key: "s-2", amount: 300 },
    ];
    expect(await statement()).toMatchObject({ state: "open", captures: taken });
    // Some of it can go back before all is captured.
    for (let time = 0; time < 2; time++) expect(await refund(1, 100)).toBe(100);
    for (let time = 0; time < 3; time++) expect(await letGo()).toEqual(taken);
    expect(await capturePart("s-1", 500)).toBe("captured");
    expect(await capturePart("s-3", 1)).toEqual({ voided: taken });
    expect(await authorise(bench.tokens.approved)).toBe("approved");
    expect(money()).toEqual({ held: 0, taken: 800, given: 100 });
    expect(await statement()).toMatchObject({ state: "captured", captures: taken });
    expect(await refund(2, 700)).toBe(700);
  });

  test("the rest is let go of with the last part", async () => {
    await authorise(bench.tokens.approved);
    await capturePart("s-1", 500);
    for (let time = 0; time < 3; time++) expect(await capturePart("s-2", 300, true)).toBe("captured");
    expect(money()).toEqual({ held: 0, taken: 800, given: 0 });
    expect(await statement()).toMatchObject({ state: "captured" });
    expect(await letGo()).toHaveLength(2);
  });

  test("part of it is captured at once, under no name", async () => {
    await authorise(bench.tokens.approved);
    const now = { ...of("capture"), amount: { ...amount, amount: 300 }, final: false };
    for (let time = 0; time < 3; time++) expect(await bench.provider.capture(now, patient)).toBe("captured");
    expect(await capturePart("s-1", 1_230, true)).toBe("captured");
    expect(await statement()).toMatchObject({
      state: "captured",
      captures: [{ amount: 300 }, { key: "s-1", amount: 1_230 }],
    });
    expect(money()).toEqual({ held: 0, taken: 1_530, given: 0 });
  });

  test("no more is captured in parts than is held", async () => {
    await authorise(bench.tokens.approved);
    await capturePart("s-1", 1_000);
    expect(await capturePart("s-2", 531)).toEqual({ refused: "payment-declined" });
    expect(money()).toEqual({ held: 530, taken: 1_000, given: 0 });
  });

  test("what is captured goes back in parts, each once", async () => {
    await authorise(bench.tokens.approved);
    await capture();
    for (let time = 0; time < 3; time++) expect(await refund(1, 1_500)).toBe(1_500);
    expect(await refund(3, 30)).toBe(30);
    // Whatever is asked later under the same key.
    expect(await refund(1, 7)).toBe(1_500);
    expect(money()).toEqual({ held: 0, taken: 1_530, given: 1_530 });
    expect(await statement()).toMatchObject({
      state: "captured",
      refunds: [
        { number: 1, amount: 1_500 },
        { number: 3, amount: 30 },
      ],
    });
  });

  test("nothing goes back of what was not captured", async () => {
    await expect(refund(1, 1)).rejects.toThrow();
    expect(money().given).toBe(0);
  });

  test("it names the payments of which something was asked since a time, page by page", async () => {
    await authorise(bench.tokens.approved);
    const references = new Map<string, string | undefined>([["o-1", reference]]);
    for (const orderId of ["o-2", "o-3"]) {
      const opened = await bench.provider.open?.({ key: `${orderId}:open`, orderId, amount }, patient);
      const own = opened && "reference" in opened ? opened.reference : undefined;
      references.set(orderId, own);
      const request = { key: `${orderId}:authorise`, orderId, reference: own, amount };
      await bench.provider.authorise({ ...request, token: bench.tokens.approved }, patient);
    }
    const named = new Map<string, string | undefined>();
    let after: string | undefined;
    do {
      const page = await bench.provider.askedSince(Date.now() - 60_000, { after, limit: 2 });
      expect(page.payments.length).toBeLessThanOrEqual(2);
      for (const one of page.payments) named.set(one.orderId, one.reference);
      after = page.after;
    } while (after !== undefined);
    expect(named).toEqual(references);
    const later = await bench.provider.askedSince(Date.now() + 60_000, { limit: 2 });
    expect(later.payments).toEqual([]);
  });

  test("it says nothing of an order that it never heard of", async () => {
    expect(await bench.provider.statement("o-99")).toBeUndefined();
    expect(await bench.provider.statement("o-99", reference)).toBeUndefined();
  });
});
