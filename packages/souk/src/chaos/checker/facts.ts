import { fileURLToPath } from "node:url";
import { type Exchange, readAnswers } from "../answers.ts";
import { type Contracts, readContracts } from "./contracts.ts";
import { json, number, openBook, openStore, type Row, type Store } from "./stores.ts";
import type { CheckOptions } from "./types.ts";

export interface Money {
  amount: number;
  currency: string;
}

export interface Line {
  sku: string;
  name: string;
  quantity: number;
  unitPrice: Money;
  kind: "physical" | "service";
  /** What all of it is worth, in minor units; absent: quantity × unit price. */
  total?: number;
  discount?: number;
  tax?: number;
  /** Units that have left; of a physical one. Absent: none, here and below. */
  shipped?: number;
  /** In hand-over. */
  leaving?: number;
  cancelled?: number;
  returned?: number;
}

/** Units of a line, which is named by its place in the order. */
export interface Units {
  line: number;
  quantity: number;
}

/** What leaves of an order, as the order knows it. */
export interface Shipment {
  id: string;
  status: string;
  units: Units[];
}

export interface Return {
  id: string;
  status: string;
  units: Units[];
}

export interface Order {
  id: string;
  version: number;
  /** As clients read it. */
  status: string;
  reference: string | null;
  placedAt: number;
  state: {
    version: number;
    /** Also `aborting`. */
    status: string;
    reason?: string;
    reference: string | null;
    lines: Line[];
    total: Money;
    /** What shipping is charged with; it is in the total. */
    shipping?: Money;
    shipments?: Shipment[];
    returns?: Return[];
    /** Where it goes to. */
    country?: string;
    /** How its total came about, where that is more than quantities and unit prices. */
    price?: {
      subtotal: number;
      discount: number;
      tax: number;
      promotions: { id: string; amount: number }[];
      /** Whose uses of promotions these are. */
      customer?: string;
    };
    history: { at: number; status: string; reason?: string }[];
  };
}

export interface Promotion {
  id: string;
  /** 1: it has never been changed. */
  version: number;
  /** Orders that may use it, of all customers and of each; null: any number. */
  limit: number | null;
  limitPerCustomer: number | null;
  /** Those that it counts, by customer; under "" all of them. */
  uses: Map<string, number>;
}

export interface Payment {
  orderId: string;
  status: string;
  total: Money;
  authorised: number;
  captured: number;
  refunded: number;
  history: { at: number; status: string }[];
}

/** A call in the provider's book. */
export interface Operation {
  payment: string;
  key: string;
  operation: "authorise" | "capture" | "void" | "refund" | "renew";
  amount: number;
  currency: string;
  outcome: string;
  askedAt: number;
}

export interface Posting {
  entry: string;
  account: string;
  currency: string;
  debit: number;
  credit: number;
  at: number;
}

export interface Total {
  account: string;
  currency: string;
  debit: number;
  credit: number;
}

export interface Product {
  sku: string;
  version: number;
  deleted: boolean;
  name: string;
  price: Money;
  kind: string;
  /** `standard` where nothing is said. */
  taxClass: string;
  /** Grams; 0 where nothing is said. */
  weight: number;
}

export interface Level {
  sku: string;
  onHand: number;
  reserved: number;
  /** Pieces that have left with orders, come back on the shelf, and come back for nothing. */
  sold: number;
  restocked: number;
  writtenOff: number;
}

export interface Piece {
  sku: string;
  quantity: number;
}

export interface Reservation {
  orderId: string;
  status: string;
  /** What it holds while reserved. */
  lines: Piece[];
  /** Those that have left, and those that have come in. */
  shipments: string[];
  returns: string[];
}

/** A shipment as those who send it know it. */
export interface Parcel {
  id: string;
  orderId: string;
  status: string;
  lines: Piece[];
}

/** An event that its service has committed. */
export interface Told {
  service: string;
  seq: number;
  id: string;
  topic: string;
  type: string;
  key: string;
  data: Record<string, unknown>;
  /** Milliseconds since the epoch. */
  at: number;
  sent: boolean;
}

/** What the outbox of a service holds. */
export interface Machinery {
  service: string;
  dialect: Store["dialect"];
  told: Told[];
  /** The number of the last event ever committed, where the database counts without gaps. */
  lastNumber: number | undefined;
  /** `type id` of every event it has handled, with when. */
  handled: Map<string, number>;
  jobs: { kind: string; key: string; at: number; attempt: number }[];
  deadLetters: { id: string; topic: string; type: string; reason: string; status: string }[];
}

/** All that is known of a shop at one moment. */
export interface Facts {
  /** When it was read: milliseconds since the epoch. */
  at: number;
  options: CheckOptions;
  finalWithinMs: number;
  exchanges: Exchange[];
  contracts: Contracts;
  services: Map<string, Machinery>;
  orders: Map<string, Order>;
  /** Orders' copy of the catalog. */
  copies: Map<string, Product>;
  catalog: Map<string, Product>;
  promotions: Promotion[];
  /** What sending costs, by country, method, currency and weight, in minor units: orders' copy, and its source. */
  rates: { copy: Map<string, number>; source: Map<string, number> };
  stock: Map<string, Level>;
  reservations: Map<string, Reservation>;
  /** Undefined in a shop without a shipping service. */
  parcels: Parcel[] | undefined;
  payments: Map<string, Payment>;
  postings: Posting[];
  totals: Total[];
  book: Operation[];
}

const here = fileURLToPath(new URL("../../../../..", import.meta.url));

/**
 * Reads everything there is to know.
 * @throws {Error} when a store is missing, or kept no sent events
 */
export async function readFacts(options: CheckOptions): Promise<Facts> {
  const contracts = readContracts(options.root ?? here);
  const services = new Map<string, Machinery>();
  const read = async <T>(service: string, reading: (all: Store["all"]) => Promise<T>): Promise<T> => {
    const store = await openStore(options, service);
    try {
      services.set(service, await machinery(service, store));
      return await reading(store.all);
    } finally {
      await store.close();
    }
  };
  const orders = await read("orders", async (all) => ({
    orders: (await all("select * from orders")).map(order),
    copies: (await all("select * from products")).map((row) =>
      product(row, { amount: number(row.amount), currency: row.currency as string }),
    ),
    promotions: promotionsOf(
      await all("select id, version, most, most_each from promotions"),
      await all("select * from promotion_uses"),
    ),
    rates: (await all("select rate from shipping_rates where rate is not null")).map((row) => {
      const { country, method, currency, upToGrams, amount } = json<Rate & { amount: number }>(row.rate);
      return [keyOf({ country, method, currency, upToGrams }), amount] as const;
    }),
  }));
  const catalog = await read("catalog", async (all) =>
    (await all("select sku, version, deleted, name, price, kind, tax_class, weight from products")).map(
      (row) => product(row, row.price == null ? nothing : json<Money>(row.price)),
    ),
  );
  const inventory = await read("inventory", async (all) => ({
    stock: (await all("select * from stock")).map(
      (row): Level => ({
        sku: row.sku as string,
        onHand: number(row.on_hand),
        reserved: number(row.reserved),
        sold: number(row.sold),
        restocked: number(row.restocked),
        writtenOff: number(row.written_off),
      }),
    ),
    reservations: (await all("select * from reservations")).map(
      (row): Reservation => ({
        orderId: row.order_id as string,
        status: row.status as string,
        lines: json(row.lines),
        shipments: json(row.shipments),
        returns: json(row.returns),
      }),
    ),
  }));
  const payments = await read("payments", async (all) => ({
    payments: (await all("select * from payments")).map((row) => json<Payment>(row.state)),
    postings: (await all("select * from ledger_postings")).map(
      (row): Posting => ({ entry: row.entry as string, ...sides(row), at: number(row.at) }),
    ),
    totals: (await all("select * from ledger_totals")).map(sides),
  }));
  const shipping = contracts.keepers.includes("shipping")
    ? await read("shipping", async (all) => ({
        parcels: (await all("select id, order_id, status, state from shipments")).map(
          (row): Parcel => ({
            id: row.id as string,
            orderId: row.order_id as string,
            status: row.status as string,
            lines: json<Pick<Parcel, "lines">>(row.state).lines,
          }),
        ),
        rates: (await all("select rate from rates where rate is not null")).flatMap((row) => {
          const { country, method, prices } = json<SourceRate>(row.rate);
          return prices.map(
            ({ price: { amount, currency }, upToGrams }) =>
              [keyOf({ country, method, currency, upToGrams }), amount] as const,
          );
        }),
      }))
    : undefined;
  for (const service of contracts.keepers) if (!services.has(service)) await read(service, async () => {});

  const by = <T>(rows: T[], key: (row: T) => string) => new Map(rows.map((row) => [key(row), row]));
  return {
    at: Date.now(),
    options,
    finalWithinMs: options.finalWithinMs ?? 120_000,
    exchanges: options.answers === undefined ? [] : readAnswers(options.answers),
    contracts,
    services,
    orders: by(orders.orders, ({ id }) => id),
    copies: by(orders.copies, ({ sku }) => sku),
    catalog: by(catalog, ({ sku }) => sku),
    stock: by(inventory.stock, ({ sku }) => sku),
    reservations: by(inventory.reservations, ({ orderId }) => orderId),
    parcels: shipping?.parcels,
    promotions: orders.promotions,
    rates: { copy: new Map(orders.rates), source: new Map(shipping?.rates) },
    payments: by(payments.payments, ({ orderId }) => orderId),
    postings: payments.postings,
    totals: payments.totals,
    book: await readBook(options),
  };
}

/** Every event of the shop, once: what was sent again is the event that it was. */
export const allTold = ({ services }: Facts): Told[] =>
  [...services.values()].flatMap(({ told }) => [...new Map(told.map((event) => [event.id, event])).values()]);

async function machinery(service: string, { dialect, all }: Store): Promise<Machinery> {
  const told =
    (sent: boolean) =>
    (row: Row): Told => ({
      service,
      seq: number(row.seq),
      id: row.id as string,
      topic: row.topic as string,
      type: row.type as string,
      key: row.key as string,
      data: json(row.data),
      at: Date.parse(row.time as string),
      sent,
    });
  const kept = (await all("select * from outbox_sent order by seq")).map(told(true));
  const waiting = (await all("select * from outbox_events order by seq")).map(told(false));
  const [last] =
    dialect === "sqlite" ? await all("select seq from sqlite_sequence where name = 'outbox_events'") : [];
  if (kept.length === 0 && number(last?.seq ?? 0) > waiting.length)
    throw new Error(
      `${service} has kept none of the events it has sent, so nobody can tell whether they arrived. Run the shop with RETAIN_SENT_EVENTS_MS=86400000 from its first start on.`,
    );
  return {
    service,
    dialect,
    told: [...kept, ...waiting],
    lastNumber: last === undefined ? undefined : number(last.seq),
    handled: new Map(
      (await all("select consumer, event, at from outbox_inbox")).map((row) => [
        `${row.consumer} ${row.event}`,
        number(row.at),
      ]),
    ),
    jobs: (await all("select kind, key, at, attempt from outbox_jobs")).map((row) => ({
      kind: row.kind as string,
      key: row.key as string,
      at: number(row.at),
      attempt: number(row.attempt),
    })),
    deadLetters: (await all(
      "select id, topic, type, reason, status from outbox_dead_letters",
    )) as unknown as Machinery["deadLetters"],
  };
}

async function readBook(options: CheckOptions): Promise<Operation[]> {
  const store = await openBook(options);
  if (!store) return [];
  try {
    return (await store.all("select * from operations")).map(
      ({ asked_at: askedAt, ...row }) => ({ ...row, askedAt }) as unknown as Operation,
    );
  } finally {
    await store.close();
  }
}

interface Rate {
  country: string;
  method: string;
  currency: string;
  upToGrams: number | null;
}

interface SourceRate {
  country: string;
  method: string;
  prices: { upToGrams: number | null; price: Money }[];
}

const keyOf = ({ country, method, currency, upToGrams }: Rate): string =>
  [country, method, currency, upToGrams === null ? "any weight" : `${upToGrams} g`].join(" ");

const nothing: Money = { amount: 0, currency: "" };

const order = (row: Row): Order => ({
  id: row.id as string,
  version: number(row.version),
  status: row.status as string,
  reference: row.reference as string | null,
  placedAt: number(row.placed_at),
  state: json(row.state),
});

function promotionsOf(promotions: Row[], uses: Row[]): Promotion[] {
  const most = (value: Row[string]) => (value === null ? null : number(value));
  return promotions.map((row) => ({
    id: row.id as string,
    version: number(row.version),
    limit: most(row.most),
    limitPerCustomer: most(row.most_each),
    uses: new Map(
      uses
        .filter(({ promotion }) => promotion === row.id)
        .map(({ customer, used }) => [customer as string, number(used)]),
    ),
  }));
}

const product = (row: Row, price: Money): Product => ({
  sku: row.sku as string,
  version: number(row.version),
  deleted: Boolean(row.deleted),
  name: (row.name ?? "") as string,
  price,
  kind: row.kind as string,
  taxClass: (row.tax_class ?? "standard") as string,
  weight: number(row.weight ?? 0),
});

const sides = (row: Row): Total => ({
  account: row.account as string,
  currency: row.currency as string,
  debit: number(row.debit),
  credit: number(row.credit),
});
