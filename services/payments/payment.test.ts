import { describe, expect, test } from "bun:test";
import { decider } from "chassis/testing";
import { dueCall, isSame } from "./calls.ts";
import { evolve } from "./evolve.ts";
import { held } from "./holding.ts";
import { today } from "./kept.ts";
import { type Command, decide, type Payment, type PaymentEvent } from "./payment.ts";
import { differences, type Statement } from "./reconcile.ts";

const at = 1_000;
const orderId = "o-1";
const total = { amount: 1_530, currency: "GBP" };
const gbp = (amount: number) => ({ amount, currency: "GBP" });

const authorising: PaymentEvent = {
  type: "authorising",
  at,
  orderId,
  total,
  method: "test",
  token: "tok_ok",
};
const all = { amount: 1_530 };
const authorised: PaymentEvent = { type: "authorised", at };
const capturing: PaymentEvent = { type: "capturing", at, capture: all };
const captured: PaymentEvent = { type: "captured", at, capture: all };
const part = (key: string, amount: number, final?: true) => ({
  capture: { key, amount, ...(final ? { final } : {}) },
});
const takes = (key: string, amount: number, final?: true): PaymentEvent => ({
  type: "capturing",
  at,
  ...part(key, amount, final),
});
const took = (key: string, amount: number, final?: true): PaymentEvent => ({
  type: "captured",
  at,
  ...part(key, amount, final),
});
const failed = (
  key: string,
  reason: (PaymentEvent & { type: "capture-failed" })["reason"],
): PaymentEvent => ({ type: "capture-failed", at, key, reason });
const released: PaymentEvent = { type: "released", at };
const voiding: PaymentEvent = { type: "voiding", at };
const voided: PaymentEvent = { type: "voided", at };
const renewing: PaymentEvent = { type: "renewing", at };
const expiring: PaymentEvent = { type: "voiding", at, expired: true };
const expired: PaymentEvent = { type: "expired", at };
const givenUp: PaymentEvent = { type: "given-up", at };
const refunding = (number: number, amount: number): PaymentEvent => ({
  type: "refunding",
  at,
  refund: { number, amount },
});
const refunded = (number: number, amount: number): PaymentEvent => ({
  type: "refunded",
  at,
  refund: { number, amount },
});
const paid = [authorising, authorised, capturing, captured];
/** Authorised and nothing more, until 5,000. */
const holding: PaymentEvent[] = [
  { ...authorising, atOnce: 0 } as PaymentEvent,
  { ...authorised, until: 5_000 } as PaymentEvent,
];

const given = decider(evolve, decide);
const after = (...events: PaymentEvent[]) => events.reduce<Payment | undefined>(evolve, undefined);

describe("every state × every command", () => {
  const states: Record<string, PaymentEvent[]> = {
    none: [],
    closed: [{ type: "closed", at, orderId }],
    authorising: [authorising],
    "authorising, to undo": [authorising, givenUp],
    "authorising, to hold": holding.slice(0, 1),
    authorised: [authorising, authorised],
    capturing: paid.slice(0, -1),
    "capturing, to undo": [...paid.slice(0, -1), givenUp],
    captured: paid,
    "captured in part": [...paid, refunding(1, 500), refunded(1, 500)],
    refunding: [...paid, refunding(1, 500)],
    "refunding, to undo": [...paid, refunding(1, 500), givenUp],
    refunded: [...paid, refunding(1, 1_530), refunded(1, 1_530)],
    "voiding, to undo": [authorising, givenUp, authorised, voiding],
    voided: [authorising, givenUp, authorised, voiding, voided],
    declined: [authorising, { type: "declined", at, reason: "payment-declined" }],
    held: holding,
    "taking a part": [...holding, takes("s-1", 500)],
    "taking a part, to undo": [...holding, takes("s-1", 500), givenUp],
    "part taken": [...holding, takes("s-1", 500), took("s-1", 500)],
    "part given back": [
      ...[...holding, takes("s-1", 500), took("s-1", 500)],
      ...[refunding(1, 500), refunded(1, 500)],
    ],
    "letting go of the rest": [...holding, takes("s-1", 500), took("s-1", 500), released, voiding],
    "rest let go of": [...holding, takes("s-1", 500), took("s-1", 500), released, voiding, voided],
    renewing: [...holding, renewing],
    "part taken, renewing": [...holding, takes("s-1", 500), took("s-1", 500), renewing],
    "running out": [...holding, renewing, expiring],
    "part taken, running out": [...holding, takes("s-1", 500), took("s-1", 500), renewing, expiring],
    "running out, to undo": [...holding, renewing, expiring, givenUp],
    expired: [...holding, renewing, expiring, expired],
  };
  const commands: Record<string, Command> = {
    authorise: { type: "authorise", at, orderId, total, method: "test", token: "tok_ok" },
    abort: { type: "abort", at, orderId },
    capture: { type: "capture", at, orderId, key: "s-2", amount: gbp(1_030), final: false },
    release: { type: "release", at },
    renew: { type: "renew", at, before: 5_000 },
    refund: { type: "refund", at, amount: gbp(1) },
    "give back": { type: "give-back", at, orderId, key: "r-1", amount: gbp(700) },
    authorised: { type: "authorised", at },
    declined: { type: "declined", at, reason: "timed-out" },
    captured: { type: "captured", at },
    "captured s-1": { type: "captured", at, key: "s-1" },
    "s-1 ran out": { type: "ran-out", at, key: "s-1", renewals: 0 },
    voided: { type: "voided", at, taken: [] },
    "s-1 was taken": { type: "voided", at, taken: [{ key: "s-1", amount: 500 }] },
    renewed: { type: "renewed", at, number: 1, until: 9_000 },
    "not renewed": { type: "not-renewed", at, number: 1 },
    refunded: { type: "refunded", at, number: 1, amount: 500 },
  };

  // ·: nothing happens. !: refused. The last ten columns are what came of a call to the provider.
  const table = `
                          | authorise   | abort              | capture               | release          | renew    | refund             | give back               | authorised           | declined              | captured           | captured s-1     | s-1 ran out            | voided                 | s-1 was taken                       | renewed | not renewed | refunded
  none                    | authorising | closed             | closed capture-failed | ·                | ·        | !nothing-captured  | closed nothing-refunded | ·                    | ·                     | ·                  | ·                | ·                      | ·                      | ·                                   | ·       | ·           | ·
  closed                  | ·           | nothing-held       | capture-failed        | ·                | ·        | !nothing-captured  | nothing-refunded        | ·                    | ·                     | ·                  | ·                | ·                      | ·                      | ·                                   | ·       | ·           | ·
  authorising             | ·           | given-up           | capture-failed        | released         | ·        | !nothing-captured  | nothing-refunded        | authorised capturing | declined              | ·                  | ·                | ·                      | ·                      | ·                                   | ·       | ·           | ·
  authorising, to undo    | ·           | ·                  | capture-failed        | released         | ·        | !nothing-captured  | nothing-refunded        | authorised voiding   | declined nothing-held | ·                  | ·                | ·                      | ·                      | ·                                   | ·       | ·           | ·
  authorising, to hold    | ·           | given-up           | capturing             | released         | ·        | !nothing-captured  | nothing-refunded        | authorised           | declined              | ·                  | ·                | ·                      | ·                      | ·                                   | ·       | ·           | ·
  authorised              | ·           | given-up voiding   | capturing             | released voiding | ·        | !nothing-captured  | nothing-refunded        | ·                    | ·                     | ·                  | ·                | ·                      | ·                      | ·                                   | ·       | ·           | ·
  capturing               | ·           | given-up           | capture-failed        | released         | ·        | !nothing-captured  | nothing-refunded        | ·                    | ·                     | captured           | ·                | ·                      | declined               | capturing captured expired          | ·       | ·           | ·
  capturing, to undo      | ·           | ·                  | capture-failed        | released         | ·        | !nothing-captured  | nothing-refunded        | ·                    | ·                     | captured refunding | ·                | ·                      | voided                 | capturing captured voided refunding | ·       | ·           | ·
  captured                | ·           | given-up refunding | capture-failed        | ·                | ·        | refunding          | refunding               | ·                    | ·                     | ·                  | ·                | ·                      | ·                      | ·                                   | ·       | ·           | ·
  captured in part        | ·           | given-up refunding | capture-failed        | ·                | ·        | refunding          | refunding               | ·                    | ·                     | ·                  | ·                | ·                      | ·                      | ·                                   | ·       | ·           | ·
  refunding               | ·           | given-up           | capture-failed        | released         | ·        | refunding          | refunding               | ·                    | ·                     | ·                  | ·                | ·                      | ·                      | ·                                   | ·       | ·           | refunded
  refunding, to undo      | ·           | ·                  | capture-failed        | released         | ·        | refunding          | refunding               | ·                    | ·                     | ·                  | ·                | ·                      | ·                      | ·                                   | ·       | ·           | refunded refunding
  refunded                | ·           | nothing-held       | capture-failed        | ·                | ·        | !nothing-to-refund | nothing-refunded        | ·                    | ·                     | ·                  | ·                | ·                      | ·                      | ·                                   | ·       | ·           | ·
  voiding, to undo        | ·           | ·                  | capture-failed        | released         | ·        | !nothing-captured  | nothing-refunded        | ·                    | ·                     | ·                  | ·                | ·                      | voided                 | capturing captured voided refunding | ·       | ·           | ·
  voided                  | ·           | nothing-held       | capture-failed        | ·                | ·        | !nothing-captured  | nothing-refunded        | ·                    | ·                     | ·                  | ·                | ·                      | ·                      | ·                                   | ·       | ·           | ·
  declined                | ·           | nothing-held       | capture-failed        | ·                | ·        | !nothing-captured  | nothing-refunded        | ·                    | ·                     | ·                  | ·                | ·                      | ·                      | ·                                   | ·       | ·           | ·
  held                    | ·           | given-up voiding   | capturing             | released voiding | renewing | !nothing-captured  | nothing-refunded        | ·                    | ·                     | ·                  | ·                | ·                      | ·                      | ·                                   | ·       | ·           | ·
  taking a part           | ·           | given-up           | capturing             | released         | ·        | !nothing-captured  | nothing-refunded        | ·                    | ·                     | ·                  | captured         | renewing               | capture-failed expired | capture-failed expired              | ·       | ·           | ·
  taking a part, to undo  | ·           | ·                  | capture-failed        | released         | ·        | !nothing-captured  | nothing-refunded        | ·                    | ·                     | ·                  | captured voiding | capture-failed voiding | capture-failed voided  | capture-failed voided               | ·       | ·           | ·
  part taken              | ·           | given-up voiding   | capturing             | released voiding | renewing | refunding          | refunding               | ·                    | ·                     | ·                  | ·                | ·                      | ·                      | ·                                   | ·       | ·           | ·
  part given back         | ·           | given-up voiding   | capturing             | released voiding | renewing | !nothing-to-refund | nothing-refunded        | ·                    | ·                     | ·                  | ·                | ·                      | ·                      | ·                                   | ·       | ·           | ·
  letting go of the rest  | ·           | given-up           | capture-failed        | ·                | ·        | refunding          | refunding               | ·                    | ·                     | ·                  | ·                | ·                      | voided                 | voided                              | ·       | ·           | ·
  rest let go of          | ·           | given-up refunding | capture-failed        | ·                | ·        | refunding          | refunding               | ·                    | ·                     | ·                  | ·                | ·                      | ·                      | ·                                   | ·       | ·           | ·
  renewing                | ·           | given-up           | capturing             | released         | ·        | !nothing-captured  | nothing-refunded        | ·                    | ·                     | ·                  | ·                | ·                      | ·                      | ·                                   | renewed | voiding     | ·
  part taken, renewing    | ·           | given-up           | capturing             | released         | ·        | refunding          | refunding               | ·                    | ·                     | ·                  | ·                | ·                      | ·                      | ·                                   | renewed | voiding     | ·
  running out             | ·           | given-up           | capturing             | released         | ·        | !nothing-captured  | nothing-refunded        | ·                    | ·                     | ·                  | ·                | ·                      | expired                | capturing captured expired          | ·       | ·           | ·
  part taken, running out | ·           | given-up           | capturing             | released         | ·        | refunding          | refunding               | ·                    | ·                     | ·                  | ·                | ·                      | expired                | expired                             | ·       | ·           | ·
  running out, to undo    | ·           | ·                  | capture-failed        | released         | ·        | !nothing-captured  | nothing-refunded        | ·                    | ·                     | ·                  | ·                | ·                      | voided                 | capturing captured voided refunding | ·       | ·           | ·
  expired                 | ·           | nothing-held       | capture-failed        | ·                | ·        | !nothing-captured  | nothing-refunded        | ·                    | ·                     | ·                  | ·                | ·                      | ·                      | ·                                   | ·       | ·           | ·`;
  const [head = [], ...rows] = table
    .split("\n")
    .slice(1)
    .map((row) => row.split("|").map((cell) => cell.trim()));
  const cells = rows.flatMap(([state = "", ...wanted]) =>
    wanted.map((outcome, column) => [state, head[column + 1] ?? "", outcome] as const),
  );

  test("is in the table", () => {
    expect(rows.map(([state]) => state)).toEqual(Object.keys(states));
    expect(head.slice(1)).toEqual(Object.keys(commands));
  });

  test.each(cells)("%s × %s → %s", (state, command, outcome) => {
    const asked = commands[command];
    if (asked === undefined) throw new Error(`there is no command ${command}`);
    const decided = decide(
      (states[state] ?? []).reduce<Parameters<typeof decide>[0]>(evolve, undefined),
      asked,
    );
    const seen = Array.isArray(decided)
      ? decided.map(({ type }) => type).join(" ") || "·"
      : `!${decided.rejected}`;
    expect(seen).toBe(outcome);
  });
});

describe("authorising", () => {
  test("is for orders that cost something", () => {
    const free = gbp(0);
    given()
      .when({ type: "authorise", at, orderId, total: free, method: "test", token: "tok_ok" })
      .thenNothingHappened();
  });

  test("goes on to capture with the approval itself", () => {
    given(authorising).when({ type: "authorised", at }).then(authorised, capturing);
  });

  test("goes on to void when the order was given up meanwhile: no capture is begun", () => {
    given(authorising, givenUp).when({ type: "authorised", at }).then(authorised, { type: "voiding", at });
  });

  test("that is declined holds nothing", () => {
    given(authorising)
      .when({ type: "declined", at, reason: "timed-out" })
      .then({ type: "declined", at, reason: "timed-out" });
  });
});

describe("a refund", () => {
  test("is of all that is left when no amount is named", () => {
    given(...paid, refunding(1, 500))
      .when({ type: "refund", at })
      .then(refunding(2, 1_030));
  });

  test("keeps its reason", () => {
    given(...paid)
      .when({ type: "refund", at, amount: gbp(30), reason: "late" })
      .then({ type: "refunding", at, refund: { number: 1, amount: 30, reason: "late" } });
  });

  test("is never of more than is left, those under way counted in", () => {
    given(...paid, refunding(1, 500))
      .when({ type: "refund", at, amount: gbp(1_031) })
      .thenRejected("refund-too-large");
    given(...paid, refunding(1, 1_530))
      .when({ type: "refund", at })
      .thenRejected("nothing-to-refund");
  });

  test("is in the currency of the payment", () => {
    given(...paid)
      .when({ type: "refund", at, amount: { amount: 1, currency: "EUR" } })
      .thenRejected("wrong-currency");
  });

  test("goes after the one before it", () => {
    given(...paid, refunding(1, 500), refunding(2, 30))
      .when({ type: "refunded", at, number: 2, amount: 30 })
      .thenNothingHappened();
    given(...paid, refunding(1, 500), refunding(2, 30))
      .when({ type: "refunded", at, number: 1, amount: 500 })
      .then(refunded(1, 500));
  });

  test("of nothing captured is refused", () => {
    given(authorising, authorised, capturing).when({ type: "refund", at }).thenRejected("nothing-captured");
  });
});

describe("what the provider knows and we do not", () => {
  const statement = (state: Statement["state"], ...amounts: number[]): Command => ({
    type: "reconcile",
    at,
    orderId,
    method: "test",
    statement: {
      total,
      state,
      captures: state === "captured" ? [all] : [],
      refunds: amounts.map((amount, index) => ({ number: index + 1, amount })),
    },
  });
  const found: PaymentEvent = { type: "found", at, orderId, total, authorised: 1_530, method: "test" };
  const closed: PaymentEvent = { type: "closed", at, orderId };
  const untold: PaymentEvent = { type: "captured", at, capture: all, untold: true };

  test("of a payment that nobody asked for goes back", () => {
    for (const before of [[], [closed]]) {
      given(...before)
        .when(statement("open"))
        .then(found, { type: "voiding", at });
      given(...before)
        .when(statement("captured"))
        .then(found, capturing, untold, refunding(1, 1_530));
      given(...before)
        .when(statement("captured", 30))
        .then(found, capturing, untold, refunding(1, 30), refunded(1, 30), refunding(2, 1_500));
      given(...before)
        .when(statement("captured", 1_530))
        .then(found, capturing, untold, refunding(1, 1_530), refunded(1, 1_530));
      given(...before)
        .when(statement("voided"))
        .thenNothingHappened();
      given(...before)
        .when(statement("declined"))
        .thenNothingHappened();
    }
  });

  test("of refunds is taken over", () => {
    given(...paid)
      .when(statement("captured", 500))
      .then(refunding(1, 500), refunded(1, 500));
    given(...paid, refunding(1, 500), refunded(1, 500))
      .when(statement("captured", 500, 1_030))
      .then(refunding(2, 1_030), refunded(2, 1_030));
    given(...paid, refunding(1, 500), refunded(1, 500))
      .when(statement("captured", 500))
      .thenNothingHappened();
  });

  test("is seen in its answer while a call is under way", () => {
    for (const before of [[authorising], [authorising, authorised, capturing], [...paid, refunding(1, 500)]])
      given(...before)
        .when(statement("captured", 200))
        .thenNothingHappened();
  });

  test("of a refund under the same number holds, and those after it are of what is left", () => {
    given(...paid, refunding(1, 30), refunding(2, 700), refunding(3, 100))
      .when({ type: "refunded", at, number: 1, amount: 1_400 })
      .then(refunded(1, 1_400));
    expect(dueCall(after(...paid, refunding(1, 30), refunding(2, 700), refunded(1, 1_400)))).toMatchObject({
      operation: "refund",
      number: 2,
      amount: gbp(130),
    });
    given(...paid, refunding(1, 30), refunding(2, 700))
      .when({ type: "refunded", at, number: 1, amount: 1_530 })
      .then(refunded(1, 1_530), refunded(2, 0));
  });
});

describe("a provider with names of its own", () => {
  const opened: PaymentEvent = { type: "opened", at, reference: "pi_1" };

  test("gives one before anything is asked for, once", () => {
    given(authorising).when({ type: "opened", at, reference: "pi_1" }).then(opened);
    given(authorising, opened).when({ type: "opened", at, reference: "pi_2" }).thenNothingHappened();
    given(...paid)
      .when({ type: "opened", at, reference: "pi_2" })
      .thenNothingHappened();
    given().when({ type: "opened", at, reference: "pi_2" }).thenNothingHappened();
  });

  test("is asked by it in every call that follows", () => {
    const first = dueCall(after(authorising));
    const named = dueCall(after(authorising, opened));
    expect(first).toEqual({ ...named, reference: undefined } as typeof first);
    expect(named).toMatchObject({ operation: "authorise", token: "tok_ok", reference: "pi_1" });
    // Each is a step of its own, with a job of its own.
    expect(isSame(first, named)).toBe(false);
    expect(isSame(named, dueCall(after(authorising, opened, givenUp)))).toBe(true);
    for (const events of [
      [authorising, opened, authorised, capturing],
      [authorising, opened, givenUp, authorised, { type: "voiding", at } as PaymentEvent],
      [authorising, opened, authorised, capturing, captured, refunding(1, 30)],
    ])
      expect(dueCall(after(...events))).toMatchObject({ reference: "pi_1" });
  });

  test("hears that the order is given up", () => {
    expect(dueCall(after(authorising))).not.toHaveProperty("givenUp");
    expect(dueCall(after(authorising, opened, givenUp))).toMatchObject({ givenUp: true });
  });

  test("may say why it declines", () => {
    const declined: PaymentEvent = { type: "declined", at, reason: "payment-declined", why: "expired_card" };
    given(authorising, opened).when(declined).then(declined);
    expect(after(authorising, opened, declined)?.history.at(-1)).toEqual({
      at,
      status: "declined",
      reason: "payment-declined: expired_card",
    });
  });
});

describe("what others do at the provider", () => {
  const statement = (over: Partial<Statement>): Command => ({
    type: "reconcile",
    at,
    orderId,
    method: "test",
    statement: {
      total,
      state: "captured",
      captures: over.state === "voided" ? [] : [all],
      refunds: [],
      ...over,
    },
  });
  const byHand = (number: number, amount: number): PaymentEvent[] => {
    const refund = { number, amount, reason: "given back at the provider" };
    return [
      { type: "refunding", at, refund },
      { type: "refunded", at, refund },
    ];
  };

  test("money that they give back is booked once, after our own refunds", () => {
    given(...paid)
      .when(statement({ refunded: 500 }))
      .then(...byHand(1, 500));
    given(...paid, ...byHand(1, 500))
      .when(statement({ refunded: 500 }))
      .thenNothingHappened();
    given(...paid, ...byHand(1, 500))
      .when(statement({ refunded: 530 }))
      .then(...byHand(2, 30));
    given(...paid)
      .when(statement({ refunds: [{ number: 1, amount: 500 }], refunded: 530 }))
      .then(refunding(1, 500), refunded(1, 500), ...byHand(2, 30));
    // What did not arrive in the end is for a person to look at.
    given(...paid, refunding(1, 500), refunded(1, 500))
      .when(statement({ refunded: 0 }))
      .thenNothingHappened();
  });

  test("money that they take for a payment that is over goes back", () => {
    const reference = "pi_1";
    const found: PaymentEvent = {
      type: "found",
      at,
      orderId,
      total,
      authorised: 1_530,
      method: "test",
      reference,
    };
    const untold: PaymentEvent = { type: "captured", at, capture: all, untold: true };
    const declined: PaymentEvent = { type: "declined", at, reason: "timed-out" };
    for (const over of [[declined], [authorised, voiding, voided]]) {
      given(authorising, ...over)
        .when(statement({ reference: "pi_1" }))
        .then(found, capturing, untold, refunding(1, 1_530));
      given(authorising, ...over)
        .when(statement({ reference: "pi_1", state: "voided" }))
        .thenNothingHappened();
    }
  });

  test("a dispute is noted with each of its states, once, and moves nothing", () => {
    const dispute = { reference: "du_1", status: "needs_response", reason: "fraudulent", amount: 1_530 };
    const disputed: PaymentEvent = { type: "disputed", at, dispute };
    const lost = { type: "disputed", at, dispute: { ...dispute, status: "lost" } } satisfies PaymentEvent;
    given(...paid)
      .when(statement({ disputes: [dispute] }))
      .then(disputed);
    given(...paid, disputed)
      .when(statement({ disputes: [dispute] }))
      .thenNothingHappened();
    given(...paid, disputed)
      .when(statement({ disputes: [lost.dispute] }))
      .then(lost);
    const payment = after(...paid, disputed, lost, refunding(1, 30), refunded(1, 30));
    expect(payment).toMatchObject({
      status: "captured",
      captured: 1_530,
      refunded: 30,
      disputes: [lost.dispute],
    });
    expect(payment?.history.map(({ reason }) => reason).filter(Boolean)).toEqual([
      "dispute du_1 (fraudulent): needs_response",
      "dispute du_1 (fraudulent): lost",
    ]);
  });
});

describe("captures by shipment", () => {
  const capture = (key: string, amount: number, final = false): Command => ({
    type: "capture",
    ...{ at, orderId, key, amount: gbp(amount), final },
  });
  const answered = (key: string): Command => ({ type: "captured", at, key });

  test("part of it is captured at once, the rest is held", () => {
    const authorise = { at, orderId, total, method: "test", token: "tok_ok" };
    given()
      .when({ type: "authorise", ...authorise, captureNow: gbp(300) })
      .then({ type: "authorising", ...authorise, atOnce: 300 });
    given()
      .when({ type: "authorise", ...authorise, captureNow: total })
      .then({ type: "authorising", ...authorise });
    const now = { type: "capturing", at, capture: { amount: 300 } } satisfies PaymentEvent;
    given({ ...authorising, atOnce: 300 } as PaymentEvent)
      .when({ type: "authorised", at })
      .then(authorised, now);
    // A card that can be captured only once: better all of it than none of the rest.
    given({ ...authorising, atOnce: 300 } as PaymentEvent)
      .when({ type: "authorised", at, whole: true })
      .then({ type: "authorised", at, whole: true }, capturing);
  });

  test("go one after the other, each once", () => {
    const first = [...holding, takes("s-1", 500)];
    given(...first)
      .when(capture("s-1", 500))
      .thenNothingHappened();
    given(...first)
      .when(capture("s-2", 30))
      .then(takes("s-2", 30));
    const both = [...first, takes("s-2", 30)];
    expect(dueCall(after(...both))).toMatchObject({ key: "o-1:capture:s-1", amount: gbp(500) });
    given(...both)
      .when(answered("s-2"))
      .thenNothingHappened();
    given(...both)
      .when(answered("s-1"))
      .then(took("s-1", 500));
    expect(dueCall(after(...both, took("s-1", 500)))).toMatchObject({ key: "o-1:capture:s-2" });
    const done = [...both, took("s-1", 500), took("s-2", 30)];
    for (const key of ["s-1", "s-2"]) {
      given(...done)
        .when(capture(key, 500))
        .thenNothingHappened();
      given(...done)
        .when(answered(key))
        .thenNothingHappened();
    }
    expect(after(...done)).toMatchObject({ status: "authorised", authorised: 1_530, captured: 530 });
  });

  test("come before refunds, which wait", () => {
    const some = [...holding, takes("s-1", 500), took("s-1", 500), refunding(1, 100), takes("s-2", 30)];
    expect(dueCall(after(...some))).toMatchObject({ operation: "refund" });
    const more = [...some, refunding(2, 50), refunded(1, 100)];
    expect(dueCall(after(...more))).toMatchObject({ key: "o-1:capture:s-2" });
    expect(dueCall(after(...more, took("s-2", 30)))).toMatchObject({ key: "o-1:refund:2" });
  });

  test("are never of more than is held, those that wait counted in", () => {
    given(...holding, takes("s-1", 500))
      .when(capture("s-2", 1_031))
      .then(failed("s-2", "payment-declined"));
    given(...holding, takes("s-1", 1_530))
      .when(capture("s-2", 1))
      .then(failed("s-2", "authorisation-expired"));
    given(...holding)
      .when({
        type: "capture",
        at,
        orderId,
        key: "s-1",
        amount: { amount: 1, currency: "EUR" },
        final: false,
      })
      .then(failed("s-1", "payment-declined"));
  });

  test("with the last the rest goes back, and nothing is captured after it", () => {
    const last = [...holding, takes("s-1", 500), took("s-1", 500), takes("s-2", 30, true)];
    expect(dueCall(after(...last))).toMatchObject({ final: true });
    given(...last)
      .when(capture("s-3", 10))
      .then(failed("s-3", "authorisation-expired"));
    expect(after(...last, took("s-2", 30, true))).toMatchObject({
      status: "captured",
      authorised: 530,
      captured: 530,
    });
  });

  test("of all that is left leave nothing to be let go of", () => {
    expect(dueCall(after(...holding, takes("s-1", 1_530)))).toMatchObject({ final: true });
    expect(dueCall(after(...holding, takes("s-1", 1_529)))).toMatchObject({ final: false });
  });

  test("the rest goes back when the one under way is done", () => {
    const some = [...holding, takes("s-1", 500), released];
    given(...some)
      .when(answered("s-1"))
      .then(took("s-1", 500), voiding);
    expect(after(...some, took("s-1", 500), voiding, voided)).toMatchObject({
      status: "captured",
      authorised: 500,
    });
  });

  test("of a card that can be captured only once are refused in parts, and may be asked for again", () => {
    const whole = [holding[0], { ...authorised, whole: true }] as PaymentEvent[];
    given(...whole)
      .when(capture("s-1", 500))
      .then(failed("s-1", "partial-capture-unavailable"));
    const refused = [...whole, failed("s-1", "partial-capture-unavailable")];
    expect(after(...refused)).toMatchObject({ status: "authorised", authorised: 1_530 });
    given(...refused)
      .when(capture("s-1", 1_530))
      .then(takes("s-1", 1_530));
    given(...refused)
      .when(capture("s-1", 500, true))
      .then(takes("s-1", 500, true));
  });

  test("that the provider refuses leave the others", () => {
    const both = [...holding, takes("s-1", 500), takes("s-2", 30)];
    given(...both)
      .when({ type: "capture-refused", at, key: "s-1", reason: "payment-declined" })
      .then(failed("s-1", "payment-declined"));
    expect(dueCall(after(...both, failed("s-1", "payment-declined")))).toMatchObject({
      key: "o-1:capture:s-2",
    });
  });

  test("an order that is given up makes none of those that wait", () => {
    const both = [...holding, takes("s-1", 500), takes("s-2", 30)];
    given(...both)
      .when({ type: "abort", at, orderId })
      .then(failed("s-2", "authorisation-expired"), givenUp);
    const undone = [...both, failed("s-2", "authorisation-expired"), givenUp];
    given(...undone)
      .when(answered("s-1"))
      .then(took("s-1", 500), voiding);
    given(...undone, took("s-1", 500), voiding)
      .when({ type: "voided", at, taken: [{ key: "s-1", amount: 500 }] })
      .then(voided, refunding(1, 500));
  });
});

describe("an authorisation that runs out", () => {
  const renewed: PaymentEvent = { type: "renewed", at, until: 9_000 };

  test("is renewed before, for what is left of it", () => {
    given(...holding)
      .when({ type: "renew", at, before: 4_999 })
      .thenNothingHappened();
    given(...holding)
      .when({ type: "renew", at, before: 5_000 })
      .then(renewing);
    expect(dueCall(after(...holding, takes("s-1", 500), took("s-1", 500), renewing))).toMatchObject({
      key: "o-1:renew:1",
      amount: gbp(1_030),
    });
    expect(after(...holding, renewing, renewed)).toMatchObject({ status: "authorised", until: 9_000 });
    expect(dueCall(after(...holding, renewing, renewed, renewing))).toMatchObject({ key: "o-1:renew:2" });
    given(...holding, renewing, renewed, renewing)
      .when({ type: "renewed", at, number: 1, until: 9_000 })
      .thenNothingHappened();
  });

  test("is renewed for the capture that found it so, which is made then", () => {
    const ranOut: Command = { type: "ran-out", at, key: "s-1", renewals: 0 };
    given(...holding, takes("s-1", 500))
      .when(ranOut)
      .then(renewing);
    given(...holding, takes("s-1", 500), renewing, renewed)
      .when(ranOut)
      .thenNothingHappened();
    const late = [...holding, takes("s-1", 500), renewing];
    expect(dueCall(after(...late))).toMatchObject({ operation: "renew" });
    expect(dueCall(after(...late, renewed))).toMatchObject({ key: "o-1:capture:s-1" });
  });

  test("and cannot be renewed is let go of, and captures that wait have failed", () => {
    const late = [...holding, takes("s-1", 500), renewing];
    given(...late)
      .when({ type: "not-renewed", at, number: 1 })
      .then(failed("s-1", "authorisation-expired"), expiring);
    const over = [...late, failed("s-1", "authorisation-expired"), expiring];
    given(...over)
      .when({ type: "voided", at, taken: [] })
      .then(expired);
    expect(after(...over, expired)).toMatchObject({ status: "expired", authorised: 0 });
  });

  test("when some was captured, leaves that", () => {
    const some = [...holding, takes("s-1", 500), took("s-1", 500), renewing, expiring, expired];
    expect(after(...some)).toMatchObject({ status: "captured", authorised: 500, captured: 500 });
    given(...some)
      .when({ type: "give-back", at, orderId, key: "r-1", amount: gbp(500) })
      .then({ type: "refunding", at, refund: { number: 1, amount: 500, key: "r-1" } });
  });
});

describe("a return", () => {
  const giveBack = (key: string, amount: number): Command => ({
    type: "give-back",
    ...{ at, orderId, key, amount: gbp(amount) },
  });
  const returning = (number: number, key: string, amount: number): PaymentEvent => ({
    type: "refunding",
    at,
    refund: { number, amount, key },
  });

  test("is given back once, under its key", () => {
    given(...paid)
      .when(giveBack("r-1", 500))
      .then(returning(1, "r-1", 500));
    given(...paid, returning(1, "r-1", 500))
      .when(giveBack("r-1", 500))
      .thenNothingHappened();
    expect(
      dueCall(after(...paid, refunding(1, 30), returning(2, "r-1", 500), refunded(1, 30))),
    ).toMatchObject({
      key: "o-1:return:r-1",
      number: 2,
    });
  });

  test("is given back as far as there is money, and is answered in any case", () => {
    given(...paid, refunding(1, 1_500))
      .when(giveBack("r-1", 500))
      .then(returning(2, "r-1", 30));
    const none = { type: "nothing-refunded", at, key: "r-1" } satisfies PaymentEvent;
    given(...paid, refunding(1, 1_530))
      .when(giveBack("r-1", 500))
      .then(none);
    given(...paid)
      .when({ type: "give-back", at, orderId, key: "r-1", amount: { amount: 5, currency: "EUR" } })
      .then(none);
    given(...paid, none)
      .when(giveBack("r-1", 500))
      .thenNothingHappened();
  });
});

describe("what a provider says of a payment in parts", () => {
  const statement = (over: Partial<Statement>): Statement => ({
    ...{ total, state: "open" as const, captures: [], refunds: [] },
    ...over,
  });
  const reconcile = (over: Partial<Statement>): Command => ({
    type: "reconcile",
    ...{ at, orderId, method: "test", statement: statement(over) },
  });
  const one = { key: "s-1", amount: 500 };

  test("captures that we do not remember are booked and told", () => {
    given(...holding)
      .when(reconcile({ captures: [one] }))
      .then(takes("s-1", 500), took("s-1", 500));
    given(...holding, takes("s-1", 500), took("s-1", 500))
      .when(reconcile({ captures: [one] }))
      .thenNothingHappened();
  });

  test("what it does not hold any more has run out, or is given back as we wanted", () => {
    given(...holding)
      .when(reconcile({ state: "voided" }))
      .then(expired);
    given(...holding)
      .when(reconcile({ state: "captured", captures: [one] }))
      .then(takes("s-1", 500), took("s-1", 500), expired);
  });

  test("what nobody asked for goes back, whatever became of it", () => {
    const found = { type: "found", at, orderId, total, method: "test" } as const;
    const untold = { ...took("s-1", 500), untold: true } as PaymentEvent;
    given()
      .when(reconcile({ captures: [one] }))
      .then({ ...found, authorised: 1_530 }, takes("s-1", 500), untold, voiding);
    given()
      .when(reconcile({ state: "captured", captures: [one] }))
      .then({ ...found, authorised: 500 }, takes("s-1", 500), untold, refunding(1, 500));
  });

  test("differences are in what was captured, given back and is held", () => {
    const some = after(...holding, takes("s-1", 500), took("s-1", 500), refunding(1, 30), refunded(1, 30));
    const same = { captures: [one], refunds: [{ number: 1, amount: 30 }] };
    expect(differences(some, statement(same))).toEqual([]);
    expect(differences(some, statement({ ...same, refunded: 40 }))).toEqual([
      { what: "refunded", ours: 30, theirs: 40 },
    ]);
    expect(differences(some, statement({ state: "voided" }))).toEqual([
      { what: "captured", ours: 500, theirs: 0 },
      { what: "refunded", ours: 30, theirs: 0 },
      { what: "held", ours: 1_030, theirs: 0 },
    ]);
    expect(differences(undefined, statement({ state: "voided" }))).toEqual([]);
    expect(differences(undefined, statement({}))).toEqual([{ what: "held", ours: 0, theirs: 1_530 }]);
  });
});

describe("a payment that was kept before it could be captured in parts", () => {
  const facts = {
    ...{ orderId, version: 4, total, wanted: "capture" as const, method: "test", history: [] },
    ...{ authorised: 1_530, captured: 1_530, refunded: 0, refunds: 0 },
  };

  test("is captured all at once", () => {
    const payment = today({ ...facts, status: "capturing", captured: 0 });
    expect(dueCall(payment)).toMatchObject({ key: "o-1:capture", amount: total, final: true });
    expect(decide(payment, { type: "captured", at })).toEqual([captured]);
    expect(evolve(payment, captured)).toMatchObject({ status: "captured", captured: 1_530 });
  });

  test("goes on with its refunds", () => {
    const pending = [{ number: 1, amount: 30 }];
    const payment = today({ ...facts, status: "refunding", refunds: 1, pending });
    expect(dueCall(payment)).toMatchObject({ key: "o-1:refund:1", amount: gbp(30) });
    expect(evolve(payment, refunded(1, 30))).toMatchObject({ status: "captured", refunded: 30 });
  });

  test("is not captured again", () => {
    const payment = today({ ...facts, status: "captured" });
    const statement: Statement = { total, state: "captured", captures: [all], refunds: [] };
    expect(differences(payment, statement)).toEqual([]);
    expect(decide(payment, { type: "reconcile", at, orderId, method: "test", statement })).toEqual([]);
    expect(today(payment)).toBe(payment);
  });
});

describe("what is held", () => {
  const heldAfter = (...events: PaymentEvent[]) => {
    const payment = after(...events);
    return payment && held(payment);
  };

  test("is what was authorised and not given back", () => {
    expect(heldAfter(authorising)).toBe(0);
    expect(heldAfter(authorising, authorised)).toBe(1_530);
    expect(heldAfter(...paid)).toBe(1_530);
    expect(heldAfter(...paid, refunding(1, 500))).toBe(1_530);
    expect(heldAfter(...paid, refunding(1, 500), refunded(1, 500))).toBe(1_030);
    expect(heldAfter(authorising, authorised, voiding, voided)).toBe(0);
    const some = [...holding, takes("s-1", 500), took("s-1", 500)];
    expect(heldAfter(...some)).toBe(1_530);
    expect(heldAfter(...some, released, voiding, voided)).toBe(500);
    expect(heldAfter(...some, renewing, expiring, expired)).toBe(500);
    expect(heldAfter(...holding, takes("s-1", 500, true), took("s-1", 500, true))).toBe(500);
  });

  test("the token is kept no longer than it is needed", () => {
    const payment = after(authorising, authorised);
    expect(JSON.stringify(payment)).not.toContain("tok_ok");
  });
});
