import { ended } from "./ended.ts";
import { ledger } from "./holdings.ts";
import { isLive, type LineState, left, type OrderState, waiting } from "./kept.ts";
import { apps } from "./plan.ts";
import { definitions } from "./process.ts";
import { processOf, type Shop } from "./shop.ts";

/** Checks what must hold when all has come to rest. */
export function atEnd(shop: Shop): void {
  const { world, clients } = shop;
  const rows = processOf(shop, "orders").disk.rows<{ id: string; state: string }>(
    "select id, state from orders",
  );
  const orders = new Map(rows.map(({ id, state }) => [id, JSON.parse(state) as OrderState]));
  for (const [name, { id }] of clients.accepted)
    if (!orders.has(id)) world.violate(`order ${id} (${name}) was accepted, and is not there`);
  if (orders.size !== clients.accepted.size)
    world.violate(`${clients.accepted.size} orders were accepted, and there are ${orders.size}`);
  for (const order of orders.values()) ended(shop, order);
  ledger(shop);
  ledgerIsBook(shop);
  stockAddsUp(shop, orders);
  usesAreHeld(shop, orders);
  copies(shop);
  delivered(shop);
  once(shop);
}

function ledgerIsBook(shop: Shop): void {
  const { disk } = processOf(shop, "payments");
  const booked = disk.rows<{ entry: string; amount: number }>(
    "select entry, debit - credit as amount from ledger_postings where account = 'provider-clearing' order by entry",
  );
  const moved = shop.book
    .book()
    .filter(({ outcome }) => outcome === "captured" || outcome === "refunded")
    .map(({ key, outcome, amount }) => ({ entry: key, amount: outcome === "captured" ? amount : -amount }))
    .sort((a, b) => (a.entry < b.entry ? -1 : 1));
  if (JSON.stringify(booked) !== JSON.stringify(moved))
    shop.world.violate(
      `the ledger is not the provider's book: ${JSON.stringify(booked)} and ${JSON.stringify(moved)}`,
    );
  const [totals] = disk.rows<{ off: number }>(
    `select abs((select coalesce(sum(debit - credit), 0) from ledger_totals where account = 'provider-clearing')
       - (select coalesce(sum(debit - credit), 0) from ledger_postings where account = 'provider-clearing')) as off`,
  );
  if (totals?.off) shop.world.violate("the ledger's totals are not the sums of its postings");
}

/** What was counted, less what was sent, and what came back for good; what is reserved is what is to be sent. */
function stockAddsUp(shop: Shop, orders: ReadonlyMap<string, OrderState>): void {
  const live = [...orders.values()].filter(isLive);
  const lines = live.flatMap((order) => order.lines).filter(({ kind }) => kind === "physical");
  const sum = (sku: string, count: (line: LineState) => number) =>
    lines.reduce((total, line) => (line.sku === sku ? total + count(line) : total), 0);
  const counts = new Map<string, StockLevel>();
  for (const { type, data } of shop.broker.publishedBy("inventory")) {
    if (type !== "stock.adjusted") continue;
    const count = data as StockLevel;
    if (count.version > (counts.get(count.sku)?.version ?? 0)) counts.set(count.sku, count);
  }
  const levels = processOf(shop, "inventory").disk.rows<StockLevel>(
    `select sku, version, reserved, sold, restocked, on_hand as "onHand", written_off as "writtenOff" from stock`,
  );
  for (const { sku, reserved, onHand, sold, restocked, writtenOff } of levels) {
    const last = counts.get(sku) ?? { onHand: 0, sold: 0, restocked: 0 };
    const there = last.onHand - (sold - last.sold) + (restocked - last.restocked);
    const wrong: [number, number, string][] = [
      [reserved, sum(sku, waiting), "reserved, and to be sent"],
      [sold, sum(sku, left), "gone, and sent"],
      [restocked + writtenOff, sum(sku, ({ returned = 0 }) => returned), "back, and returned"],
      [onHand, there, "there, and counted, less what is gone, and what is back"],
    ];
    for (const [is, should, what] of wrong)
      if (is !== should) shop.world.violate(`of ${sku} ${is} and ${should} are ${what}`);
  }
}

/** Of a promotion as many uses are counted, of all and of the only customer, as there are orders that hold one. */
function usesAreHeld(shop: Shop, orders: ReadonlyMap<string, OrderState>): void {
  const holding = [...orders.values()].filter(isLive);
  const counts = processOf(shop, "orders").disk.rows<{ id: string; customer: string; used: number }>(
    "select id, customer, used from promotions join promotion_uses uses on uses.promotion = id",
  );
  const given = holding.flatMap(({ price }) => price?.promotions ?? []);
  for (const { id } of given)
    if (!counts.some((count) => count.id === id)) shop.world.violate(`of ${id} no use is counted`);
  for (const { id, customer, used } of counts) {
    const held = given.filter((one) => one.id === id).length;
    if (used !== held)
      shop.world.violate(`of ${id} ${used} uses are counted ${customer && "of a customer "}and ${held} held`);
  }
}

interface StockLevel {
  sku: string;
  version: number;
  reserved: number;
  onHand: number;
  sold: number;
  restocked: number;
  writtenOff: number;
}

function copies(shop: Shop): void {
  const rates = processOf(shop, "shipping").disk.rows(
    "select version, json_extract(rate, '$.prices[0].price.amount') as amount from rates",
  );
  const theirs = processOf(shop, "orders").disk.rows(
    "select version, json_extract(rate, '$.amount') as amount from shipping_rates",
  );
  if (JSON.stringify(rates) !== JSON.stringify(theirs))
    shop.world.violate(
      `the copy of the rates is not shipping's: ${JSON.stringify(theirs)} and ${JSON.stringify(rates)}`,
    );
  const source = processOf(shop, "catalog").disk.rows<Record<string, string | number | null>>(
    "select sku, version, deleted, case when deleted then '' else name end as name, case when deleted then 0 else json_extract(price, '$.amount') end as amount from products order by sku",
  );
  const copy = processOf(shop, "orders").disk.rows(
    "select sku, version, deleted, name, amount from products order by sku",
  );
  if (JSON.stringify(source) !== JSON.stringify(copy))
    shop.world.violate(
      `the copy of the products is not the catalog: ${JSON.stringify(copy)} and ${JSON.stringify(source)}`,
    );
}

/** Every event went out, and has its effect noted with everybody who listens for it; nothing is dead. */
function delivered(shop: Shop): void {
  for (const app of apps) {
    const { disk } = processOf(shop, app);
    const [made] = disk.rows<{ seq: number }>("select seq from sqlite_sequence where name = 'outbox_events'");
    const sent = shop.broker.publishedBy(app).length;
    if ((made?.seq ?? 0) !== sent)
      shop.world.violate(`${app} committed ${made?.seq ?? 0} events, and sent ${sent}`);
    const [dead] = disk.rows<{ type: string; reason: string }>(
      "select type, reason from outbox_dead_letters",
    );
    if (dead) shop.world.violate(`${app} has a dead letter: ${dead.type}: ${dead.reason}`);
    const handled = new Set(disk.rows("select event from outbox_inbox").map(({ event }) => event));
    const listens = new Set(
      (definitions[app].reactions ?? []).map(({ type }) => `${type.topic} ${type.type}`),
    );
    for (const [id, { topic, type }] of shop.broker.owed.get(app) ?? [])
      if (listens.has(`${topic} ${type}`) && !handled.has(id))
        shop.world.violate(`${app} never handled ${type} (${id})`);
  }
}

/** What happens to an order, happens once. */
function once({ world, broker }: Shop): void {
  for (const app of apps) {
    const seen = new Set<string>();
    for (const { type, subject, data } of broker.publishedBy(app)) {
      const { shipmentId, returnId, key } = data as { shipmentId?: string; returnId?: string; key?: string };
      const what = [type, subject, shipmentId ?? returnId ?? key].join(" ");
      if (seen.has(what) && !repeated.has(type)) world.violate(`${what} happened twice`);
      seen.add(what);
    }
  }
}

const repeated = new Set([
  "product.created",
  "product.updated",
  "product.deleted",
  "product.stocked",
  "stock.adjusted",
  "stock.availability",
  "rate.set",
  "payment.refunded",
  "payment.voided",
  "order.lines-cancelled",
  // What was refused may be tried again.
  "shipment.dispatching",
  "order.shipment-refused",
]);
