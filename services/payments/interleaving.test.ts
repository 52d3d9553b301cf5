import { expect, test } from "bun:test";
import fc from "fast-check";
import { type Call, captureKey, dueCall, refundKey } from "./calls.ts";
import { evolve } from "./evolve.ts";
import { held, isAtRest, mayBeHeld, open } from "./holding.ts";
import { balances, type Posting, postings } from "./ledger.ts";
import { type Command, decide, type Outcome, type Payment, type PaymentEvent } from "./payment.ts";

// Orders, staff, shipments, returns, the provider's answers, authorisations that run out and crashes, in any order:
// whatever happens, the provider's book, the ledger and what the others are told agree, each thing happens once, and
// nothing is held once that has been said.

const orderId = "o-1";
const total = { amount: 1_000, currency: "GBP" };

type Step =
  | { do: "reserved" | "aborting" | "released" }
  | { do: "refund"; amount: number | undefined }
  | { do: "shipment"; key: string; amount: number; final: boolean }
  | { do: "return"; key: string; amount: number }
  /** The authorisation runs out, and nobody has noticed yet. */
  | { do: "runs out" }
  /** Somebody looks for what runs out soon. */
  | { do: "scan" }
  /** The job asks the provider, and its answer is committed. */
  | { do: "call" }
  /** The job asks the provider; its answer is on its way. */
  | { do: "ask" }
  /** An answer is committed: a fresh one, or one that was committed before. */
  | { do: "answer"; which: number }
  /** Answers that were not committed are lost; the job asks again. */
  | { do: "crash" };

const key = (letter: string) => fc.integer({ min: 1, max: 4 }).map((number) => `${letter}-${number}`);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.constant<Step>({ do: "reserved" }) },
  { weight: 1, arbitrary: fc.constant<Step>({ do: "aborting" }) },
  { weight: 1, arbitrary: fc.constant<Step>({ do: "released" }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("refund" as const),
      amount: fc.option(fc.integer({ min: 1, max: 1_200 }), { nil: undefined }),
    }),
  },
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constant("shipment" as const),
      key: key("s"),
      amount: fc.integer({ min: 1, max: 400 }),
      final: fc.constantFrom(false, false, false, false, true),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("return" as const),
      key: key("r"),
      amount: fc.integer({ min: 0, max: 600 }),
    }),
  },
  { weight: 2, arbitrary: fc.constantFrom<Step>({ do: "runs out" }, { do: "scan" }) },
  { weight: 24, arbitrary: fc.constant<Step>({ do: "call" }) },
  { weight: 5, arbitrary: fc.constant<Step>({ do: "ask" }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant("answer" as const), which: fc.nat() }) },
  { weight: 1, arbitrary: fc.constant<Step>({ do: "crash" }) },
);

/** From the very start, or from where the order is paid. */
const walk: fc.Arbitrary<Step[]> = fc
  .tuple(fc.boolean(), fc.array(step, { maxLength: 60, size: "max" }))
  .map(([fromPaid, steps]) => (fromPaid ? [...paid, ...steps] : steps));
const paid: Step[] = [{ do: "reserved" }, { do: "call" }, { do: "call" }];

interface World {
  /** How the provider takes an authorisation; `late` ones are approved after nobody waits any more, then voided. */
  manner: "approves" | "declines" | "silent" | "late";
  /** What is to be captured at once; nothing said: all. */
  atOnce: number | undefined;
  /** Authorisations can be renewed. */
  renews: boolean;
  /** The card can be captured only once. */
  whole: boolean;
}
const worlds: fc.Arbitrary<World> = fc.record({
  manner: fc.constantFrom("approves", "approves", "approves", "declines", "silent", "late"),
  atOnce: fc.constantFrom(undefined, 0, 0, 0, 300, 1_000),
  renews: fc.boolean(),
  whole: fc.constantFrom(false, false, false, true),
});

function provider({ manner, renews, whole }: World) {
  const done = new Map<string, { operation: Call["operation"]; amount: number; part?: string }>();
  let ranOut = false;
  const sum = (wanted: Call["operation"]) =>
    [...done.values()].reduce((all, { operation, amount }) => (operation === wanted ? all + amount : all), 0);
  const once = (name: string, operation: Call["operation"], amount: number, part?: string): void => {
    const before = done.get(name);
    if (before) expect(before).toEqual({ operation, amount, part });
    else done.set(name, { operation, amount, part });
    expect(sum("capture") + sum("void")).toBeLessThanOrEqual(sum("authorise"));
    expect(sum("refund")).toBeLessThanOrEqual(sum("capture"));
  };
  const left = () => sum("authorise") - sum("capture") - sum("void");
  const taken = () =>
    [...done.values()].flatMap(({ operation, amount, part }) =>
      operation === "capture" ? [part === undefined ? { amount } : { key: part, amount }] : [],
    );
  const voided = () => [...done.values()].some(({ operation }) => operation === "void");
  return {
    sum,
    taken,
    held: () => sum("authorise") - sum("void") - sum("refund"),
    runOut(): void {
      ranOut ||= left() > 0;
    },
    call(call: Call): Outcome {
      const { key: name } = call;
      switch (call.operation) {
        case "authorise":
          once(name, "authorise", manner === "approves" || manner === "late" ? call.amount.amount : 0);
          if (manner === "approves") return { type: "authorised", until: 1, ...(whole ? { whole } : {}) };
          if (manner === "declines") return { type: "declined", reason: "payment-declined" };
          once(`${orderId}:void`, "void", manner === "late" ? call.amount.amount : 0);
          return { type: "declined", reason: "timed-out" };
        case "capture": {
          const named = call.part === undefined ? {} : { key: call.part };
          if (!done.has(name)) {
            if (voided()) return { type: "voided", taken: taken() };
            if (ranOut) return { type: "ran-out", renewals: call.renewals, ...named };
            if (call.part && whole && (sum("capture") > 0 || !call.final))
              return { type: "capture-refused", key: call.part, reason: "partial-capture-unavailable" };
          }
          once(name, "capture", call.amount.amount, call.part);
          if (call.final && left() > 0) once(`${name}:rest`, "void", left());
          return { type: "captured", ...named };
        }
        case "void":
          if (!done.has(name) && left() > 0) once(name, "void", left());
          return { type: "voided", taken: taken() };
        case "renew":
          once(name, "renew", call.amount.amount);
          if (!renews) return { type: "not-renewed", number: call.number };
          ranOut = false;
          return { type: "renewed", number: call.number, until: call.number + 1 };
        case "refund":
          once(name, "refund", call.amount.amount);
          return { type: "refunded", number: call.number, amount: call.amount.amount };
        default:
          return call satisfies never;
      }
    },
  };
}

/** The events that tell somebody what is held. */
const telling = ["voided", "expired", "refunded", "closed", "nothing-held", "nothing-refunded", "declined"];

function run(steps: Step[], world: World) {
  const bank = provider(world);
  const ledger = new Map<string, Posting[]>();
  const seen: PaymentEvent[] = [];
  let payment: Payment | undefined;
  let fresh: Outcome[] = [];
  const committed: Outcome[] = [];
  const asked = { captures: new Set<string>(), returns: new Set<string>() };
  let givenUp = false;
  let given = false;
  let at = 0;

  const book = (entry: string, all: Posting[]): void => {
    expect(ledger.has(entry)).toBe(false);
    ledger.set(entry, all);
  };
  const commit = (command: Command): void => {
    const decided = decide(payment, command);
    if (!Array.isArray(decided)) return;
    for (const event of decided) {
      payment = evolve(payment, event);
      seen.push(event);
      if (event.type === "captured") {
        const { amount } = event.capture;
        book(
          captureKey(orderId, event.capture),
          postings({ type: "captured", amount: { ...total, amount } }),
        );
      }
      if (event.type === "refunded" && event.refund.amount > 0) {
        const { amount } = event.refund;
        book(refundKey(orderId, event.refund), postings({ type: "refunded", amount: { ...total, amount } }));
      }
      if (telling.includes(event.type) && givenUp && mayBeHeld(payment) === 0) given = true;
    }
  };
  const follow = (what: Step): void => {
    at++;
    switch (what.do) {
      case "reserved": {
        const captureNow = world.atOnce === undefined ? undefined : { ...total, amount: world.atOnce };
        commit({ type: "authorise", at, orderId, total, method: "test", token: "tok", captureNow });
        return;
      }
      case "aborting":
        givenUp = true;
        commit({ type: "abort", at, orderId });
        return;
      case "released":
        commit({ type: "release", at });
        return;
      case "refund":
        commit({
          type: "refund",
          at,
          ...(what.amount ? { amount: { ...total, amount: what.amount } } : {}),
        });
        return;
      case "shipment": {
        const { key: shipment, amount, final } = what;
        asked.captures.add(shipment);
        commit({ type: "capture", at, orderId, key: shipment, amount: { ...total, amount }, final });
        return;
      }
      case "return":
        asked.returns.add(what.key);
        commit({ type: "give-back", at, orderId, key: what.key, amount: { ...total, amount: what.amount } });
        return;
      case "runs out":
        bank.runOut();
        return;
      case "scan":
        commit({ type: "renew", at, before: Number.MAX_SAFE_INTEGER });
        return;
      case "call": {
        const call = dueCall(payment);
        if (call === undefined) return;
        const outcome = bank.call(call);
        committed.push(outcome);
        commit({ ...outcome, at });
        return;
      }
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
  const invariants = (): void => {
    expect(balances([...ledger.values()].flat())).toBe(true);
    if (payment === undefined) return;
    expect(payment.captured).toBeLessThanOrEqual(payment.authorised);
    expect(payment.refunded).toBeLessThanOrEqual(payment.captured);
    // What nobody wants any more is not left alone: no job would ever look at it again.
    if (isAtRest(payment) && payment.wanted === "undo") expect(held(payment)).toBe(0);
    if (isAtRest(payment) && payment.released) expect(open(payment)).toBe(0);
    if (isAtRest(payment)) expect([...payment.captures, ...payment.pending]).toEqual([]);
    if (given) expect(bank.held()).toBe(0);
  };

  for (const what of steps) {
    follow(what);
    invariants();
  }
  // The jobs go on until there is nothing left to call.
  for (let call = dueCall(payment); call; call = dueCall(payment)) {
    commit({ ...bank.call(call), at: ++at });
    invariants();
  }
  const types = seen.map(({ type }) => type);
  return { payment: payment as Payment | undefined, bank, ledger, seen, types, given, asked };
}

test("in the end the payment, the ledger and the provider's book agree", () => {
  let parts = 0;
  let ranOut = 0;
  fc.assert(
    fc.property(walk, worlds, (steps, world) => {
      const { payment, bank, ledger, types } = run(steps, world);
      const all = [...ledger.values()].flat();
      const net = all
        .filter(({ account }) => account === "provider-clearing")
        .reduce((sum, { debit, credit }) => sum + debit - credit, 0);
      expect(balances(all)).toBe(true);
      expect(net).toBe(bank.sum("capture") - bank.sum("refund"));
      expect(payment?.captured ?? 0).toBe(bank.sum("capture"));
      expect(payment?.refunded ?? 0).toBe(bank.sum("refund"));
      expect(payment ? held(payment) : 0).toBe(bank.held());
      if (types.filter((type) => type === "captured").length > 1) parts++;
      if (types.includes("renewed") || types.includes("expired")) ranOut++;
    }),
    { numRuns: 3_000 },
  );
  // The walks went where it matters.
  expect(parts).toBeGreaterThan(100);
  expect(ranOut).toBeGreaterThan(50);
});

test("every shipment and every return is answered, and no money moves twice for one", () => {
  fc.assert(
    fc.property(walk, worlds, (steps, world) => {
      const { seen, asked, bank } = run(steps, world);
      for (const shipment of asked.captures) {
        const answers = seen.filter(
          (event) =>
            (event.type === "captured" && event.capture.key === shipment) ||
            (event.type === "capture-failed" && event.key === shipment),
        );
        expect(answers.length).toBeGreaterThan(0);
        expect(bank.taken().filter((one) => one.key === shipment).length).toBeLessThan(2);
      }
      for (const back of asked.returns) {
        const answers = seen.filter(
          (event) =>
            (event.type === "refunded" && event.refund.key === back) ||
            (event.type === "nothing-refunded" && event.key === back),
        );
        expect(answers).toHaveLength(1);
      }
    }),
    { numRuns: 2_000 },
  );
});

test("an order that is given up holds nothing in the end, and is told so after the last call", () => {
  fc.assert(
    fc.property(walk, worlds, (steps, world) => {
      fc.pre(steps.some((what) => what.do === "aborting"));
      const { bank, given } = run(steps, world);
      expect(bank.held()).toBe(0);
      expect(given).toBe(true);
    }),
    { numRuns: 1_000 },
  );
});

test("an order that is given up before it is approved is never captured", () => {
  const before = fc.array(
    step.filter((what) => what.do !== "call" && what.do !== "answer"),
    { maxLength: 10 },
  );
  fc.assert(
    fc.property(before, walk, worlds, (first, steps, world) => {
      const { bank, types } = run([...first, { do: "aborting" }, ...steps], world);
      expect(types).not.toContain("captured");
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
  const world: World = { manner: "approves", atOnce: undefined, renews: true, whole: false };
  fc.assert(
    fc.property(events, (steps) => {
      const { payment, bank, types } = run(steps, world);
      expect(payment).toMatchObject({ status: "captured", captured: total.amount, refunded: 0 });
      expect(bank.sum("capture")).toBe(total.amount);
      expect(types).toEqual(["authorising", "authorised", "capturing", "captured"]);
    }),
  );
});

test("an order that is only authorised needs one call, and its shipments one each", () => {
  const world: World = { manner: "approves", atOnce: 0, renews: true, whole: false };
  const authorised = run([{ do: "reserved" }], world);
  expect(authorised.types).toEqual(["authorising", "authorised"]);
  expect(dueCall(authorised.payment)).toBeUndefined();
  const shipped = run(
    [
      ...paid,
      { do: "shipment", key: "s-1", amount: 400, final: false },
      { do: "shipment", key: "s-2", amount: 500, final: true },
    ],
    world,
  );
  expect(shipped.payment).toMatchObject({ status: "captured", authorised: 900, captured: 900 });
  expect(shipped.bank.held()).toBe(900);
});
