/** For tests: the stores of a small shop in which everything is right, written by hand on the services' own migrations. */
import { Database } from "bun:sqlite";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
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
  data: object,
  at: number,
): [string, string][] {
  const id = `${type} of ${key}`.replaceAll(" ", "-");
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
}

const line = { sku: "CUP", name: "A cup", quantity: 2, unitPrice: price, kind: "physical" };
const total = { amount: 500, currency: "GBP" };

export function order({ id, status, reason, steps }: OrderRow) {
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
    lines: [line],
    total,
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

/** What the stores hold: one product, an order that was paid, one that was declined, one that was cancelled after. */
export function sql(): [service: string, statement: string][] {
  let seq: Record<string, number> = {};
  const say = (
    service: string,
    type: string,
    key: string,
    after: number,
    data: object = { orderId: key },
  ) => {
    seq = { ...seq, [service]: (seq[service] ?? 0) + 1 };
    return told(seq[service] ?? 0, service, type, key, data, began + after);
  };
  const each = (ids: string[], service: string, type: string, after: number) =>
    ids.flatMap((id) => say(service, type, id, after));
  const product = { sku: "CUP", name: "A cup", price, kind: "physical", version: 1 };
  const all = ["o-1", "o-2", "o-3"];
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
  const call = (id: string, operation: string, outcome: string, after: number, key = `${id}:${operation}`) =>
    insert("operations", {
      payment: id,
      key,
      operation,
      amount: 500,
      currency: "GBP",
      outcome,
      calls: 1,
      asked_at: began + after,
    });
  const booked = (entry: string, debtor: string, creditor: string, after: number) => [
    posting(entry, debtor, 500, 0, began + after),
    posting(entry, creditor, 0, 500, began + after),
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
    ...each(all, "orders", "order.reserved", 20),
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
  ];
  const orders = [confirmed, declined, cancelled].map((each): [string, string] => [
    "orders",
    order(each).row,
  ]);
  const copied = { sku: "CUP", name: "A cup", amount: 250, currency: "GBP", kind: "physical", version: 1 };
  const reservation = (order_id: string, status: string) =>
    insert("reservations", { order_id, status, lines: JSON.stringify([{ sku: "CUP", quantity: 2 }]) });
  const to = (service: string, statements: string[]) =>
    statements.map((statement): [string, string] => [service, statement]);
  const { amount: _, currency: __, ...listed } = copied;
  return [
    ...events,
    ...orders,
    ...to("orders", [
      `${insert("products", copied).replace(") values (", ", deleted) values (").slice(0, -1)}, false)`,
    ]),
    ...to("catalog", [
      `${insert("products", { ...listed, price: JSON.stringify(price) })
        .replace(") values (", ", deleted) values (")
        .slice(0, -1)}, false)`,
    ]),
    ...to("inventory", [
      insert("stock", {
        sku: "CUP",
        on_hand: 100,
        reserved: 2,
        version: 3,
        made_at: began,
        counted_at: began,
      }),
      reservation("o-1", "reserved"),
      reservation("o-2", "released"),
      reservation("o-3", "released"),
    ]),
    ...to("payments", [
      payment("o-1", "captured", [500, 500, 0]),
      payment("o-2", "declined", [0, 0, 0]),
      payment("o-3", "refunded", [500, 500, 500]),
      ...booked("o-1:capture", "provider-clearing", "sales-revenue", 30),
      ...booked("o-3:capture", "provider-clearing", "sales-revenue", 30),
      ...booked("o-3:refund:1", "sales-revenue", "provider-clearing", 150),
      totals("provider-clearing", 1_000, 500),
      totals("sales-revenue", 500, 1_000),
    ]),
    ...to("test-provider", [
      call("o-1", "authorise", "approved", 25),
      call("o-1", "capture", "captured", 28),
      call("o-2", "authorise", "declined", 25),
      call("o-3", "authorise", "approved", 25),
      call("o-3", "capture", "captured", 28),
      call("o-3", "refund", "refunded", 140, "o-3:refund:1"),
    ]),
  ];
}

/** SQLite remembers how many events there ever were. */
export const numbers = Object.entries({ catalog: 2, inventory: 6, orders: 12, payments: 5 }).map(
  ([service, seq]): [string, string] => [service, insert("sqlite_sequence", { name: "outbox_events", seq })],
);

export const posting = (entry: string, account: string, debit: number, credit: number, at: number): string =>
  insert("ledger_postings", { entry, account, currency: "GBP", debit, credit, at });

const totals = (account: string, debit: number, credit: number) =>
  insert("ledger_totals", { account, currency: "GBP", shard: 0, debit, credit });

/** What the clients asked and were answered. */
export function writeAnswers(log: AnswersLog): void {
  const who = "staff";
  const product = JSON.stringify({ sku: "CUP", name: "A cup", price, kind: "physical", onHand: 100 });
  log.answered(log.asked({ who, method: "POST", path: "/api/products/import", body: product }), 200, {
    accepted: 1,
    rejected: [],
  });
  for (const row of [confirmed, declined, cancelled]) {
    const seen = view(row, 1);
    const body = { lines: [{ sku: "CUP", quantity: 2 }], reference: `ref-${row.id}` };
    log.answered(
      log.asked({ who, method: "POST", path: "/api/orders", idempotencyKey: `key-${row.id}`, body }),
      202,
      seen,
    );
    log.answered(log.asked({ who, method: "GET", path: `/api/orders/${row.id}` }), 200, view(row));
  }
  log.answered(log.asked({ who, method: "POST", path: "/api/orders/o-3/cancel" }), 202, view(cancelled, 3));
}

/** An order as clients read it, after so many of its steps. */
export function view(row: OrderRow, steps = row.steps.length) {
  const { state } = order(row);
  const entries = state.history.slice(0, steps);
  return {
    id: state.id,
    reference: state.reference,
    status: entries.at(-1)?.status,
    lines: state.lines.map(({ kind: _, ...each }) => ({ ...each, total })),
    total,
    history: entries.map(({ at, ...entry }) => ({ at: new Date(at).toISOString(), ...entry })),
  };
}

export const samples = { confirmed, declined, cancelled };

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
