import { accepted, integer, type Kit, type Measures } from "chassis";
import type { Change } from "drizzle-outbox";
import * as v from "valibot";
import { dueCall } from "./calls.ts";
import type { Reconciling, Restored, ToReconcile } from "./contracts.ts";
import { decide } from "./payment.ts";
import { type Compared, compareOurs, compareTheirs } from "./providers/comparing.ts";
import { providersOf } from "./providers/index.ts";
import { counted, type Reconciliation } from "./reconcile.ts";
import { reconcileAllJob, reconcileJob, type Store } from "./store.ts";

/** Milliseconds until what has to wait for a call is looked at again. */
export const soon = 1_000;
/** Our clock and the provider's need not agree to the second. */
const clocksDiffer = 10 * 60_000;
/** Payments that are read at a time. */
export const atOnce = 500;

/**
 * This store came out of a backup: the providers may have done more for it than it knows. Each payment of which they
 * were asked since is looked at; one that is not known here only later, since its order may be about to ask for it.
 */
export async function review(
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
export async function reconcile(orderId: string, look: ToReconcile, kit: Kit<Store>): Promise<Change> {
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
export async function told({ method, reference }: ToReconcile, kit: Kit<Store>): Promise<Change> {
  const orderId = reference && (await providersOf(kit).get(method)?.orderOf?.(reference));
  return orderId ? reconcile(orderId, { method, reference }, kit) : {};
}

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
export async function reconcileSome(id: string, place: Reconciling, kit: Kit<Store>): Promise<Change> {
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
