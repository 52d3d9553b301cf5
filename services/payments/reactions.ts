import {
  accepted,
  type CronHandler,
  integer,
  type JobHandler,
  type Kit,
  type Received,
  react,
} from "chassis";
import type { Change } from "drizzle-outbox";
import * as v from "valibot";
import { type Call, dueCall } from "./calls.ts";
import {
  OrderAborting,
  OrderLinesCancelled,
  OrderReserved,
  OrderReturnReceived,
  OrderShipmentAccepted,
  Reconciling,
  Restored,
  ToReconcile,
} from "./contracts.ts";
import { type Command, decide, type Outcome } from "./payment.ts";
import { complete, lifetimeOf, providersOf } from "./providers/index.ts";
import { ask, type Provider } from "./providers/provider.ts";
import { withToken } from "./providers/token.ts";
import {
  atOnce,
  beginReconciliation,
  reconcile,
  reconcileSome,
  review,
  soon,
  told,
} from "./reconciliation.ts";
import { callJob, reconcileAllJob, reconcileJob, renewJob, type Store, toldJob } from "./store.ts";

type Got = Received<Store>;

export const reactions = [
  react(OrderReserved, ({ orderId, customerId, total, captureNow, payment }, got: Got) =>
    on(
      orderId,
      { type: "authorise", orderId, total, captureNow, ...payment, at: got.now() },
      got,
      customerId,
    ),
  ),
  react(OrderAborting, ({ orderId, customerId }, got: Got) =>
    on(orderId, { type: "abort", orderId, at: got.now() }, got, customerId),
  ),
  react(OrderShipmentAccepted, ({ orderId, customerId, shipmentId: key, amount, final }, got: Got) =>
    on(orderId, { type: "capture", orderId, key, amount, final, at: got.now() }, got, customerId),
  ),
  react(OrderLinesCancelled, ({ orderId, remaining }, got: Got) =>
    remaining.amount === 0 ? on(orderId, { type: "release", at: got.now() }, got) : undefined,
  ),
  react(OrderReturnReceived, ({ orderId, customerId, returnId: key, amount }, got: Got) =>
    on(orderId, { type: "give-back", orderId, key, amount, at: got.now() }, got, customerId),
  ),
];

export const jobs: Record<string, JobHandler<Store>> = {
  [callJob]: ({ key }, kit) => settle(key, kit),
  [renewJob]: ({ key }, kit) => renew(key, kit),
  [reconcileAllJob]: ({ key, data }, kit) => reconcileSome(key, v.parse(Reconciling, data), kit),
  restored: ({ data }, kit) => review(v.parse(Restored, data), kit),
  [reconcileJob]: ({ key, data }, kit) => reconcile(key, v.parse(ToReconcile, data), kit),
  [toldJob]: ({ data }, kit) => told(v.parse(ToReconcile, data), kit),
};

export const crons: Record<string, CronHandler<Store>> = {
  /** Every minute. */
  renew: (_, kit) => renewWhatRunsOut(kit),
  /** Every night. */
  reconcile: async (_, kit) => (await beginReconciliation(kit)).change,
};

/** What must be there before payments are taken. */
export const checks = { "payment methods": (kit: Kit<Store>): Promise<void> => complete(kit) };

/** Loads the payment, decides what follows, and says what to commit. */
async function on(
  orderId: string,
  command: Command,
  { store }: Pick<Kit<Store>, "store">,
  customerId?: string,
): Promise<Change> {
  const payment = await store.load(orderId);
  return store.change(payment, accepted(decide(payment, command)), customerId).change;
}

/** Makes the call that the payment waits for. What was decided meanwhile is seen when its outcome is. */
async function settle(orderId: string, kit: Kit<Store>): Promise<Change | undefined> {
  const { store, config, now } = kit;
  const call = dueCall(await store.load(orderId));
  if (call === undefined) return undefined;
  const provider = providersOf(kit).get(call.method);
  if (provider?.open && call.reference === undefined && (await store.reviewing())) {
    // What the provider has done for this order may not be known yet.
    return { jobs: [{ kind: callJob, key: orderId, at: now() + soon }] };
  }
  // What is held already is not forgotten because its provider is switched off: it waits for it.
  if (provider === undefined && call.operation !== "authorise")
    throw new Error(`${call.method} is not among PAYMENT_METHODS: ${call.operation} of ${orderId} waits`);
  const outcome: Outcome = provider
    ? ((await remembered(call, provider, store)) ??
      (await ask(provider, await withToken(call, kit), integer(config, "PROVIDER_TIMEOUT_MS", 10_000))))
    : { type: "declined", reason: "payment-declined", why: "method_not_available" };
  return on(orderId, { ...outcome, at: now() }, { store });
}

/** The provider has a name for this payment already, from a time that this store does not remember. */
async function remembered(call: Call, provider: Provider, store: Store): Promise<Outcome | undefined> {
  if (provider.open === undefined || call.reference !== undefined) return undefined;
  const reference = await store.foundReference(call.orderId);
  return reference === undefined ? undefined : { type: "opened", reference };
}

const day = 24 * 60 * 60_000;
/** How long before it runs out an authorisation is renewed, in ms: a day, of one that lasts for more than four. */
const ahead = ({ config }: Pick<Kit<Store>, "config">): number => Math.min(day, lifetimeOf(config) / 4);

/** Asks for the renewal of every authorisation that runs out soon: found by an index, and none has a job before that. */
async function renewWhatRunsOut(kit: Kit<Store>): Promise<Change> {
  const { store, now } = kit;
  const at = now();
  const all = providersOf(kit);
  const due: string[] = [];
  for (let after: { at: number; orderId: string } | undefined, more = true; more; ) {
    const some = await store.runningOut(at + ahead(kit), after, atOnce);
    for (const { at: until, payment } of some) {
      if (!("method" in payment)) continue;
      // One that cannot be renewed is left alone as long as it lasts.
      if (until <= at || all.get(payment.method)?.renew) due.push(payment.orderId);
    }
    const last = some.at(-1);
    after = last && { at: last.at, orderId: last.payment.orderId };
    more = some.length === atOnce;
  }
  return { jobs: due.map((key) => ({ kind: renewJob, key, at })) };
}

const renew = (orderId: string, kit: Kit<Store>): Promise<Change> => {
  const at = kit.now();
  return on(orderId, { type: "renew", before: at + ahead(kit), at }, kit);
};
