import { accepted, integer, type JobHandler, type Kit, type Received, react } from "chassis";
import type { Change } from "drizzle-outbox";
import * as v from "valibot";
import { type Call, dueCall } from "./calls.ts";
import { OrderAborting, OrderReserved, Restored, ToReconcile } from "./contracts.ts";
import { type Command, decide, type Outcome } from "./payment.ts";

import { complete, providersOf } from "./providers/index.ts";
import { ask, type Provider } from "./providers/provider.ts";
import { withToken } from "./providers/token.ts";
import { callJob, reconcileJob, type Store, toldJob } from "./store.ts";

type Got = Received<Store>;

export const reactions = [
  react(OrderReserved, ({ orderId, customerId, total, payment }, got: Got) =>
    on(orderId, { type: "authorise", orderId, total, ...payment, at: got.now() }, got, customerId),
  ),
  react(OrderAborting, ({ orderId, customerId }, got: Got) =>
    on(orderId, { type: "abort", orderId, at: got.now() }, got, customerId),
  ),
];

export const jobs: Record<string, JobHandler<Store>> = {
  [callJob]: ({ key }, kit) => settle(key, kit),
  restored: ({ data }, kit) => review(v.parse(Restored, data), kit),
  [reconcileJob]: ({ key, data }, kit) => reconcile(key, v.parse(ToReconcile, data), kit),
  [toldJob]: ({ data }, kit) => told(v.parse(ToReconcile, data), kit),
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
