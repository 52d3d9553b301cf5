import { describe, expect, test } from "bun:test";
import { decider } from "chassis/testing";
import { dueCall, isSame } from "./calls.ts";
import { evolve } from "./evolve.ts";
import { type Command, decide, held, type PaymentEvent } from "./payment.ts";
import type { Statement } from "./reconcile.ts";

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
const authorised: PaymentEvent = { type: "authorised", at };
const capturing: PaymentEvent = { type: "capturing", at };
const captured: PaymentEvent = { type: "captured", at };
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

const given = decider(evolve, decide);

describe("every state × every command", () => {
  const states: Record<string, PaymentEvent[]> = {
    none: [],
    closed: [{ type: "closed", at, orderId }],
    authorising: [authorising],
    "… to undo": [authorising, givenUp],
    authorised: [authorising, authorised],
    capturing: paid.slice(0, -1),
    "capturing, to undo": [...paid.slice(0, -1), givenUp],
    captured: paid,
    "captured in part": [...paid, refunding(1, 500), refunded(1, 500)],
    refunding: [...paid, refunding(1, 500)],
    "refunding, to undo": [...paid, refunding(1, 500), givenUp],
    refunded: [...paid, refunding(1, 1_530), refunded(1, 1_530)],
    voiding: [authorising, givenUp, authorised, { type: "voiding", at }],
    voided: [authorising, givenUp, authorised, { type: "voiding", at }, { type: "voided", at }],
    declined: [authorising, { type: "declined", at, reason: "payment-declined" }],
  };
  const commands: Record<string, Command> = {
    authorise: { type: "authorise", at, orderId, total, method: "test", token: "tok_ok" },
    abort: { type: "abort", at, orderId },
    refund: { type: "refund", at, amount: gbp(1) },
    authorised: { type: "authorised", at },
    declined: { type: "declined", at, reason: "timed-out" },
    captured: { type: "captured", at },
    voided: { type: "voided", at },
    refunded: { type: "refunded", at, number: 1, amount: 500 },
  };

  // ·: nothing happens. !: refused. The last five columns are what came of a call to the provider.
  const table = `
                     | authorise   | abort              | refund             | authorised           | declined              | captured                     | voided                | refunded
  none               | authorising | closed             | !nothing-captured  | ·                    | ·                     | ·                            | ·                     | ·
  closed             | ·           | nothing-held       | !nothing-captured  | ·                    | ·                     | ·                            | ·                     | ·
  authorising        | ·           | given-up           | !nothing-captured  | authorised capturing | declined              | ·                            | ·                     | ·
  … to undo          | ·           | ·                  | !nothing-captured  | authorised voiding   | declined nothing-held | ·                            | ·                     | ·
  authorised         | ·           | given-up voiding   | !nothing-captured  | ·                    | ·                     | ·                            | ·                     | ·
  capturing          | ·           | given-up           | !nothing-captured  | ·                    | ·                     | captured                     | declined              | ·
  capturing, to undo | ·           | ·                  | !nothing-captured  | ·                    | ·                     | captured refunding           | declined nothing-held | ·
  captured           | ·           | given-up refunding | refunding          | ·                    | ·                     | ·                            | ·                     | ·
  captured in part   | ·           | given-up refunding | refunding          | ·                    | ·                     | ·                            | ·                     | ·
  refunding          | ·           | given-up           | refunding          | ·                    | ·                     | ·                            | ·                     | refunded
  refunding, to undo | ·           | ·                  | refunding          | ·                    | ·                     | ·                            | ·                     | refunded refunding
  refunded           | ·           | nothing-held       | !nothing-to-refund | ·                    | ·                     | ·                            | ·                     | ·
  voiding            | ·           | ·                  | !nothing-captured  | ·                    | ·                     | capturing captured refunding | voided                | ·
  voided             | ·           | nothing-held       | !nothing-captured  | ·                    | ·                     | ·                            | ·                     | ·
  declined           | ·           | nothing-held       | !nothing-captured  | ·                    | ·                     | ·                            | ·                     | ·`;
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
    statement: { total, state, refunds: amounts.map((amount, index) => ({ number: index + 1, amount })) },
  });
  const found: PaymentEvent = { type: "found", at, orderId, total, method: "test" };
  const closed: PaymentEvent = { type: "closed", at, orderId };
  const untold: PaymentEvent = { type: "captured", at, untold: true };

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
    const after = [...paid, refunding(1, 30), refunding(2, 700), refunded(1, 1_400)];
    expect(dueCall(after.reduce<Parameters<typeof decide>[0]>(evolve, undefined))).toMatchObject({
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
  const after = (...events: PaymentEvent[]) => events.reduce<Parameters<typeof decide>[0]>(evolve, undefined);

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
    statement: { total, state: "captured", refunds: [], ...over },
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
    const found: PaymentEvent = { type: "found", at, orderId, total, method: "test", reference: "pi_1" };
    const untold: PaymentEvent = { type: "captured", at, untold: true };
    const declined: PaymentEvent = { type: "declined", at, reason: "timed-out" };
    const voided: PaymentEvent[] = [authorised, { type: "voiding", at }, { type: "voided", at }];
    for (const over of [[declined], voided]) {
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
    const payment = [...paid, disputed, lost, refunding(1, 30), refunded(1, 30)].reduce<
      Parameters<typeof decide>[0]
    >(evolve, undefined);
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

describe("what is held", () => {
  const after = (...events: PaymentEvent[]) => {
    const payment = events.reduce<Parameters<typeof decide>[0]>(evolve, undefined);
    return payment && held(payment);
  };

  test("is what was authorised and not given back", () => {
    expect(after(authorising)).toBe(0);
    expect(after(authorising, authorised)).toBe(1_530);
    expect(after(...paid)).toBe(1_530);
    expect(after(...paid, refunding(1, 500))).toBe(1_530);
    expect(after(...paid, refunding(1, 500), refunded(1, 500))).toBe(1_030);
    expect(after(authorising, authorised, { type: "voiding", at }, { type: "voided", at })).toBe(0);
  });

  test("the token is kept no longer than it is needed", () => {
    const payment = [authorising, authorised].reduce<Parameters<typeof decide>[0]>(evolve, undefined);
    expect(JSON.stringify(payment)).not.toContain("tok_ok");
  });
});
