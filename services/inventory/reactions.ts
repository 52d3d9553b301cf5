import { type JobHandler, type Kit, type Received, react, TooEarly } from "chassis";
import type { Change } from "drizzle-outbox";
import * as v from "valibot";
import {
  Deferred,
  OrderAborting,
  OrderLinesCancelled,
  OrderPlaced,
  OrderReturnReceived,
  OrderShipped,
  ProductCreated,
  ProductStocked,
  ProductUpdated,
} from "./contracts.ts";
import {
  decideDispatch,
  decideReduce,
  decideRelease,
  decideReserve,
  decideReturn,
  type Leaving,
  physical,
  type Quantity,
  type Reservation,
  summed,
  type Wanted,
} from "./reservation.ts";
import { available, count, farFromFew, type Level, list, tell } from "./stock.ts";
import { reserveJob, type Store, tellJob } from "./store.ts";

type Got = Received<Store>;

export const reactions = [
  react(OrderPlaced, (e, got: Got) => reserve(e, got)),
  react(OrderAborting, (e, got: Got) => release(e.orderId, got)),
  react(OrderLinesCancelled, (e, got: Got) => reduce(e.orderId, e.lines, got)),
  react(OrderShipped, (e, got: Got) => dispatch(e, got)),
  react(OrderReturnReceived, (e, got: Got) => takeBack(e, got)),

  react(ProductCreated, (e, got: Got) => listed(e, got)),
  // A service may have become a thing.
  react(ProductUpdated, (e, got: Got) => listed(e, got)),
  react(ProductStocked, (e, got: Got) => counted(e, got)),
];

export const jobs: Record<string, JobHandler<Store>> = {
  [reserveJob]: (job, kit) => reserve(v.parse(Deferred, job.data), kit),
  [tellJob]: async ({ key }, { store }) => {
    const level = await store.level(key);
    return level && store.adjust(level, tell(level)).change;
  },
};

async function reserve(wanted: Wanted, { store, now }: Pick<Kit<Store>, "store" | "now">): Promise<Change> {
  const [reservation, levels] = await Promise.all([
    store.reservation(wanted.orderId),
    store.levels(physical(wanted.lines).map(({ sku }) => sku)),
  ]);
  const decided = decideReserve(reservation, levels, wanted, now());
  const change = store.change(reservation, decided);
  const taken = decided.flatMap((event) => (event.type === "reserved" ? event.lines : []));
  const near = taken.filter(({ sku, quantity }) => available(levels.get(sku)) - quantity <= farFromFew);
  return withJobs(change, store.tellSoon(skusOf(near), now()));
}

async function release(orderId: string, { store, now }: Got): Promise<Change> {
  const reservation = await store.reservation(orderId);
  const decided = decideRelease(reservation, orderId);
  const given = decided.flatMap((event) => (event.type === "released" ? event.lines : []));
  return withJobs(store.change(reservation, decided), store.tellSoon(skusOf(given), now()));
}

async function reduce(orderId: string, lines: Quantity[], { store, now }: Got): Promise<Change> {
  const reservation = known(await store.reservation(orderId), orderId);
  const decided = decideReduce(reservation, lines);
  const given = decided.flatMap((event) => (event.type === "reduced" ? event.lines : []));
  return withJobs(store.change(reservation, decided), store.tellSoon(skusOf(given), now()));
}

interface Shipment {
  orderId: string;
  shipmentId: string;
  lines: Quantity[];
}

async function dispatch(shipment: Shipment, { store, now, log }: Got): Promise<Change> {
  const { orderId, shipmentId, lines } = shipment;
  const [found, levels] = await Promise.all([store.reservation(orderId), store.levels(skusOf(lines))]);
  const reservation = known(found, orderId);
  const decided = decideDispatch(reservation, levels, shipment);
  const left = decided.flatMap((event) => (event.type === "dispatched" ? event.lines : []));
  if (decided.length > 0) {
    const short = summed(lines).filter(({ sku, quantity }) => quantityOf(left, sku) < quantity);
    if (short.length > 0) log.warn({ orderId, shipmentId, short }, "more has left the house than was in it");
  }
  const loose = left.filter(({ quantity, held }) => quantity > held);
  return withJobs(store.change(reservation, decided), store.tellSoon(skusOf(loose), now()));
}

const quantityOf = (lines: Leaving[], sku: string): number =>
  lines.find((line) => line.sku === sku)?.quantity ?? 0;

interface Return {
  orderId: string;
  returnId: string;
  lines: (Quantity & { restock: boolean })[];
}

async function takeBack(returned: Return, { store, now }: Got): Promise<Change> {
  const reservation = known(await store.reservation(returned.orderId), returned.orderId);
  const decided = decideReturn(reservation, returned);
  const back = decided.flatMap((event) => (event.type === "restocked" ? event.lines : []));
  const shelved = back.filter(({ restocked }) => restocked > 0);
  return withJobs(store.change(reservation, decided, now()), store.tellSoon(skusOf(shelved), now()));
}

/** What follows a reservation may be ahead of it after a restore: it is tried again until that has come, too. */
function known(reservation: Reservation | undefined, orderId: string): Reservation {
  if (reservation === undefined) throw new TooEarly(`nothing is known of order ${orderId} here yet`);
  return reservation;
}

const skusOf = (lines: { sku: string }[]): string[] => lines.map(({ sku }) => sku);

const withJobs = (change: Change, jobs: NonNullable<Change["jobs"]>): Change =>
  jobs.length === 0 ? change : { ...change, jobs: [...(change.jobs ?? []), ...jobs] };

/** Nobody has to look when there were enough before, and are now. */
const mayHaveToTell = (level: Level | undefined): level is Level =>
  level !== undefined && (level.told !== null || available(level) <= farFromFew);

async function listed(product: { sku: string; kind: "physical" | "service" }, { store, now }: Got) {
  const before = await store.level(product.sku);
  const { level, change } = store.adjust(before, list(before, { ...product, at: now() }));
  const isNew = before === undefined && level !== undefined;
  return isNew ? withJobs(change, store.tellSoon([product.sku], now())) : change;
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
  return change.writes && mayHaveToTell(level) ? withJobs(change, store.tellSoon([sku], now())) : change;
}
