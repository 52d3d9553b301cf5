import { expect, test } from "bun:test";
import fc from "fast-check";
import { type Call, dueCall } from "./calls.ts";
import { evolve } from "./evolve.ts";
import { balances, type Posting, postings } from "./ledger.ts";
import { type Command, decide, held, type Outcome, type Payment, type PaymentEvent } from "./payment.ts";

// Orders, staff, the provider's answers and crashes, in any order: whatever happens, the provider's book, the ledger
// and what the others are told agree, and nothing is held once that has been said.

const orderId = "o-1";
const total = { amount: 1_000, currency: "GBP" };

type Step =
  | { do: "reserved" | "aborting" }
  | { do: "refund"; amount: number | undefined }
  /** The job asks the provider; its answer is on its way. */
  | { do: "ask" }
  /** An answer is committed: a fresh one, or one that was committed before. */
  | { do: "answer"; which: number }
  /** Answers that were not committed are lost; the job asks again. */
  | { do: "crash" };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Step>({ do: "reserved" }) },
  { weight: 1, arbitrary: fc.constant<Step>({ do: "aborting" }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("refund" as const),
      amount: fc.option(fc.integer({ min: 1, max: 1_200 }), { nil: undefined }),
    }),
  },
  { weight: 5, arbitrary: fc.constant<Step>({ do: "ask" }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant("answer" as const), which: fc.nat() }) },
  { weight: 1, arbitrary: fc.constant<Step>({ do: "crash" }) },
);

/** From the very start, or from where the order is paid. */
const walk: fc.Arbitrary<Step[]> = fc
  .tuple(fc.boolean(), fc.array(step, { maxLength: 40, size: "max" }))
  .map(([fromPaid, steps]) => (fromPaid ? [...paid, ...steps] : steps));
const paid: Step[] = [
  { do: "reserved" },
  { do: "ask" },
  { do: "answer", which: 0 },
  { do: "ask" },
  { do: "answer", which: 0 },
];

/** How the provider takes an authorisation; `late` ones are approved after nobody waits any more, then voided. */
type Manner = "approves" | "declines" | "silent" | "late";

function provider(manner: Manner) {
  const done = new Map<string, { operation: Call["operation"]; amount: number }>();
  const sum = (wanted: Call["operation"]) =>
    [...done.values()].reduce((all, { operation, amount }) => (operation === wanted ? all + amount : all), 0);
  const once = (key: string, operation: Call["operation"], amount: number): void => {
    const before = done.get(key);
    if (before) expect(before).toEqual({ operation, amount });
    else done.set(key, { operation, amount });
  };
  return {
    sum,
    held: () => sum("authorise") - sum("void") - sum("refund"),
    call(call: Call): Outcome {
      const { key } = call;
      switch (call.operation) {
        case "authorise":
          once(key, "authorise", manner === "approves" || manner === "late" ? call.amount.amount : 0);
          if (manner === "approves") return { type: "authorised" };
          if (manner === "declines") return { type: "declined", reason: "payment-declined" };
          once(`${orderId}:void`, "void", manner === "late" ? call.amount.amount : 0);
          return { type: "declined", reason: "timed-out" };
        case "capture":
          expect(sum("void")).toBe(0);
          once(key, "capture", call.amount.amount);
          return { type: "captured" };
        case "void":
          expect(sum("capture")).toBe(0);
          once(key, "void", sum("authorise"));
          return { type: "voided" };
        case "refund":
          once(key, "refund", call.amount.amount);
          expect(sum("refund")).toBeLessThanOrEqual(sum("capture"));
          return { type: "refunded", number: call.number, amount: call.amount.amount };
        default:
          return call satisfies never;
      }
    },
  };
}

function run(steps: Step[], manner: Manner) {
  const bank = provider(manner);
  const ledger: Posting[] = [];
  const seen: PaymentEvent["type"][] = [];
  let payment: Payment | undefined;
  let fresh: Outcome[] = [];
  const committed: Outcome[] = [];
  let given = false;
  /** Given up before the provider's approval was committed. */
  let early = false;
  let at = 0;

  const commit = (command: Command): void => {
    const decided = decide(payment, command);
    if (!Array.isArray(decided)) return;
    for (const event of decided) {
      payment = evolve(payment, event);
      seen.push(event.type);
      const amount = event.type === "refunded" ? event.refund.amount : payment.captured;
      if (event.type === "captured" || event.type === "refunded") {
        ledger.push(...postings({ type: event.type, amount: { ...total, amount } }));
      }
      const end = ["voided", "refunded", "closed", "nothing-held", "declined"].includes(event.type);
      if (end && held(payment) === 0) given = true;
    }
  };
  const follow = (what: Step): void => {
    at++;
    switch (what.do) {
      case "reserved":
        commit({ type: "authorise", at, orderId, total, method: "test", token: "tok" });
        return;
      case "aborting":
        early ||= payment === undefined || payment.status === "authorising";
        commit({ type: "abort", at, orderId });
        return;
      case "refund":
        commit({
          type: "refund",
          at,
          ...(what.amount ? { amount: { ...total, amount: what.amount } } : {}),
        });
        return;
      case "ask": {
        const call = dueCall(payment);
        if (call) fresh.push(bank.call(call));
        return;
      }
      case "answer": {
        const all = [...fresh, ...committed];
        const outcome = all[what.which % all.length];
        if (outcome === undefined) return;
        fresh = fresh.filter((other) => other !== outcome);
        committed.push(outcome);
        commit({ ...outcome, at });
        return;
      }
      case "crash":
        fresh = [];
        return;
      default:
        what satisfies never;
    }
  };

  for (const what of steps) {
    follow(what);
    expect(balances(ledger)).toBe(true);
    // Approved and left alone is what no job would ever look at again.
    expect(payment?.status).not.toBe("authorised");
    if (given) expect(bank.held()).toBe(0);
  }
  // The jobs go on until there is nothing left to call.
  for (let call = dueCall(payment); call; call = dueCall(payment)) commit({ ...bank.call(call), at: ++at });
  return { payment: payment as Payment | undefined, bank, ledger, seen, given, early };
}

const manners = fc.constantFrom<Manner>("approves", "declines", "silent", "late");

test("in the end the payment, the ledger and the provider's book agree", () => {
  fc.assert(
    fc.property(walk, manners, (steps, manner) => {
      const { payment, bank, ledger } = run(steps, manner);
      const net = ledger
        .filter(({ account }) => account === "provider-clearing")
        .reduce((sum, { debit, credit }) => sum + debit - credit, 0);
      expect(balances(ledger)).toBe(true);
      expect(net).toBe(bank.sum("capture") - bank.sum("refund"));
      expect(payment?.captured ?? 0).toBe(bank.sum("capture"));
      expect(payment?.refunded ?? 0).toBe(bank.sum("refund"));
      expect(payment ? held(payment) : 0).toBe(bank.held());
    }),
    { numRuns: 2_000 },
  );
});

test("an order that is given up holds nothing in the end, and is told so after the last call", () => {
  fc.assert(
    fc.property(walk, manners, (steps, manner) => {
      fc.pre(steps.some((what) => what.do === "aborting"));
      const { bank, given } = run(steps, manner);
      expect(bank.held()).toBe(0);
      expect(given).toBe(true);
    }),
    { numRuns: 1_000 },
  );
});

test("an order that is given up before it is approved is never captured", () => {
  fc.assert(
    fc.property(walk, manners, (steps, manner) => {
      const { bank, seen, early } = run(steps, manner);
      fc.pre(early);
      expect(seen).not.toContain("capturing");
      expect(bank.sum("capture")).toBe(0);
    }),
    { numRuns: 500 },
  );
});

test("an order that is not given up is paid once, in whatever order its events come", () => {
  const events = fc.shuffledSubarray<Step>(
    [
      { do: "reserved" },
      { do: "reserved" },
      { do: "ask" },
      { do: "ask" },
      { do: "ask" },
      { do: "answer", which: 0 },
      { do: "answer", which: 1 },
      { do: "crash" },
    ],
    { minLength: 8 },
  );
  fc.assert(
    fc.property(events, (steps) => {
      const { payment, bank, seen } = run(steps, "approves");
      expect(payment).toMatchObject({ status: "captured", captured: total.amount, refunded: 0 });
      expect(bank.sum("capture")).toBe(total.amount);
      expect(seen).toEqual(["authorising", "authorised", "capturing", "captured"]);
    }),
  );
});
