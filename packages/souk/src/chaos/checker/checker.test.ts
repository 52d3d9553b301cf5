import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { AnswersLog, readAnswers } from "../answers.ts";
import { type CheckOptions, check, history, pending, type RuleName, rules } from "./index.ts";
import { began, type Files, insert, posting, root, sample, samples, view } from "./sample.ts";

const shops: Files[] = [];
let whole: Files;

beforeAll(async () => {
  whole = await sample();
});
afterAll(() => whole.remove());

afterEach(() => {
  for (const shop of shops.splice(0)) shop.remove();
});

function shop(): Files {
  const made = whole.copy();
  shops.push(made);
  return made;
}

async function broken(files: Files, more: Partial<CheckOptions> = {}): Promise<Set<RuleName>> {
  const { violations } = await check({ home: files.home, root, answers: files.answers, ...more });
  return new Set(violations.map(({ rule }) => rule));
}

/** Adds to the clients' log. */
function asked(files: Files, write: (log: AnswersLog) => void): void {
  const log = new AnswersLog(files.answers, 1_000);
  write(log);
  log.close();
}

test("a shop in which everything is right", async () => {
  const { home, answers } = shop();
  const verdict = await check({ home, root, answers });
  expect(verdict.violations).toEqual([]);
  expect(verdict.figures).toEqual({
    orders: 4,
    accepted: 4,
    confirmed: 2,
    shipped: 0,
    delivered: 1,
    returned: 0,
    rejected: 1,
    cancelled: 1,
    captured: { GBP: 1_604 },
    refunded: { GBP: 752 },
    shipments: 2,
    returns: 1,
    soldUnits: 3,
    products: 1,
    postings: 12,
    events: 42,
    deliveries: expect.any(Number),
    deadLetters: 0,
  });
  expect(await pending({ home, root })).toEqual({ orders: 0, unsent: 0, undelivered: 0, jobs: 0 });
});

const state = (change: string, id = "o-1") =>
  `update orders set state = json_set(state, ${change}) where id = '${id}'`;
const order = (after: number) =>
  JSON.stringify([
    { at: began, status: "placed" },
    { at: began + after, status: "confirmed" },
  ]);

/** What is done to which store, and the rule that finds it. */
const damages: [rule: RuleName, what: string, service: string, sql: string][] = [
  [
    "accepted-order-exists",
    "an order that was accepted is gone",
    "orders",
    "delete from orders where id = 'o-1'",
  ],
  [
    "answer-is-what-is-stored",
    "a total is another than was answered",
    "orders",
    state("'$.total.amount', 400"),
  ],
  [
    "answer-is-what-is-stored",
    "a quantity is another than was asked for",
    "orders",
    state("'$.lines[0].quantity', 1"),
  ],
  ["answer-is-what-is-stored", "the reference was not kept", "orders", state("'$.reference', null")],
  [
    "answer-is-what-is-stored",
    "what was cancelled is confirmed",
    "orders",
    "update orders set status = 'confirmed', state = json_set(json_remove(state, '$.history[3]'), '$.status', 'confirmed') where id = 'o-3'",
  ],
  [
    "key-has-one-effect",
    "one request has placed two orders",
    "orders",
    "insert into orders (id, version, status, owner, email, reference, placed_at, state) select 'o-9', version, status, owner, email, reference, placed_at, json_set(state, '$.id', 'o-9') from orders where id = 'o-1'",
  ],
  [
    "answer-is-what-is-stored",
    "a part whose cancelling was accepted was not cancelled",
    "orders",
    state("'$.lines[0].cancelled', 0", "o-4"),
  ],
  [
    "key-has-one-effect",
    "more was cancelled than anybody asked for",
    "orders",
    state("'$.lines[0].cancelled', 2", "o-4"),
  ],
  [
    "key-has-one-effect",
    "more came back than anybody asked for",
    "orders",
    state("'$.lines[0].returned', 2", "o-4"),
  ],
  [
    "key-has-one-effect",
    "money was given back that nobody asked for",
    "test-provider",
    insert("operations", {
      payment: "o-1",
      key: "o-1:refund:1",
      operation: "refund",
      amount: 100,
      currency: "GBP",
      outcome: "refunded",
      calls: 1,
      asked_at: began + 60,
    }),
  ],
  [
    "order-is-final-in-time",
    "an order stays where it is",
    "orders",
    state(`'$.status', 'placed', '$.history', json('${JSON.stringify([{ at: began, status: "placed" }])}')`),
  ],
  [
    "order-is-final-in-time",
    "an order is given up, and never ends",
    "orders",
    state("'$.status', 'aborting'"),
  ],
  [
    "order-is-final-in-time",
    "a shipment is being handed over for ever",
    "orders",
    state("'$.shipments[1].status', 'dispatching'", "o-4"),
  ],
  [
    "order-is-final-in-time",
    "a return is never refunded",
    "orders",
    state("'$.returns[0].status', 'received'", "o-4"),
  ],
  ["order-is-final-in-time", "an order was late", "orders", state("'$.history[2].at', 1904040404040")],
  ["history-is-allowed", "an order left out a step", "orders", state(`'$.history', json('${order(40)}')`)],
  [
    "history-is-allowed",
    "an order shows as what it is not",
    "orders",
    "update orders set status = 'placed' where id = 'o-1'",
  ],
  [
    "history-is-allowed",
    "a version is not that of its state",
    "orders",
    "update orders set version = 9 where id = 'o-1'",
  ],
  [
    "order-follows-events",
    "a capture was heard, and the order was not confirmed",
    "orders",
    state("'$.history[2].at', 1904040404040"),
  ],
  [
    "order-follows-events",
    "inventory has heard of a shipment, and nothing left",
    "inventory",
    "update reservations set shipments = '[]' where order_id = 'o-4'",
  ],
  [
    "order-follows-events",
    "inventory has heard of a return, and never answers",
    "inventory",
    "update outbox_sent set type = 'stock.forgotten' where type = 'stock.restocked'",
  ],
  [
    "order-follows-events",
    "payments has heard of an order, and begun nothing",
    "payments",
    "delete from payments where order_id = 'o-1'",
  ],
  [
    "captured-once",
    "an order is captured twice",
    "test-provider",
    "insert into operations select payment, 'again', operation, amount, currency, outcome, calls, asked_at from operations where key = 'o-1:capture'",
  ],
  [
    "captured-once",
    "more is given back than was taken",
    "test-provider",
    "update operations set amount = 600 where key = 'o-3:refund:1'",
  ],
  [
    "confirmed-is-paid",
    "less was captured than the order is worth",
    "test-provider",
    "update operations set amount = 499 where key = 'o-1:capture'",
  ],
  [
    "confirmed-is-paid",
    "another currency was captured",
    "test-provider",
    "update operations set currency = 'USD' where payment = 'o-1'",
  ],
  [
    "money-matches-provider",
    "a refund is not in the ledger",
    "payments",
    "delete from ledger_postings where entry = 'o-3:refund:1'",
  ],
  [
    "money-matches-provider",
    "the ledger has what never was",
    "payments",
    posting("o-1:refund:1", "sales-revenue", 5, 0, began),
  ],
  [
    "money-matches-provider",
    "a payment believes what is not so",
    "payments",
    "update payments set state = json_set(state, '$.captured', 0) where order_id = 'o-1'",
  ],
  [
    "captured-once",
    "a shipment is captured twice",
    "test-provider",
    "insert into operations select payment, key || ':again', operation, amount, currency, outcome, calls, asked_at from operations where key = 'o-4:capture:o-4-1'",
  ],
  [
    "captured-once",
    "more is captured and let go than was authorised",
    "test-provider",
    "update operations set amount = 253 where key = 'o-4:capture:o-4-2:rest'",
  ],
  [
    "confirmed-is-paid",
    "what is still to leave is let go of",
    "test-provider",
    insert("operations", {
      payment: "o-1",
      key: "o-1:void",
      operation: "void",
      amount: 1,
      currency: "GBP",
      outcome: "voided",
      calls: 1,
      asked_at: began + 60,
    }),
  ],
  [
    "confirmed-is-paid",
    "something is captured at once of what was to be captured when it leaves",
    "test-provider",
    "update operations set key = 'o-4:capture' where key = 'o-4:capture:o-4-1'",
  ],
  [
    "kept-is-paid",
    "a shipment is captured for a penny too much",
    "test-provider",
    "update operations set amount = 253 where key = 'o-4:capture:o-4-2'",
  ],
  [
    "kept-is-paid",
    "what came back is not refunded",
    "test-provider",
    "delete from operations where key = 'o-4:refund:1:r-1'",
  ],
  [
    "kept-is-paid",
    "what was cancelled was captured at once, and not given back",
    "orders",
    state("'$.lines[0].cancelled', 1"),
  ],
  [
    "shipped-is-captured",
    "a shipment left before it was captured",
    "test-provider",
    `update operations set asked_at = ${began + 130} where key = 'o-4:capture:o-4-1'`,
  ],
  [
    "shipped-is-captured",
    "a shipment left, and was never captured",
    "test-provider",
    "delete from operations where key = 'o-4:capture:o-4-2'",
  ],
  ["units-add-up", "more came back than had left", "orders", state("'$.lines[0].returned', 3", "o-4")],
  ["units-add-up", "more left than there was", "orders", state("'$.lines[0].shipped', 4", "o-4")],
  [
    "units-add-up",
    "a shipment is told with another quantity",
    "orders",
    "update outbox_sent set data = json_set(data, '$.lines[0].quantity', 2) where type = 'order.shipped'",
  ],
  [
    "units-add-up",
    "what was cancelled is told to nobody",
    "orders",
    "update outbox_sent set type = 'order.forgotten' where type = 'order.lines-cancelled'",
  ],
  [
    "units-add-up",
    "shipping has sent what the order has not",
    "shipping",
    `update shipments set state = json_set(state, '$.lines[0].quantity', 2) where id = 'o-4-1'`,
  ],
  ["units-add-up", "a shipment is still to be sent", "shipping", "update shipments set status = 'pending'"],
  ["price-adds-up", "a total is not the sum of its parts", "orders", state("'$.shipping.amount', 99", "o-4")],
  ["price-adds-up", "a line is worth more than its price", "orders", state("'$.lines[0].total', 757", "o-4")],
  [
    "price-adds-up",
    "what promotions gave is not what was taken off",
    "orders",
    state("'$.price.promotions[0].amount', 119", "o-4"),
  ],
  [
    "price-adds-up",
    "the tax is another than that of the country",
    "orders",
    state("'$.lines[0].tax', 125, '$.lines[0].total', 755, '$.total.amount', 855", "o-4"),
  ],
  [
    "price-adds-up",
    "a tax is taken that nobody has set",
    "orders",
    state("'$.lines[0].tax', 20, '$.lines[0].total', 520, '$.total.amount', 520"),
  ],
  [
    "promotion-counts",
    "an order that came to nothing is counted still",
    "orders",
    "update promotion_uses set used = 1 where customer = 'bob'",
  ],
  [
    "promotion-counts",
    "an order was not counted",
    "orders",
    "delete from promotion_uses where customer = ''",
  ],
  ["promotion-counts", "it is used more often than it may be", "orders", "update promotions set most = 0"],
  [
    "promotion-counts",
    "a customer uses it more often than they may",
    "orders",
    "update promotions set most_each = 0",
  ],
  ["stock-adds-up", "more is promised than is there", "inventory", "update stock set on_hand = 1"],
  [
    "stock-adds-up",
    "what is reserved is not what the reservations hold",
    "inventory",
    "update stock set reserved = 3",
  ],
  [
    "stock-adds-up",
    "goods are restocked twice",
    "inventory",
    "update stock set on_hand = on_hand + 1, restocked = restocked + 1",
  ],
  ["stock-adds-up", "what left is not counted", "inventory", "update stock set on_hand = 101, sold = 0"],
  [
    "stock-adds-up",
    "a piece that was cancelled stays reserved",
    "inventory",
    `update reservations set lines = '[{"sku":"CUP","quantity":1}]' where order_id = 'o-4'`,
  ],
  ["stock-adds-up", "there is less than was put in", "inventory", "update stock set on_hand = 90"],
  [
    "stock-adds-up",
    "a confirmed order holds nothing",
    "inventory",
    "update reservations set status = 'released' where order_id = 'o-1'",
  ],
  [
    "ledger-balances",
    "an entry does not balance",
    "payments",
    "update ledger_postings set credit = credit - 1 where entry = 'o-1:capture' and credit > 0",
  ],
  [
    "ledger-balances",
    "a total is not the sum of its postings",
    "payments",
    "update ledger_totals set debit = debit + 1 where account = 'sales-revenue'",
  ],
  [
    "ended-order-holds-nothing",
    "a rejected order keeps its stock",
    "inventory",
    "update reservations set status = 'reserved' where order_id = 'o-2'",
  ],
  [
    "ended-order-holds-nothing",
    "a cancelled order keeps money",
    "test-provider",
    "delete from operations where key = 'o-3:refund:1'",
  ],
  [
    "ended-order-holds-nothing",
    "a rejected order may still be charged",
    "test-provider",
    "update operations set outcome = 'pending' where payment = 'o-2'",
  ],
  [
    "ended-order-holds-nothing",
    "a rejected order has money authorised",
    "test-provider",
    "update operations set outcome = 'approved' where payment = 'o-2'",
  ],
  [
    "ended-order-holds-nothing",
    "an order shows as rejected before its stock is released",
    "inventory",
    `update outbox_sent set time = '${new Date(began + 500).toISOString()}' where type = 'stock.released' and key = 'o-2'`,
  ],
  [
    "ended-order-holds-nothing",
    "what will never be captured stays authorised",
    "test-provider",
    "delete from operations where key = 'o-4:capture:o-4-2:rest'",
  ],
  [
    "ended-order-holds-nothing",
    "an order of which all has left holds stock",
    "inventory",
    `update reservations set lines = '[{"sku":"CUP","quantity":1}]' where order_id = 'o-4'`,
  ],
  ["copy-equals-source", "a price of the copy is old", "orders", "update products set amount = 199"],
  [
    "copy-equals-source",
    "what sending costs is old",
    "orders",
    "update shipping_rates set rate = json_set(rate, '$.amount', 99)",
  ],
  ["copy-equals-source", "a product has not reached inventory", "inventory", "delete from stock"],
  [
    "copy-equals-source",
    "an order was sold at a price that never was",
    "orders",
    state("'$.lines[0].unitPrice.amount', 1"),
  ],
  [
    "event-is-delivered",
    "a subscriber has not handled an event",
    "inventory",
    "delete from outbox_inbox where consumer = 'order.placed'",
  ],
  [
    "event-is-delivered",
    "an event was committed and never sent",
    "orders",
    "delete from outbox_sent where seq = 3",
  ],
  [
    "event-is-delivered",
    "an event was handled that nobody told",
    "orders",
    insert("outbox_inbox", { consumer: "stock.reserved", event: "made-up", at: began }),
  ],
  [
    "event-is-delivered",
    "a step was told to nobody",
    "orders",
    "update outbox_sent set type = 'order.forgotten' where seq = 8",
  ],
  [
    "no-dead-letters",
    "an event was given up",
    "orders",
    insert("outbox_dead_letters", {
      id: "e-1",
      topic: "catalog",
      type: "product.created",
      reason: "no",
      event: "{}",
      at: began,
    }),
  ],
  [
    "nothing-is-left-to-do",
    "an event waits to be sent",
    "orders",
    insert("outbox_events", {
      id: "e-9",
      topic: "orders",
      type: "order.late",
      key: "o-1",
      data: "{}",
      time: new Date(began).toISOString(),
      at: began,
    }),
  ],
  [
    "nothing-is-left-to-do",
    "a job is overdue",
    "payments",
    insert("outbox_jobs", { kind: "provider-call", key: "o-1", at: began, attempt: 9, next: began }),
  ],
];

describe("finds that", () => {
  test.each(damages)("%s: %s", async (rule, _, service, sql) => {
    const files = shop();
    await files.run(service, sql);
    expect([...(await broken(files))]).toContain(rule);
  });

  test("every rule is broken once", () => {
    expect(new Set(damages.map(([rule]) => rule))).toEqual(new Set(Object.keys(rules) as RuleName[]));
  });
});

describe("hears clients", () => {
  const body = { lines: [{ sku: "CUP", quantity: 2 }], reference: "ref-o-1" };
  const placing = { who: "staff", method: "POST", path: "/api/orders", idempotencyKey: "key-o-1", body };

  test("a request without an answer may have had its effect or not", async () => {
    const files = shop();
    asked(files, (log) => {
      log.answered(log.asked(placing), null);
      log.asked({ ...placing, idempotencyKey: "another", body: { ...body, reference: "never seen" } });
    });
    expect([...(await broken(files))]).toEqual([]);
  });

  test("another answer to the same key", async () => {
    const files = shop();
    asked(files, (log) => log.answered(log.asked(placing), 202, view(samples.declined, 1)));
    expect([...(await broken(files))]).toContain("key-has-one-effect");
  });

  test("an order that was refused, and is there", async () => {
    const files = shop();
    asked(files, (log) =>
      log.answered(log.asked({ ...placing, body: { ...body, reference: "ref-x" } }), 422, {}),
    );
    await files.run("orders", "update orders set reference = 'ref-x' where id = 'o-1'");
    expect([...(await broken(files))]).toContain("key-has-one-effect");
  });

  test("a status that was taken back", async () => {
    const files = shop();
    asked(files, (log) =>
      log.answered(log.asked({ who: "staff", method: "GET", path: "/api/orders/o-2" }), 200, {
        ...view(samples.confirmed),
        id: "o-2",
      }),
    );
    expect([...(await broken(files))]).toContain("answer-is-what-is-stored");
  });

  test("what was put in last counts, and of two at once either", async () => {
    const files = shop();
    const put = (log: AnswersLog, onHand: number) =>
      log.asked({ who: "staff", method: "PUT", path: "/api/stock/CUP", body: { onHand } });
    asked(files, (log) => {
      const first = put(log, 70);
      log.answered(put(log, 80), 409);
      log.answered(put(log, 100), 200);
      log.answered(first, 200);
    });
    expect([...(await broken(files))]).toEqual([]);
    await Bun.sleep(5);
    const log = new AnswersLog(files.answers, 2_000);
    log.answered(put(log, 60), 200);
    log.close();
    expect([...(await broken(files))]).toContain("stock-adds-up");
  });

  test("a log that was cut off in the middle of a line", async () => {
    const files = shop();
    const text = await Bun.file(files.answers).text();
    await Bun.write(files.answers, text + text.slice(0, 40));
    expect(readAnswers(files.answers)).toHaveLength(13);
    await Bun.write(files.answers, `nonsense\n${text}`);
    expect(() => readAnswers(files.answers)).toThrow(":1 cannot be read");
  });
});

describe("knows what is no violation", () => {
  test("dead letters that were expected, or that somebody has decided about", async () => {
    const files = shop();
    const letter = {
      id: "e-1",
      topic: "catalog",
      type: "product.created",
      reason: "no",
      event: "{}",
      at: began,
    };
    await files.run("orders", insert("outbox_dead_letters", letter));
    expect([...(await broken(files, { explainedDeadLetters: ({ reason }) => reason === "no" }))]).toEqual([]);
    await files.run("orders", "update outbox_dead_letters set status = 'discarded'");
    expect([...(await broken(files))]).toEqual([]);
  });

  test("after a restore, what was handled and its sender has forgotten", async () => {
    const files = shop();
    await files.run(
      "orders",
      insert("outbox_inbox", { consumer: "stock.reserved", event: "lost", at: began }),
    );
    expect([...(await broken(files, { restored: true }))]).toEqual([]);
  });

  test("an order that was held up by trouble, within its time from there", async () => {
    const files = shop();
    await files.run("orders", state(`'$.history[2].at', ${began + 200_000}`));
    await files.run(
      "orders",
      `update outbox_inbox set at = ${began + 200_000} where consumer = 'payment.captured'`,
    );
    // What clients were told before is not what is looked at here.
    const answers = undefined;
    expect([...(await broken(files, { answers }))]).toEqual(["order-is-final-in-time"]);
    expect([...(await broken(files, { answers, quietSince: began + 150_000 }))]).toEqual([]);
  });

  test("events that were sent again", async () => {
    const files = shop();
    const columns = "id, topic, type, key, data, time, headers, at";
    await files.run(
      "orders",
      `insert into outbox_sent (seq, ${columns}) select seq + 23, ${columns} from outbox_sent`,
    );
    await files.run("orders", "update sqlite_sequence set seq = 46 where name = 'outbox_events'");
    expect([...(await broken(files))]).toEqual([]);
  });
});

describe("says what it needs", () => {
  test("sent events", async () => {
    const files = shop();
    await files.run("orders", "delete from outbox_sent");
    expect(broken(files)).rejects.toThrow("RETAIN_SENT_EVENTS_MS");
  });

  test("stores", async () => {
    const files = shop();
    expect(check({ home: `${files.home}/nowhere`, root })).rejects.toThrow("is this the folder of a shop");
  });
});

test("the history of an order tells what every service knows of it", async () => {
  const { home, answers } = shop();
  const text = await history({ home, root, answers }, "o-3");
  for (const part of [
    "client    request 6: POST /api/orders, key key-o-3",
    "orders    cancelled",
    "orders    → order.aborting",
    "inventory  ← order.aborting",
    "provider   refund 500 GBP: refunded (o-3:refund:1)",
    "ledger     sales-revenue debit 500 credit 0 GBP",
    'reservation: {"orderId":"o-3","status":"released"',
  ])
    expect(text.replace(/ {2,}/g, "  ")).toContain(part.replace(/ {2,}/g, "  "));
  expect(await history({ home, root, answers }, "nobody")).toContain("nothing is known of it");
});
