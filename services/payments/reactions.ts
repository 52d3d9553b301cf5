import { accepted, integer, type JobHandler, type Kit, type Received, react } from "chassis";
import type { Change } from "drizzle-outbox";
import * as v from "valibot";
import { dueCall } from "./calls.ts";
import { OrderAborting, OrderReserved, Restored } from "./contracts.ts";
import { type Command, decide, type Outcome } from "./payment.ts";
import { providers } from "./providers/index.ts";
import { ask } from "./providers/provider.ts";
import { callJob, reconcileJob, type Store } from "./store.ts";

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
  [reconcileJob]: ({ key, data }, kit) => reconcile(key, v.parse(v.string(), data), kit),
};

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
async function settle(orderId: string, { store, config, now }: Kit<Store>): Promise<Change | undefined> {
  const call = dueCall(await store.load(orderId));
  if (call === undefined) return undefined;
  const provider = providers(config).get(call.method);
  const outcome: Outcome = provider
    ? await ask(provider, call, integer(config, "PROVIDER_TIMEOUT_MS", 10_000))
    : { type: "declined", reason: "payment-declined" };
  return on(orderId, { ...outcome, at: now() }, { store });
}

/** Our clock and the provider's need not agree to the second. */
const clocksDiffer = 10 * 60_000;
const atOnce = 500;

/**
 * This store came out of a backup: the providers may have done more for it than it knows. Each payment of which they
 * were asked since is looked at; one that is not known here only later, since its order may be about to ask for it.
 */
async function review(
  { takenAt, method, after }: v.InferOutput<typeof Restored>,
  { store, config, now }: Kit<Store>,
): Promise<Change> {
  const all = [...providers(config)].sort(([a], [b]) => (a < b ? -1 : 1));
  const [current, ...others] = all.slice(method ? all.findIndex(([name]) => name === method) : 0);
  if (current === undefined) return {};
  const [name, provider] = current;
  const page = await provider.askedSince(takenAt - clocksDiffer, { after, limit: atOnce });
  const at = now();
  const patience = integer(config, "RECONCILE_AFTER_MS", 120_000);
  const looks = await Promise.all(
    page.map(async (orderId) => {
      const known = await store.load(orderId);
      return { kind: reconcileJob, key: orderId, at: known ? at : at + patience, data: name };
    }),
  );
  const more = page.length === atOnce ? { method: name, after: page.at(-1) } : { method: others[0]?.[0] };
  const again = { kind: "restored", key: "", at, data: { takenAt, ...more } };
  return { jobs: more.method ? [...looks, again] : looks };
}

async function reconcile(
  orderId: string,
  method: string,
  { store, config, now, log }: Kit<Store>,
): Promise<Change> {
  const at = now();
  const statement = await providers(config).get(method)?.statement(orderId);
  if (statement === undefined) return {};
  const before = await store.load(orderId);
  // The answer to the call that is under way comes first.
  if (dueCall(before)) return { jobs: [{ kind: reconcileJob, key: orderId, at: at + 1_000, data: method }] };
  const decided = accepted(decide(before, { type: "reconcile", orderId, method, statement, at }));
  if (decided.length > 0) {
    log.warn(
      { orderId, events: decided.map(({ type }) => type) },
      "the provider has moved money that this store does not know of: taken into the books",
    );
  }
  return store.change(before, decided).change;
}
