import { accepted, integer, type JobHandler, type Kit, type Received, react } from "chassis";
import type { Change } from "drizzle-outbox";
import { dueCall } from "./calls.ts";
import { OrderAborting, OrderReserved } from "./contracts.ts";
import { type Command, decide, type Outcome } from "./payment.ts";
import { providers } from "./providers/index.ts";
import { ask } from "./providers/provider.ts";
import { callJob, type Store } from "./store.ts";

type Got = Received<Store>;

export const reactions = [
  react(OrderReserved, ({ orderId, total, payment }, got: Got) =>
    on(orderId, { type: "authorise", orderId, total, ...payment, at: got.now() }, got),
  ),
  react(OrderAborting, ({ orderId }, got: Got) =>
    on(orderId, { type: "abort", orderId, at: got.now() }, got),
  ),
];

export const jobs: Record<string, JobHandler<Store>> = { [callJob]: ({ key }, kit) => settle(key, kit) };

/** Loads the payment, decides what follows, and says what to commit. */
async function on(orderId: string, command: Command, { store }: Pick<Kit<Store>, "store">): Promise<Change> {
  const payment = await store.load(orderId);
  return store.change(payment, accepted(decide(payment, command))).change;
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
