import {
  accepted,
  type CronHandler,
  integer,
  type JobHandler,
  type Kit,
  type Measures,
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
import { type Compared, compareOurs, compareTheirs } from "./providers/comparing.ts";
import { complete, lifetimeOf, providersOf } from "./providers/index.ts";
import { ask, type Provider } from "./providers/provider.ts";
import { withToken } from "./providers/token.ts";
import { counted, type Reconciliation } from "./reconcile.ts";
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

const soon = 1_000;
/** Our clock and the provider's need not agree to the second. */
const clocksDiffer = 10 * 60_000;
const atOnce = 500;

/**
 * This store came out of a backup: the providers may have done more for it than it knows. Each payment of which they
 * were asked since is looked at; one that is not known here only later, since its order may be about to ask for it.
 */
async function review(
  { takenAt, method, after }: v.InferOutput<typeof Restored>,
  kit: Kit<Store>,
): Promise<Change> {
  const { store, config, now } = kit;
  const all = [...providersOf(kit)].sort(([a], [b]) => (a < b ? -1 : 1));
  const [current, ...others] = all.slice(method ? all.findIndex(([name]) => name === method) : 0);
  if (current === undefined) return {};
  const [name, provider] = current;
  const page = await provider.askedSince(takenAt - clocksDiffer, { after, limit: atOnce });
  const at = now();
  const patience = integer(config, "RECONCILE_AFTER_MS", 120_000);
  // An order may be named more than once, and by more than one try: what comes last counts.
  const payments = new Map(page.payments.map((one) => [one.orderId, one]));
  const looks = await Promise.all(
    [...payments.values()].map(async ({ orderId, reference }) => {
      const known = await store.load(orderId);
      const data = { method: name, reference, restored: true };
      return { kind: reconcileJob, key: orderId, at: known ? at : at + patience, data };
    }),
  );
  const more = page.after === undefined ? { method: others[0]?.[0] } : { method: name, after: page.after };
  const again = { kind: "restored", key: "", at, data: { takenAt, ...more } };
  return {
    writes: store.keepReferences([...payments.values()]),
    jobs: more.method ? [...looks, again] : looks,
  };
}

/** Compares a payment with what its provider says of it. */
async function reconcile(orderId: string, look: ToReconcile, kit: Kit<Store>): Promise<Change> {
  const { store, now, log } = kit;
  const { method, restored } = look;
  const at = now();
  const before = await store.load(orderId);
  // The answer to the call that is under way comes first.
  if (dueCall(before)) return { jobs: [{ kind: reconcileJob, key: orderId, at: at + soon, data: look }] };
  const own = before && "reference" in before ? before.reference : undefined;
  const statement = await providersOf(kit)
    .get(method)
    ?.statement(orderId, look.reference ?? own);
  if (statement === undefined) return {};
  const strange = statement.reference !== undefined && statement.reference !== own;
  if (strange && !restored) {
    // Another shop's on the same account, or nobody's: money is moved for what we have asked for, and on no guess.
    log.warn({ orderId, reference: statement.reference }, "the provider told of a payment that is not ours");
    return {};
  }
  const decided = accepted(decide(before, { type: "reconcile", orderId, method, statement, at }));
  if (decided.length > 0) {
    const events = decided.map(({ type }) => type);
    log.warn(
      { orderId, events },
      "the provider knows more of a payment than this store: taken into the books",
    );
  }
  if (before && (statement.refunded ?? before.refunded) < before.refunded) {
    log.error(
      { orderId, said: statement.refunded, booked: before.refunded },
      "a refund did not reach its customer",
    );
  }
  return store.change(before, decided).change;
}

/** The provider has told of a payment by its own name: what is so, it is asked. */
async function told({ method, reference }: ToReconcile, kit: Kit<Store>): Promise<Change> {
  const orderId = reference && (await providersOf(kit).get(method)?.orderOf?.(reference));
  return orderId ? reconcile(orderId, { method, reference }, kit) : {};
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

/** Begins to compare what was touched since the last reconciliation that was done; nothing while one is under way. */
export async function beginReconciliation({
  store,
  id,
  now,
}: Kit<Store>): Promise<{ run: Reconciliation; change: Change }> {
  const [last] = await store.reconciliations(undefined, 1);
  if (last && last.endedAt === null) return { run: last, change: {} };
  const since = last ? last.startedAt - clocksDiffer : 0;
  const begun = { startedAt: now(), endedAt: null, since, compared: 0, different: 0, differences: [] };
  const run: Reconciliation = { id: id(), ...begun };
  return { run, change: store.beginReconciliation(run) };
}

/** Compares some payments, and goes on after them: our own first, then those that a provider alone may know. */
async function reconcileSome(id: string, place: Reconciling, kit: Kit<Store>): Promise<Change> {
  const { store, log, now } = kit;
  const run = await store.reconciliation(id);
  if (run === undefined) return {};
  const {
    compared,
    found,
    settle: settling,
    next,
  } = place.method === undefined
    ? await someOfOurs(place, kit)
    : await someOfTheirs(place, place.method, kit);
  for (const one of found) {
    log[one.settled ? "warn" : "error"](one, "our books and the provider's differ");
    tally.set(one.settled ? "settled" : "open", (tally.get(one.settled ? "settled" : "open") ?? 0) + 1);
  }
  tally.set("compared", (tally.get("compared") ?? 0) + compared);
  const after = counted(run, compared, found);
  const at = now();
  const looks = settling.map(({ orderId, ...data }) => ({ kind: reconcileJob, key: orderId, at, data }));
  if (next) {
    const again = { kind: reconcileAllJob, key: id, at, data: next };
    return { writes: [store.saveReconciliation(after)], jobs: [...looks, again] };
  }
  log.info(
    { compared: after.compared, different: after.different },
    "our books and the providers' are compared",
  );
  return { writes: [store.saveReconciliation({ ...after, endedAt: at })], jobs: looks };
}

type Some = Compared & { next: Reconciling | undefined };

async function someOfOurs(place: Reconciling, kit: Kit<Store>): Promise<Some> {
  const after = place.after === undefined ? undefined : v.parse(After, JSON.parse(place.after));
  const some = await kit.store.touched(place, after, atOnce);
  const compared = await compareOurs(
    some.map(({ payment }) => payment),
    kit,
  );
  const last = some.length === atOnce ? some.at(-1) : undefined;
  const next = last
    ? { ...place, after: JSON.stringify({ at: last.at, orderId: last.payment.orderId }) }
    : following(place, undefined, kit);
  return { ...compared, next };
}

async function someOfTheirs(place: Reconciling, method: string, kit: Kit<Store>): Promise<Some> {
  const page = await providersOf(kit)
    .get(method)
    ?.askedSince(place.since, { after: place.after, limit: atOnce });
  const { payments, after } = page ?? { payments: [], after: undefined };
  const compared = await compareTheirs(method, payments, kit);
  return { ...compared, next: after === undefined ? following(place, method, kit) : { ...place, after } };
}

/** The provider after this one. */
function following(place: Reconciling, method: string | undefined, kit: Kit<Store>): Reconciling | undefined {
  const { since, until } = place;
  const next = [...providersOf(kit).keys()].sort().find((name) => method === undefined || name > method);
  return next === undefined ? undefined : { since, until, method: next };
}

const After = v.object({ at: v.number(), orderId: v.string() });

/** What reconciliations have found since this process began. */
const tally = new Map<string, number>();

export const measures: Measures<Store> = {
  souk_reconciled_total: {
    help: "Payments compared with their providers' books, and differences found: settled, or open for a person",
    label: "result",
    counts: true,
    read: () => Object.fromEntries(tally),
  },
};
