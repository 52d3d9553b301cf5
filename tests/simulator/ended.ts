import { holdsNothing, moneyOf, paymentOf, reservationOf } from "./holdings.ts";
import {
  bySku,
  isLive,
  left,
  type OrderState,
  waiting,
  wanted,
  worth,
  worthOfReturned,
  written,
} from "./kept.ts";
import { processOf, type Shop } from "./shop.ts";

/** Checks an order when all has come to rest: its money, its goods, its parcels, and what it says of itself. */
export function ended(shop: Shop, order: OrderState): void {
  const { id, status } = order;
  const mispriced = price(order);
  if (mispriced) shop.world.violate(`order ${id} ${mispriced}`);
  if (status === "rejected" || status === "cancelled") {
    holdsNothing(shop, id, status);
    return;
  }
  const wrong = isLive(order)
    ? (goods(shop, order) ?? parcels(shop, order) ?? money(shop, order) ?? standing(order))
    : "that is no end";
  if (wrong) shop.world.violate(`order ${id} is ${status}, but ${wrong}`);
}

/** What it costs is what all of it is worth, and what its promotions gave is off its lines. */
function price(order: OrderState): string | undefined {
  const { lines, total, price: parts } = order;
  const all = worth(order, ({ quantity }) => quantity);
  if (all !== total.amount) return `costs ${total.amount}, and its lines and its charge are worth ${all}`;
  const off = lines.reduce((sum, { discount = 0 }) => sum + discount, 0);
  const given = parts?.promotions.reduce((sum, { amount }) => sum + amount, 0) ?? 0;
  return off === given && off === (parts?.discount ?? 0)
    ? undefined
    : `has ${off} off its lines, and promotions gave ${given}`;
}

function goods(shop: Shop, { id, lines, shipments = [], returns = [] }: OrderState): string | undefined {
  const reservation = reservationOf(shop, id);
  const held = written(JSON.parse(reservation?.lines ?? "[]"));
  const open = bySku(lines, waiting);
  if (reservation?.status !== "reserved") return `its stock is ${reservation?.status}`;
  if (held !== open) return `[${held}] is reserved for it, and [${open}] is to be sent`;
  if (lines.some(({ leaving = 0 }) => leaving > 0)) return "some of it is in hand-over for ever";
  if (shipments.some(({ status }) => status === "dispatching")) return "a shipment is in hand-over for ever";
  if (returns.some(({ status }) => status === "received")) return "a return is under way for ever";
  return undefined;
}

/** Shipping must see it as orders does: what is gone, and one pending shipment of all that is open. */
function parcels(shop: Shop, { id, lines, shipments = [] }: OrderState): string | undefined {
  const rows = processOf(shop, "shipping").disk.rows<{ id: string; status: string; state: string }>(
    "select id, status, state from shipments where order_id = ? and status <> 'cancelled'",
    id,
  );
  const told = (one: { id: string; status: string }, pieces: string) => `${one.id} ${one.status}: ${pieces}`;
  const theirs = rows
    .filter(({ status }) => status !== "pending")
    .map((row) => told(row, written(JSON.parse(row.state).lines)))
    .sort();
  const ours = shipments
    .map((one) => {
      const units = (index: number) =>
        one.units.reduce((sum, { line, quantity }) => (line === index ? sum + quantity : sum), 0);
      return told(
        one,
        bySku(lines, (_, index) => units(index)),
      );
    })
    .sort();
  if (theirs.join("; ") !== ours.join("; "))
    return `shipping has [${theirs.join("; ")}], and orders [${ours.join("; ")}]`;
  const pending = rows
    .filter(({ status }) => status === "pending")
    .map(({ state }) => written(JSON.parse(state).lines));
  const open = bySku(lines, waiting);
  return pending.join("; ") === open
    ? undefined
    : `[${pending.join("; ")}] waits in shipping, and [${open}] is to be sent`;
}

/** What was captured and not given back is what the customer has; what was taken before it is sent, stays taken. */
function money(shop: Shop, order: OrderState): string | undefined {
  const { id, total } = order;
  const { approved, captured, refunded, voided, atOnce, byHand, hands } = moneyOf(shop.book.book(), id);
  const payment = paymentOf(shop, id);
  if (total.amount === 0)
    return approved + captured > 0 ? "it costs nothing, and money was taken" : undefined;
  const owed = worth(order, atOnce === total.amount ? wanted : left);
  const back = worthOfReturned(order);
  const kept = captured - refunded;
  if (kept > owed - back || kept < Math.max(0, owed - back - byHand))
    return `of ${total.amount} ${captured} was captured and ${refunded} given back, ${byHand} of it by hand: what the customer has is worth ${owed - back}`;
  const more = worth(order, wanted) - captured;
  if (approved - voided - captured < more)
    return `${more} is to be captured yet, and ${approved - voided - captured} is held for it`;
  if (more <= 0 && approved - voided > captured) return `${approved - voided - captured} is held for nothing`;
  if (
    payment?.captured !== captured ||
    payment.refunded !== refunded ||
    payment.authorised !== approved - voided
  )
    return "payments and the provider do not agree";
  const asked = shop.clients.refunds.get(id) ?? 0;
  return hands > asked || (back === 0 && hands < asked) ? "its refunds are not those asked for" : undefined;
}

/** The status that follows from its parts. */
function standing({ lines, status, shipments = [], returns = [] }: OrderState): string | undefined {
  const open = lines.some((line) => waiting(line) > 0);
  const sent = lines.some((line) => line.kind === "physical" && left(line) > 0);
  const back =
    lines.some((line) => left(line) > 0) && lines.every((line) => left(line) === (line.returned ?? 0));
  const arrived = shipments.every((one) => one.status === "delivered");
  const expected = open
    ? "confirmed"
    : back
      ? "returned"
      : !sent
        ? "confirmed"
        : arrived
          ? "delivered"
          : "shipped";
  const settled = returns.every((one) => one.status !== "requested");
  return status === expected || !settled ? undefined : `it should be ${expected}`;
}
