import { type Due, type JobHandler, type Kit, type Received, react } from "chassis";
import type { Change } from "drizzle-outbox";
import * as v from "valibot";
import { closeCart } from "./carts.ts";
import { advance, type Heard } from "./checkout.ts";
import {
  PaymentAuthorised,
  PaymentCaptured,
  PaymentCaptureFailed,
  PaymentDeclined,
  PaymentExpired,
  PaymentRefunded,
  PaymentVoided,
  ProductCreated,
  ProductDeleted,
  ProductUpdated,
  RateRemoved,
  RateSet,
  ShipmentDelivered,
  ShipmentDispatching,
  StockRefused,
  StockReleased,
  StockReserved,
  StockRestocked,
  UserErased,
} from "./contracts.ts";
import { closeCartJob, deadlineJob, eraseJob, type Store } from "./store.ts";

type Got = Received<Store>;

export const reactions = [
  react(StockReserved, (e, got: Got) => on(e.orderId, { type: "stock-reserved" }, got)),
  react(StockRefused, (e, got: Got) => on(e.orderId, { type: "stock-refused" }, got)),
  react(StockReleased, (e, got: Got) => on(e.orderId, { type: "stock-released" }, got)),
  react(StockRestocked, ({ orderId, returnId }, got: Got) =>
    on(orderId, { type: "restocked", returnId }, got),
  ),

  react(ShipmentDispatching, ({ orderId, shipmentId: id, ...e }, got: Got) =>
    on(orderId, { type: "shipment-dispatching", shipment: { id, ...e } }, got),
  ),
  react(ShipmentDelivered, ({ orderId, shipmentId }, got: Got) =>
    on(orderId, { type: "shipment-delivered", shipmentId }, got),
  ),

  react(PaymentDeclined, (e, got: Got) =>
    on(e.orderId, { type: e.reason === "timed-out" ? "payment-timed-out" : "payment-declined" }, got),
  ),
  react(PaymentAuthorised, (e, got: Got) => on(e.orderId, { type: "payment-authorised" }, got)),
  react(PaymentExpired, (e, got: Got) => on(e.orderId, { type: "payment-expired" }, got)),
  react(PaymentCaptureFailed, ({ orderId, ...e }, got: Got) =>
    on(orderId, { type: "capture-failed", ...e }, got),
  ),
  react(PaymentCaptured, ({ orderId, key, amount }, got: Got) =>
    on(orderId, { type: "payment-captured", key, amount: amount?.amount }, got),
  ),
  react(PaymentVoided, (e, got: Got) => givenBack(e, got)),
  react(PaymentRefunded, (e, got: Got) => givenBack(e, got)),

  react(UserErased, ({ userId }, { now, forgetAnswers }: Got) => ({
    writes: [forgetAnswers(userId)],
    jobs: [{ kind: eraseJob, key: userId, at: now() }],
  })),

  react(ProductCreated, (e, { store }: Got) => ({ writes: [store.product(e)] })),
  react(ProductUpdated, (e, { store }: Got) => ({ writes: [store.product(e)] })),
  react(ProductDeleted, (e, { store }: Got) => ({ writes: [store.productGone(e.sku, e.version)] })),

  react(RateSet, (e, { store }: Got) => ({ writes: store.pricing.shippingRate(e) })),
  react(RateRemoved, (e, { store }: Got) => ({ writes: store.pricing.shippingRate(e) })),
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

const givenBack = (e: { orderId: string; held: { amount: number }; key?: string }, got: Got) =>
  on(e.orderId, { type: "money-given-back", key: e.key, held: e.held.amount }, got);

/** Orders a time; a customer may have many. */
const erasedAtOnce = 100;
/** A token outlives its user by ten minutes at most: what was ordered with it meanwhile is erased as well. */
const lookAgainAfter = 15 * 60_000;

/** Erases what is personal in somebody's orders, some at a time; an order that changes meanwhile is done again. */
async function erase({ kind, key, data }: Due, { store, now, forgetAnswers }: Kit<Store>): Promise<Change> {
  const { last = false } = (data ?? {}) as { last?: boolean };
  const writes = await store.erasable(key, erasedAtOnce);
  if (writes.length === erasedAtOnce) return { writes, jobs: [{ kind, key, at: now(), data }] };
  if (last) return { writes: [...writes, forgetAnswers(key)] };
  return { writes, jobs: [{ kind, key, at: now() + lookAgainAfter, data: { last: true } }] };
}

export const jobs: Record<string, JobHandler<Store>> = {
  [deadlineJob]: (job, kit) => on(job.key, { type: "deadline" }, kit),
  [eraseJob]: erase,
  [closeCartJob]: ({ key, data }, kit) => closeCart(kit, key, v.parse(v.string(), data)),
};
