import type { Operation } from "../../services/payments/providers/test.ts";
import { processOf, type Shop } from "./shop.ts";

interface PaymentState {
  status: string;
  authorised: number;
  captured: number;
  refunded: number;
  refunds: number;
}

interface Reservation {
  status: "reserved" | "refused" | "released";
  lines: string;
}

/** Checks that an order that has come to nothing holds nothing, nowhere. */
export function holdsNothing(shop: Shop, id: string, status: string): void {
  const { approved, captured, refunded, voided } = moneyOf(shop.book.book(), id);
  const payment = paymentOf(shop, id);
  const wrong =
    reservationOf(shop, id)?.status === "reserved"
      ? "it holds stock"
      : captured !== refunded || approved !== captured + voided
        ? `it holds money: ${approved} approved, ${captured} captured, ${refunded} given back, ${voided} let go`
        : payment && payment.authorised !== payment.refunded && "payments still holds money of it";
  if (wrong) shop.world.violate(`order ${id} is ${status}, but ${wrong}`);
}

/** Checks that the books balance. */
export function ledger(shop: Shop): void {
  const { disk } = processOf(shop, "payments");
  const wrong =
    disk.rows("select currency from ledger_postings group by currency having sum(debit) <> sum(credit)")[0] ??
    disk.rows("select currency from ledger_totals group by currency having sum(debit) <> sum(credit)")[0];
  if (wrong) shop.world.violate(`the ledger is not balanced in ${wrong.currency}`);
}

/** What the provider's book says of an order. */
export function moneyOf(book: Operation[], id: string) {
  const mine = book.filter(({ payment }) => payment === id);
  const sum = (some: Operation[]) => some.reduce((total, { amount }) => total + amount, 0);
  const of = (outcome: Operation["outcome"]) => mine.filter((line) => line.outcome === outcome);
  const byHand = of("refunded").filter(({ key }) => /:refund:\d+$/.test(key));
  return {
    approved: sum(of("approved")),
    captured: sum(of("captured")),
    refunded: sum(of("refunded")),
    voided: sum(of("voided").filter(({ operation }) => operation === "void")),
    /** Captured together with the authorisation. */
    atOnce: sum(of("captured").filter(({ key }) => key === `${id}:capture`)),
    /** Given back by staff or with the whole order, and how often; not for a return. */
    byHand: sum(byHand),
    hands: byHand.length,
  };
}

export function paymentOf(shop: Shop, id: string): PaymentState | undefined {
  const [row] = processOf(shop, "payments").disk.rows<{ state: string }>(
    "select state from payments where order_id = ?",
    id,
  );
  return row && (JSON.parse(row.state) as PaymentState);
}

export const reservationOf = (shop: Shop, id: string): Reservation | undefined =>
  processOf(shop, "inventory").disk.rows<Reservation>(
    "select status, lines from reservations where order_id = ?",
    id,
  )[0];
