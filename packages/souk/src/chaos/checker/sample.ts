/** For tests: the stores of a small shop in which everything is right, written by hand on the services' own migrations. */
import { Database } from "bun:sqlite";
import { appendFileSync, cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { AnswersLog } from "../answers.ts";
import { readContracts } from "./contracts.ts";

export const root = resolve(import.meta.dir, "../../../../..");
const contracts = readContracts(root);
const statements = /\n?--> statement-breakpoint\n/;

type Row = Record<string, string | number | null>;

/** Where the shop's SQL is run: a file a service, and the provider's book. */
export interface Stores {
  run(service: string, sql: string): Promise<void>;
}

/** When the first order was placed. */
export const began = Date.parse("2026-03-01T12:00:00.000Z");
export const price = { amount: 250, currency: "GBP" };

/** The SQL of a row; the same for both databases. */
export function insert(table: string, row: Row): string {
  const value = (each: string | number | null) =>
    typeof each === "string" ? `'${each.replaceAll("'", "''")}'` : String(each);
  return `insert into ${table} (${Object.keys(row).join(", ")}) values (${Object.values(row).map(value).join(", ")})`;
}

/** The migrations of a service for a database, one statement after the other. */
export function migrations(service: string, dialect: "sqlite" | "postgres"): string[] {
  const folder = join(root, "services", service, "migrations", dialect);
  const files = readdirSync(folder).filter((name) => name.endsWith(".sql"));
  return files.sort().flatMap((name) => readFileSync(join(folder, name), "utf8").split(statements));
}

/** A shop's folder with files for its stores. */
export class Files implements Stores {
  readonly home = mkdtempSync(join(tmpdir(), "souk-sample-"));
  readonly answers = join(this.home, "answers.ndjson");

  /** Another shop as this one is now. */
  copy(): Files {
    const copy = new Files();
    cpSync(this.home, copy.home, { recursive: true });
    return copy;
  }

  async run(service: string, sql: string): Promise<void> {
    const folder = join(this.home, "data");
    mkdirSync(folder, { recursive: true });
    const db = new Database(join(folder, `${service}.db`), { create: true, readwrite: true });
    try {
      db.exec("pragma synchronous = off");
      db.exec(sql);
    } finally {
      db.close();
    }
  }

  remove(): void {
    rmSync(this.home, { recursive: true, force: true });
  }
}

/** The table of the test provider's book. */
export const book = `create table operations (payment text, key text, operation text, amount integer, currency text,
  outcome text, calls integer, asked_at integer, primary key (payment, key))`;

/** An event that was sent, and handled by all who are told. @returns the SQL, with the service that it is for */
export function told(
  seq: number,
  service: string,
  type: string,
  key: string,
  data: Record<string, unknown>,
  at: number,
): [string, string][] {
  const { shipmentId, key: part = shipmentId ?? "" } = data;
  const id = `${type} of ${key} ${part}`.trim().replaceAll(" ", "-");
  const time = new Date(at).toISOString();
  const topic = contracts.topicOf(type);
  const row = { seq, id, topic, type, key, data: JSON.stringify(data), time, headers: null, at };
  return [
    [service, insert("outbox_sent", row)],
    ...contracts
      .subscribersOf(topic, type)
      .map((name): [string, string] => [
        name,
        insert("outbox_inbox", { consumer: type, event: id, at: at + 10 }),
      ]),
  ];
}

interface OrderRow {
  id: string;
  status: string;
  reason?: string;
  /** Steps with milliseconds from its placing. */
  steps: [status: string, after: number][];
  /** What is not as in the others. */
  more?: Record<string, unknown>;
}

const line = { sku: "CUP", name: "A cup", quantity: 2, unitPrice: price, kind: "physical" };
const total = { amount: 500, currency: "GBP" };

/**
 * Of three cups for 756, with 20 % of tax and shipping, one has left and come back, one has left, and one was cancelled. Each
 * was captured when it left.
 */
const inParts = {
  lines: [
    { ...line, quantity: 3, discount: 120, tax: 126, total: 756, shipped: 2, cancelled: 1, returned: 1 },
  ],
  country: "FR",
  shipping: { amount: 100, currency: "GBP" },
  total: { amount: 856, currency: "GBP" },
  shipments: [
    { id: "o-4-1", status: "delivered", units: [{ line: 0, quantity: 1 }], amount: 352 },
    { id: "o-4-2", status: "delivered", units: [{ line: 0, quantity: 1 }], amount: 252 },
  ],
  returns: [{ id: "r-1", status: "refunded", units: [{ line: 0, quantity: 1 }], amount: 252 }],
  price: {
    subtotal: 750,
    discount: 120,
    tax: 126,
    promotions: [{ id: "p-1", name: "Spring", amount: 120 }],
    customer: "ada",
  },
};

export function order({ id, status, reason, steps, more }: OrderRow) {
  const entries = steps.map(([step, after]) => ({
    at: began + after,
    status: step,
    ...(step === "rejected" ? { reason } : {}),
  }));
  const state = {
    id,
    version: steps.length,
    status,
    reference: `ref-${id}`,
    ...(reason ? { reason } : {}),
    country: "GB",
    lines: [line],
    total,
    ...more,
    history: entries,
  };
  const { version } = state;
  const row = insert("orders", {
    id,
    version,
    status,
    owner: "staff",
    email: "ada@example.com",
    reference: `ref-${id}`,
    placed_at: began,
    state: JSON.stringify(state),
  });
  return { row, state };
}

const confirmed: OrderRow = {
  id: "o-1",
  status: "confirmed",
  steps: [
    ["placed", 0],
    ["reserved", 20],
    ["confirmed", 40],
  ],
};
const declined: OrderRow = {
  id: "o-2",
  status: "rejected",
  reason: "payment-declined",
  steps: [
    ["placed", 0],
    ["reserved", 20],
    ["rejected", 80],
  ],
};
const cancelled: OrderRow = {
  id: "o-3",
  status: "cancelled",
  steps: [
    ["placed", 0],
    ["reserved", 20],
    ["confirmed", 40],
    ["cancelled", 200],
  ],
};

const delivered: OrderRow = {
  id: "o-4",
  status: "delivered",
  steps: [
    ["placed", 0],
    ["reserved", 20],
    ["confirmed", 40],
    ["shipped", 200],
    ["delivered", 300],
  ],
  more: inParts,
};
/** All of them, with what they ask for. */
const rows: [OrderRow, quantity: number][] = [
  [confirmed, 2],
  [declined, 2],
  [cancelled, 2],
  [delivered, 3],
];

/**
 * What the stores hold: one product, an order that was paid, one that was declined, one that was cancelled after, and one
 * that left in parts.
 */
export function sql(): [service: string, statement: string][] {
  let seq: Record<string, number> = {};
  const say = (
    service: string,
    type: string,
    key: string,
    after: number,
    data: Record<string, unknown> = { orderId: key },
  ) => {
    seq = { ...seq, [service]: (seq[service] ?? 0) + 1 };
    return told(seq[service] ?? 0, service, type, key, data, began + after);
  };
  const each = (ids: string[], service: string, type: string, after: number) =>
    ids.flatMap((id) => say(service, type, id, after));
  const product = { sku: "CUP", name: "A cup", price, kind: "physical", version: 1 };
  const all = ["o-1", "o-2", "o-3", "o-4"];
  const payment = (id: string, status: string, [authorised, captured, refunded]: [number, number, number]) =>
    insert("payments", {
      order_id: id,
      version: 1,
      state: JSON.stringify({
        orderId: id,
        status,
        total,
        authorised,
        captured,
        refunded,
        history: [{ at: began + 21, status: "authorising" }],
      }),
    });
  const call = (
    id: string,
    operation: string,
    outcome: string,
    after: number,
    key = `${id}:${operation}`,
    amount = 500,
  ) =>
    insert("operations", {
      payment: id,
      key,
      operation,
      amount,
      currency: "GBP",
      outcome,
      calls: 1,
      asked_at: began + after,
    });
  const booked = (entry: string, debtor: string, creditor: string, after: number, amount = 500) => [
    posting(entry, debtor, amount, 0, began + after),
    posting(entry, creditor, 0, amount, began + after),
  ];
  const gbp = (amount: number) => ({ amount, currency: "GBP" });
  const cup = [{ sku: "CUP", quantity: 1 }];
  const part = (shipmentId: string) => ({ orderId: "o-4", shipmentId, lines: cup });
  // What of the fourth is told, by its parts; each with milliseconds from its placing.
  const parts: [service: string, type: string, after: number, data: Record<string, unknown>][] = [
    ["orders", "order.reserved", 20, { captureNow: gbp(0) }],
    ["payments", "payment.authorised", 30, { amount: gbp(856) }],
    ["orders", "order.confirmed", 40, { shipment: { id: "o-4-1", lines: [{ sku: "CUP", quantity: 3 }] } }],
    ["orders", "order.shipment-accepted", 100, { ...part("o-4-1"), amount: gbp(352) }],
    ["payments", "payment.captured", 110, { key: "o-4-1", amount: gbp(352) }],
    ["orders", "order.shipped", 120, part("o-4-1")],
    ["orders", "order.lines-cancelled", 130, { lines: cup }],
    ["orders", "order.shipment-accepted", 180, { ...part("o-4-2"), amount: gbp(252) }],
    ["payments", "payment.captured", 190, { key: "o-4-2", amount: gbp(252) }],
    ["orders", "order.shipped", 200, part("o-4-2")],
    ["orders", "order.delivered", 250, { shipmentId: "o-4-1" }],
    ["orders", "order.delivered", 300, { shipmentId: "o-4-2" }],
    ["orders", "order.return-received", 400, { returnId: "r-1", lines: [{ ...cup[0], restock: true }] }],
    ["inventory", "stock.restocked", 410, { returnId: "r-1", lines: cup }],
    ["payments", "payment.refunded", 420, { key: "r-1", amount: gbp(252) }],
  ];
  const events = [
    ...say("catalog", "product.created", "CUP", -500, product),
    ...say("catalog", "product.stocked", "CUP", -500, { sku: "CUP", onHand: 100 }),
    ...say("inventory", "stock.adjusted", "CUP", -490, {
      sku: "CUP",
      onHand: 100,
      reserved: 0,
      available: 100,
      version: 2,
    }),
    ...each(all, "orders", "order.placed", 0),
    ...each(all, "inventory", "stock.reserved", 10),
    ...each(["o-1", "o-2", "o-3"], "orders", "order.reserved", 20),
    ...each(["o-1", "o-3"], "payments", "payment.captured", 30),
    ...each(["o-1", "o-3"], "orders", "order.confirmed", 40),
    ...say("payments", "payment.declined", "o-2", 30),
    ...say("orders", "order.aborting", "o-2", 35),
    ...say("inventory", "stock.released", "o-2", 45),
    ...say("payments", "payment.voided", "o-2", 45),
    ...say("orders", "order.rejected", "o-2", 80),
    ...say("orders", "order.aborting", "o-3", 100),
    ...say("inventory", "stock.released", "o-3", 120),
    ...say("payments", "payment.refunded", "o-3", 150),
    ...say("orders", "order.cancelled", "o-3", 200),
    ...parts.flatMap(([service, type, after, data]) =>
      say(service, type, "o-4", after, { orderId: "o-4", ...data }),
    ),
  ];
  const orders = rows.map(([each]): [string, string] => ["orders", order(each).row]);
  const copied = { sku: "CUP", name: "A cup", amount: 250, currency: "GBP", kind: "physical", version: 1 };
  const reservation = (order_id: string, status: string, more: Row = {}) =>
    insert("reservations", {
      order_id,
      status,
      lines: JSON.stringify([{ sku: "CUP", quantity: 2 }]),
      ...more,
    });
  const post = { country: "*", method: "post" };
  const parcel = (id: string) => {
    const own = { id, status: "delivered", lines: cup };
    return insert("shipments", {
      id,
      order_id: "o-4",
      version: 1,
      made_at: began,
      status: own.status,
      state: JSON.stringify(own),
    });
  };
  const to = (service: string, statements: string[]) =>
    statements.map((statement): [string, string] => [service, statement]);
  const { amount: _, currency: __, ...listed } = copied;
  return [
    ...events,
    ...orders,
    ...to("orders", [
      // Another customer has given back what they used.
      ...[
        ["", 1],
        ["ada", 1],
        ["bob", 0],
      ].map(([customer = "", used = 0]) => insert("promotion_uses", { promotion: "p-1", customer, used })),
      `insert into promotions (id, version, created_at, active, most, most_each, promotion)
        values ('p-1', 1, ${began}, true, 1, 1, '{}')`,
      `${insert("products", copied).replace(") values (", ", deleted) values (").slice(0, -1)}, false)`,
    ]),
    ...to("orders", [
      insert("shipping_rates", {
        id: "post",
        version: 1,
        rate: JSON.stringify({ ...post, currency: "GBP", upToGrams: null, amount: 100 }),
      }),
    ]),
    ...to("catalog", [
      `${insert("products", { ...listed, price: JSON.stringify(price) })
        .replace(") values (", ", deleted) values (")
        .slice(0, -1)}, false)`,
    ]),
    ...to("inventory", [
      insert("stock", {
        sku: "CUP",
        on_hand: 99,
        reserved: 2,
        version: 3,
        made_at: began,
        counted_at: began,
        sold: 2,
        restocked: 1,
      }),
      reservation("o-1", "reserved"),
      reservation("o-2", "released"),
      reservation("o-3", "released"),
      reservation("o-4", "reserved", {
        lines: "[]",
        shipments: JSON.stringify(["o-4-1", "o-4-2"]),
        returns: JSON.stringify(["r-1"]),
      }),
    ]),
    ...to("shipping", [
      parcel("o-4-1"),
      parcel("o-4-2"),
      insert("rates", {
        ...post,
        version: 1,
        rate: JSON.stringify({ ...post, prices: [{ upToGrams: null, price: gbp(100) }] }),
      }),
    ]),
    ...to("payments", [
      payment("o-1", "captured", [500, 500, 0]),
      payment("o-2", "declined", [0, 0, 0]),
      payment("o-3", "refunded", [500, 500, 500]),
      payment("o-4", "captured", [604, 604, 252]),
      ...booked("o-1:capture", "provider-clearing", "sales-revenue", 30),
      ...booked("o-3:capture", "provider-clearing", "sales-revenue", 30),
      ...booked("o-3:refund:1", "sales-revenue", "provider-clearing", 150),
      ...booked("o-4:capture:o-4-1", "provider-clearing", "sales-revenue", 110, 352),
      ...booked("o-4:capture:o-4-2", "provider-clearing", "sales-revenue", 190, 252),
      ...booked("o-4:refund:1:r-1", "sales-revenue", "provider-clearing", 420, 252),
      totals("provider-clearing", 1_604, 752),
      totals("sales-revenue", 752, 1_604),
    ]),
    ...to("test-provider", [
      call("o-1", "authorise", "approved", 25),
      call("o-1", "capture", "captured", 28),
      call("o-2", "authorise", "declined", 25),
      call("o-3", "authorise", "approved", 25),
      call("o-3", "capture", "captured", 28),
      call("o-3", "refund", "refunded", 140, "o-3:refund:1"),
      call("o-4", "authorise", "approved", 25, undefined, 856),
      call("o-4", "capture", "captured", 105, "o-4:capture:o-4-1", 352),
      call("o-4", "capture", "captured", 185, "o-4:capture:o-4-2", 252),
      call("o-4", "void", "voided", 186, "o-4:capture:o-4-2:rest", 252),
      call("o-4", "refund", "refunded", 415, "o-4:refund:1:r-1", 252),
    ]),
  ];
}

/** SQLite remembers how many events there ever were. */
export const numbers = Object.entries({ catalog: 2, inventory: 8, orders: 23, payments: 9 }).map(
  ([service, seq]): [string, string] => [service, insert("sqlite_sequence", { name: "outbox_events", seq })],
);

export const posting = (entry: string, account: string, debit: number, credit: number, at: number): string =>
  insert("ledger_postings", { entry, account, currency: "GBP", debit, credit, at });

const totals = (account: string, debit: number, credit: number) =>
  insert("ledger_totals", { account, currency: "GBP", shard: 0, debit, credit });

/** What the clients asked and were answered. */
export function writeAnswers(log: AnswersLog): void {
  const who = "staff";
  const [n, at, body] = [500, began - 60_000, { basisPoints: 2_000, included: false }];
  const taxing = { n, at, who, method: "PUT", path: "/api/tax-rates/FR/standard", body };
  for (const line of [{ asked: taxing }, { answer: { n, at, status: 201 } }])
    appendFileSync(log.path, `${JSON.stringify(line)}\n`);
  const product = JSON.stringify({ sku: "CUP", name: "A cup", price, kind: "physical", onHand: 100 });
  log.answered(log.asked({ who, method: "POST", path: "/api/products/import", body: product }), 200, {
    accepted: 1,
    rejected: [],
  });
  for (const [row, quantity] of rows) {
    const seen = view(row, 1);
    const body = { lines: [{ sku: "CUP", quantity }], reference: `ref-${row.id}` };
    log.answered(
      log.asked({ who, method: "POST", path: "/api/orders", idempotencyKey: `key-${row.id}`, body }),
      202,
      seen,
    );
    log.answered(log.asked({ who, method: "GET", path: `/api/orders/${row.id}` }), 200, view(row));
  }
  log.answered(log.asked({ who, method: "POST", path: "/api/orders/o-3/cancel" }), 202, view(cancelled, 3));
  const one = { lines: [{ sku: "CUP", quantity: 1 }] };
  log.answered(
    log.asked({ who, method: "POST", path: "/api/orders/o-4/cancel", body: one }),
    202,
    view(delivered, 3),
  );
  log.answered(
    log.asked({ who, method: "POST", path: "/api/orders/o-4/returns", body: one }),
    202,
    view(delivered),
  );
}

/** An order as clients read it, after so many of its steps. */
export function view(row: OrderRow, steps = row.steps.length) {
  const { state } = order(row);
  const entries = state.history.slice(0, steps);
  return {
    id: state.id,
    reference: state.reference,
    status: entries.at(-1)?.status,
    lines: state.lines.map(({ kind: _, ...each }) => ({ ...each, total: state.total })),
    total: state.total,
    history: entries.map(({ at, ...entry }) => ({ at: new Date(at).toISOString(), ...entry })),
  };
}

export const samples = { confirmed, declined, cancelled, delivered };

/** The shop in files, with the clients' log. */
export async function sample(): Promise<Files> {
  const files = new Files();
  const tables = contracts.keepers.flatMap((service) =>
    migrations(service, "sqlite").map((statement): [string, string] => [service, statement]),
  );
  const statements = [...tables, ["test-provider", book] as const, ...sql(), ...numbers];
  for (const [service, all] of Map.groupBy(statements, ([service]) => service))
    await files.run(service, ["begin", ...all.map(([, each]) => each), "commit"].join(";\n"));
  const log = new AnswersLog(files.answers);
  writeAnswers(log);
  log.close();
  return files;
}
