import { holdsNothing, ledger, moneyOf, paymentOf, reservationOf } from "./holdings.ts";
import { apps } from "./plan.ts";
import { definitions } from "./process.ts";
import { processOf, type Shop } from "./shop.ts";

interface OrderState {
  id: string;
  status: "placed" | "reserved" | "confirmed" | "aborting" | "rejected" | "cancelled";
  reason?: string;
  lines: { sku: string; quantity: number; kind: "physical" | "service" }[];
  total: { amount: number; currency: string };
  payment: { token: string };
}

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
  copies(shop);
  delivered(shop);
  once(shop);
}

function ended(shop: Shop, order: OrderState): void {
  const { id, status, total } = order;
  if (status === "rejected" || status === "cancelled") {
    holdsNothing(shop, id, status);
    return;
  }
  if (status !== "confirmed") {
    shop.world.violate(`order ${id} is ${status} in the end`);
    return;
  }
  const { approved, captured, refunded } = moneyOf(shop.book.book(), id);
  const payment = paymentOf(shop, id);
  const reservation = reservationOf(shop, id);
  const wrong =
    reservation?.status !== "reserved"
      ? `its stock is ${reservation?.status}`
      : total.amount === 0
        ? approved + captured > 0 && "it costs nothing, and money was taken"
        : captured !== total.amount
          ? `of ${total.amount} ${captured} was captured`
          : payment?.captured !== captured || payment.refunded !== refunded
            ? "payments and the provider do not agree"
            : (payment?.refunds ?? 0) !== (shop.clients.refunds.get(id) ?? 0) &&
              "its refunds are not those asked for";
  if (wrong) shop.world.violate(`order ${id} is confirmed, but ${wrong}`);
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

function stockAddsUp(shop: Shop, orders: ReadonlyMap<string, OrderState>): void {
  const sold = new Map<string, number>();
  for (const { status, lines } of orders.values())
    if (status === "confirmed")
      for (const { sku, quantity, kind } of lines)
        if (kind === "physical") sold.set(sku, (sold.get(sku) ?? 0) + quantity);
  const levels = processOf(shop, "inventory").disk.rows<{
    sku: string;
    reserved: number;
    on_hand: number;
    version: number;
  }>("select sku, reserved, on_hand, version from stock");
  const counts = new Map<string, { version: number; onHand: number }>();
  for (const { type, data } of shop.broker.publishedBy("inventory")) {
    if (type !== "stock.adjusted") continue;
    const { sku, version, onHand } = data as { sku: string; version: number; onHand: number };
    if (version > (counts.get(sku)?.version ?? 0)) counts.set(sku, { version, onHand });
  }
  for (const { sku, reserved, on_hand } of levels) {
    if (reserved !== (sold.get(sku) ?? 0))
      shop.world.violate(`${reserved} of ${sku} are reserved, and ${sold.get(sku) ?? 0} sold`);
    if (on_hand !== (counts.get(sku)?.onHand ?? 0))
      shop.world.violate(`${on_hand} of ${sku} are there, and ${counts.get(sku)?.onHand ?? 0} were counted`);
  }
}

function copies(shop: Shop): void {
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
    for (const { type, subject } of broker.publishedBy(app)) {
      const what = `${type} ${subject}`;
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
  "payment.refunded",
]);
