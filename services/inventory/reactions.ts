import { type JobHandler, type Kit, type Received, react } from "chassis";
import type { Change } from "drizzle-outbox";
import * as v from "valibot";
import {
  Deferred,
  OrderAborting,
  OrderPlaced,
  ProductCreated,
  ProductStocked,
  ProductUpdated,
} from "./contracts.ts";
import { decideRelease, decideReserve, physical, type Wanted } from "./reservation.ts";
import { count, list } from "./stock.ts";
import { reserveJob, type Store } from "./store.ts";

type Got = Received<Store>;

export const reactions = [
  react(OrderPlaced, (e, got: Got) => reserve(e, got)),
  react(OrderAborting, (e, got: Got) => release(e.orderId, got)),

  react(ProductCreated, (e, got: Got) => listed(e, got)),
  // A service may have become a thing.
  react(ProductUpdated, (e, got: Got) => listed(e, got)),
  react(ProductStocked, (e, got: Got) => counted(e, got)),
];

export const jobs: Record<string, JobHandler<Store>> = {
  [reserveJob]: (job, kit) => reserve(v.parse(Deferred, job.data), kit),
};

async function reserve(wanted: Wanted, { store, now }: Pick<Kit<Store>, "store" | "now">): Promise<Change> {
  const [reservation, levels] = await Promise.all([
    store.reservation(wanted.orderId),
    store.levels(physical(wanted.lines).map(({ sku }) => sku)),
  ]);
  return store.change(reservation, decideReserve(reservation, levels, wanted, now()));
}

async function release(orderId: string, { store }: Got): Promise<Change> {
  const reservation = await store.reservation(orderId);
  return store.change(reservation, decideRelease(reservation, orderId));
}

async function listed(product: { sku: string; kind: "physical" | "service" }, { store, now }: Got) {
  const level = await store.level(product.sku);
  return store.adjust(level, list(level, { ...product, at: now() })).change;
}

async function counted({ sku, onHand }: { sku: string; onHand: number }, { store, now, at, log }: Got) {
  const before = await store.level(sku);
  const { level, change } = store.adjust(before, count(before, { sku, onHand, countedAt: at, at: now() }));
  if (change.writes && level && level.onHand !== onHand) {
    log.warn(
      { sku, counted: onHand, reserved: level.reserved },
      "less was counted than is reserved: kept what is reserved",
    );
  }
  return change;
}
