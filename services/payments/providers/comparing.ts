import type { Kit } from "chassis";
import { dueCall } from "../calls.ts";
import { evolve } from "../evolve.ts";
import { decide, type Payment } from "../payment.ts";
import { type Difference, differences, type Found, type Statement } from "../reconcile.ts";
import type { Store } from "../store.ts";
import { providersOf } from "./index.ts";

/** What came of comparing some payments, each when nothing was under way for it. */
export interface Compared {
  compared: number;
  found: Found[];
  /** Those that our books can settle, with the provider that says so. */
  settle: { orderId: string; method: string; reference?: string }[];
}

/** How many statements are asked for at the same time. */
const atOnce = 8;

/**
 * Compares payments with what their providers say of them. What is under way is left out: its answer says what is so,
 * and touches the payment again.
 * @throws what the providers say when they say nothing of any; one that cannot be asked about does not keep the others
 */
export async function compareOurs(payments: Payment[], kit: Kit<Store>): Promise<Compared> {
  const result: Compared = { compared: 0, found: [], settle: [] };
  const queue = payments.filter((payment) => "method" in payment && !dueCall(payment));
  const failures: unknown[] = [];
  const compareNext = async (): Promise<void> => {
    for (let next = queue.shift(); next; next = queue.shift()) {
      const { orderId } = next;
      await compareOne(next, kit, result).catch((error: unknown) => {
        failures.push(error);
        kit.log.error({ orderId, err: String(error) }, "a payment could not be compared with its provider");
      });
    }
  };
  await Promise.all(Array.from({ length: atOnce }, compareNext));
  if (failures.length > 0 && result.compared === 0) throw failures[0];
  return result;
}

async function compareOne(payment: Payment, kit: Kit<Store>, result: Compared): Promise<void> {
  if (!("method" in payment)) return;
  const { orderId, method, reference, total } = payment;
  const provider = providersOf(kit).get(method);
  if (provider === undefined) return;
  const statement = (await provider.statement(orderId, reference)) ?? nothing(total);
  const differing = differences(payment, statement);
  // Somebody may have moved money while we asked.
  if (differing.length > 0 && (await kit.store.load(orderId))?.version !== payment.version) return;
  result.compared++;
  if (differing.length === 0) return;
  const settled = settles(payment, statement, kit.now());
  result.found.push(...named(differing, orderId, total.currency, settled));
  if (settled) result.settle.push({ orderId, method, reference });
}

/** Looks for payments at a provider that nobody here knows of, and says what it has of them. */
export async function compareTheirs(
  method: string,
  payments: { orderId: string; reference?: string }[],
  kit: Kit<Store>,
): Promise<Compared> {
  const result: Compared = { compared: 0, found: [], settle: [] };
  const known = await kit.store.known(payments.map(({ orderId }) => orderId));
  for (const { orderId, reference } of payments) {
    if (known.has(orderId)) continue;
    const statement = await providersOf(kit).get(method)?.statement(orderId, reference);
    if (statement === undefined) continue;
    result.compared++;
    // Nobody has asked for this money here; on no guess is it moved.
    result.found.push(...named(differences(undefined, statement), orderId, statement.total.currency, false));
  }
  return result;
}

const nothing = (total: Statement["total"]): Statement => ({
  total,
  state: "voided",
  captures: [],
  refunds: [],
});

const named = (some: Difference[], orderId: string, currency: string, settled: boolean): Found[] =>
  some.map((one) => ({ orderId, ...one, currency, settled }));

/** Whether our books can follow the provider's, or what is too much is given back. */
function settles(payment: Payment & { method: string }, statement: Statement, at: number): boolean {
  const { orderId, method } = payment;
  const decided = decide(payment, { type: "reconcile", orderId, method, statement, at });
  if (!Array.isArray(decided) || decided.length === 0) return false;
  const after = decided.reduce<Payment | undefined>(evolve, payment);
  return dueCall(after) !== undefined || differences(after, statement).length === 0;
}
