import { type JobHandler, type Received, react } from "chassis";
import type { Change } from "drizzle-outbox";
import { advance, type Heard } from "./checkout.ts";
import {
  PaymentCaptured,
  PaymentDeclined,
  PaymentRefunded,
  PaymentVoided,
  ProductCreated,
  ProductDeleted,
  ProductUpdated,
  StockRefused,
  StockReleased,
  StockReserved,
} from "./contracts.ts";
import { deadlineJob, type Store } from "./store.ts";

type Got = Received<Store>;

export const reactions = [
  react(StockReserved, (e, got: Got) => on(e.orderId, "stock-reserved", got)),
  react(StockRefused, (e, got: Got) => on(e.orderId, "stock-refused", got)),
  react(StockReleased, (e, got: Got) => on(e.orderId, "stock-released", got)),

  react(PaymentDeclined, (e, got: Got) =>
    on(e.orderId, e.reason === "timed-out" ? "payment-timed-out" : "payment-declined", got),
  ),
  react(PaymentCaptured, (e, got: Got) => on(e.orderId, "payment-captured", got)),
  react(PaymentVoided, (e, got: Got) => whenNothingIsHeld(e, got)),
  react(PaymentRefunded, (e, got: Got) => whenNothingIsHeld(e, got)),

  react(ProductCreated, (e, { store }: Got) => ({ writes: [store.product(e)] })),
  react(ProductUpdated, (e, { store }: Got) => ({ writes: [store.product(e)] })),
  react(ProductDeleted, (e, { store }: Got) => ({ writes: [store.productGone(e.sku, e.version)] })),
];

/** Loads the order, asks the saga what follows, and says what to commit. */
export async function on(
  orderId: string,
  heard: Heard,
  { store, now }: Pick<Got, "store" | "now">,
): Promise<Change | undefined> {
  const order = await store.load(orderId);
  if (order === undefined) return undefined;
  return store.change(order, advance(order, heard, now())).change;
}

/** A partial refund leaves money held: then nothing is given back yet as far as an abort goes. */
function whenNothingIsHeld(e: { orderId: string; held: { amount: number } }, got: Got) {
  return e.held.amount === 0 ? on(e.orderId, "money-given-back", got) : undefined;
}

export const jobs: Record<string, JobHandler<Store>> = {
  [deadlineJob]: (job, kit) => on(job.key, "deadline", kit),
};
