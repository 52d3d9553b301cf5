/** Bugs to be planted, each of which the checker has to find; and faults, which a shop without bugs has to bear. */
import type { RuleName } from "../checker/index.ts";
import type { Edit } from "./copy.ts";

/** Trouble that the load makes besides buying. */
export type Trouble =
  /** Orders is killed (SIGKILL) again and again while it accepts orders. */
  | "kills"
  /** Inventory is down for longer than an order may take. */
  | "silence"
  /** Every event that was sent is sent once more. */
  | "again";

export interface Bug {
  name: string;
  says: string;
  edits: Edit[];
  /** The rules that have to find it: one of them at least. */
  caughtBy: RuleName[];
  /** Without it the bug would not show. */
  trouble?: Trouble[];
  faults?: (keyof typeof faults)[];
}

/** Faults brought into a shop so that a bug can show. Alone they do no harm, which the run without a bug proves. */
export const faults = {
  "the answer to the first try of a call to the provider is lost": {
    file: "services/payments/providers/provider.ts",
    find: "export async function ask(provider: Provider, call: Call, timeout: number): Promise<Outcome> {",
    replace: `const lost = new Set<string>();
export async function ask(provider: Provider, call: Call, timeout: number): Promise<Outcome> {
  const outcome = await really(provider, call, timeout);
  const id = call.operation + call.orderId;
  if (outcome.type === "declined" || lost.has(id)) return outcome;
  lost.add(id);
  throw new Error("the answer was lost");
}

async function really(provider: Provider, call: Call, timeout: number): Promise<Outcome> {`,
  },
  "loading an order takes a while": {
    file: "services/orders/reactions.ts",
    find: "const order = await store.load(orderId);",
    replace: `const order = await store.load(orderId);
  await new Promise((resolve) => setTimeout(resolve, 150));`,
  },
  "reserving fails at the first try": {
    file: "services/inventory/reactions.ts",
    find: `async function reserve(wanted: Wanted, { store, now }: Pick<Kit<Store>, "store" | "now">): Promise<Change> {`,
    replace: `const failed = new Set<string>();
async function reserve(wanted: Wanted, { store, now }: Pick<Kit<Store>, "store" | "now">): Promise<Change> {
  if (!failed.has(wanted.orderId)) {
    failed.add(wanted.orderId);
    throw new Error("out of order for a moment");
  }`,
  },
} satisfies Record<string, Edit>;

/** What a shop without bugs is put through. */
export const everyFault = Object.keys(faults) as (keyof typeof faults)[];
export const everyTrouble: Trouble[] = ["kills", "silence", "again"];

const inboxForgets: Edit[] = [
  {
    file: "packages/drizzle-outbox/src/outbox.ts",
    find: "if ((await engine.all(text.handled, [consumer, id])).length > 0) return false;",
    replace: "",
  },
  {
    file: "packages/drizzle-outbox/src/outbox.ts",
    find: "if (count === 0) throw new Duplicate();",
    replace: "void count;",
  },
];

const captureAnew: Edit = {
  file: "services/payments/calls.ts",
  find: "key: captureKey(orderId, first),",
  replace: "key: `${captureKey(orderId, first)}:${Math.random()}`,",
};

export const bugs: Bug[] = [
  {
    name: "lost-ack",
    says: "a request is answered before it is on disk",
    edits: [
      {
        file: "packages/chassis/src/transact.ts",
        find: "      await unit.commit(\n",
        replace:
          "      const late = (...args: Parameters<typeof unit.commit>) => {\n        setTimeout(() => unit.commit(...args).catch(() => {}), 40);\n      };\n      late(\n",
      },
    ],
    caughtBy: ["accepted-order-exists"],
    trouble: ["kills"],
  },
  {
    name: "double-capture",
    says: "each try of a call to the provider has a key of its own",
    edits: [
      {
        file: "services/payments/calls.ts",
        find: "`${orderId}:authorise`",
        replace: "`${orderId}:authorise:${Math.random()}`",
      },
      captureAnew,
    ],
    caughtBy: ["captured-once"],
    faults: ["the answer to the first try of a call to the provider is lost"],
  },
  {
    name: "double-refund",
    says: "each try of a refund has a key of its own",
    edits: [
      {
        file: "services/payments/calls.ts",
        find: "key: refundKey(orderId, first),",
        replace: "key: `${refundKey(orderId, first)}:${Math.random()}`,",
      },
    ],
    caughtBy: ["key-has-one-effect", "money-matches-provider"],
    faults: ["the answer to the first try of a call to the provider is lost"],
  },
  {
    name: "skipped-release",
    says: "a release is told, and the stock stays reserved",
    edits: [
      {
        file: "services/inventory/store.ts",
        find: "stock.push(...lines.map(release));",
        replace: "void release;",
      },
    ],
    caughtBy: ["stock-adds-up"],
  },
  {
    name: "rejects-at-once",
    says: "an order whose payment is declined is rejected before its stock is released",
    edits: [
      {
        file: "services/orders/checkout.ts",
        find: `abort({ stock: true, money: false }, "payment-declined", at)`,
        replace: `[{ type: "rejected", at, reason: "payment-declined" }]`,
      },
    ],
    caughtBy: ["ended-order-holds-nothing"],
  },
  {
    name: "forgets-stock-refused",
    says: "the saga does nothing when stock is refused",
    edits: [
      {
        file: "services/orders/checkout.ts",
        find: `"stock-refused": (_, at) => [{ type: "rejected", at, reason: "out-of-stock" }],`,
        replace: `"stock-refused": () => [],`,
      },
    ],
    caughtBy: ["order-follows-events"],
  },
  {
    name: "confirms-unpaid",
    says: "an order is confirmed as soon as its stock is reserved",
    edits: [
      {
        file: "services/orders/checkout.ts",
        find: "order.total.amount > 0\n",
        replace: "order.total.amount < 0\n",
      },
    ],
    caughtBy: ["confirmed-is-paid"],
  },
  {
    name: "ignored-deadline",
    says: "the deadline of an order passes without effect",
    edits: [
      {
        file: "services/orders/reactions.ts",
        find: `[deadlineJob]: (job, kit) => on(job.key, { type: "deadline" }, kit),`,
        replace: "[deadlineJob]: () => undefined,",
      },
    ],
    caughtBy: ["order-is-final-in-time"],
    trouble: ["silence"],
  },
  {
    name: "dropped-event",
    says: "of the events that are sent together only the first is sent",
    edits: [
      {
        file: "packages/drizzle-outbox/src/relay.ts",
        find: "this.#send(events)",
        replace: "this.#send(events.slice(0, 1))",
      },
    ],
    caughtBy: ["event-is-delivered"],
  },
  {
    name: "dropped-row",
    says: "an event that follows another in one commit is deleted unsent",
    edits: [
      {
        file: "packages/drizzle-outbox/src/sqlite-source.ts",
        find: "delete from outbox_events where seq between ? and ?",
        replace: "delete from outbox_events where seq between ? and ? + 1",
      },
      {
        file: "packages/drizzle-outbox/src/sqlite-source.ts",
        find: "if (!this.#fromMemory) return;",
        replace: "return;",
      },
    ],
    caughtBy: ["event-is-delivered"],
  },
  {
    name: "untold-step",
    says: "an order is confirmed, and nobody is told",
    edits: [
      {
        file: "services/orders/published.ts",
        find: `    case "confirmed":
      // With names`,
        replace: `    case "confirmed":
      if (orderId) return [];
      // With names`,
      },
    ],
    caughtBy: ["event-is-delivered"],
  },
  {
    name: "no-note-of-the-event",
    says: "the inbox does not note what it has handled",
    edits: [
      {
        file: "packages/drizzle-outbox/src/outbox.ts",
        find: "await save(effect ?? {}, [remember]);",
        replace: "await save(effect ?? {});",
      },
    ],
    caughtBy: ["event-is-delivered"],
  },
  {
    name: "inbox-forgets",
    says: "an event that comes again has its effect again",
    edits: inboxForgets,
    caughtBy: ["stock-adds-up"],
    trouble: ["again"],
  },
  {
    name: "reserves-again",
    says: "an order that is told again is reserved again",
    edits: [
      ...inboxForgets,
      {
        file: "services/inventory/reservation.ts",
        find: `): ReservationEvent[] {
  if (reservation !== undefined) return [];`,
        replace: "): ReservationEvent[] {\n  void reservation;",
      },
      {
        file: "services/inventory/reservation.ts",
        find: `    case "reserved":
    case "refused":
      throw`,
        replace: `    case "reserved":
      return { ...next, status: "reserved", lines: event.lines };
    case "refused":
      throw`,
      },
    ],
    caughtBy: ["stock-adds-up", "event-is-delivered"],
    trouble: ["again"],
  },
  {
    name: "swallowed-error",
    says: "a reaction that throws counts as done",
    edits: [
      {
        file: "packages/chassis/src/inbound.ts",
        find: "traced(wanted(await reaction.handle(event.data, received)), event.traceparent)",
        replace:
          "traced(wanted(await Promise.resolve().then(() => reaction.handle(event.data, received)).catch(() => undefined)), event.traceparent)",
      },
    ],
    caughtBy: ["order-follows-events"],
    faults: ["reserving fails at the first try"],
  },
  {
    name: "stale-copy",
    says: "a price that changes does not reach the copy that orders are priced by",
    edits: [
      {
        file: "services/orders/reactions.ts",
        find: "react(ProductUpdated, (e, { store }: Got) => ({ writes: [store.product(e)] })),",
        replace: "react(ProductUpdated, (): undefined => undefined),",
      },
    ],
    caughtBy: ["copy-equals-source"],
  },
  {
    name: "oversell",
    says: "nobody looks whether there is enough",
    edits: [
      {
        file: "services/inventory/reservation.ts",
        find: "available(levels.get(sku)) < quantity",
        replace: "available(levels.get(sku)) < quantity - 1_000",
      },
      {
        file: "services/inventory/store.ts",
        find: " and ${t.stock.onHand} - ${t.stock.reserved} >= ${quantity}",
        replace: "",
      },
    ],
    caughtBy: ["stock-adds-up"],
  },
  {
    name: "skipped-void",
    says: "an authorisation that was not answered in time is not voided",
    edits: [
      {
        file: "services/payments/providers/provider.ts",
        find: "provider.void({ key: `${orderId}:void`, orderId, reference }, signal),",
        replace: "(void signal, Promise.resolve([])),",
      },
    ],
    caughtBy: ["ended-order-holds-nothing"],
  },
  {
    name: "unbooked-refund",
    says: "a refund is not entered into the ledger",
    edits: [
      {
        file: "services/payments/store.ts",
        find: "if (booked) writes",
        replace: `if (booked && event.type !== "refunded") writes`,
      },
    ],
    caughtBy: ["money-matches-provider"],
  },
  {
    name: "unbalanced-entry",
    says: "an entry credits a penny less than it debits",
    edits: [
      {
        file: "services/payments/ledger.ts",
        find: "credit: amount }",
        replace: "credit: amount - 1 }",
      },
    ],
    caughtBy: ["ledger-balances"],
  },
  {
    name: "drifting-totals",
    says: "the totals of the ledger are the last posting instead of their sum",
    edits: [
      {
        file: "services/payments/store.ts",
        find: "debit: sql`${totals.debit} + excluded.debit`",
        replace: "debit: sql`excluded.debit`",
      },
    ],
    caughtBy: ["ledger-balances"],
  },
  {
    name: "ignored-key",
    says: "an Idempotency-Key is not looked at",
    edits: [
      {
        file: "packages/chassis/src/idempotency.ts",
        find: "const id = idOf(c, key, of);",
        replace: "const id = idOf(c, key + Math.random(), of);",
      },
    ],
    caughtBy: ["key-has-one-effect"],
  },
  {
    name: "lost-update",
    says: "an order is saved without a look at its version",
    edits: [
      {
        file: "services/orders/store.ts",
        find: "{ id: order.id, version: before.version }",
        replace: "{ id: order.id }",
      },
    ],
    caughtBy: [
      "history-is-allowed",
      "event-is-delivered",
      "answer-is-what-is-stored",
      "order-follows-events",
      // An order that has lost what it heard waits for it.
      "order-is-final-in-time",
    ],
    faults: ["loading an order takes a while"],
  },
  {
    name: "wrong-total",
    says: "a total counts each line once, whatever its quantity",
    edits: [
      {
        file: "services/orders/quote.ts",
        find: "sum + line.quantity * line.unitPrice.amount",
        replace: "sum + line.unitPrice.amount",
      },
    ],
    caughtBy: ["price-adds-up"],
  },
  {
    name: "restocked-twice",
    says: "goods that come back are put back into stock as often as that is told",
    edits: [
      ...inboxForgets,
      {
        file: "services/inventory/reservation.ts",
        find: `if (reservation.returns.includes(returnId)) return [{ type: "restocked", orderId, returnId, lines: [] }];`,
        replace: "",
      },
    ],
    caughtBy: ["stock-adds-up"],
    trouble: ["again"],
  },
  {
    name: "cancelled-line-keeps-stock",
    says: "what is cancelled of an order stays reserved",
    edits: [
      {
        file: "services/inventory/reactions.ts",
        find: "react(OrderLinesCancelled, (e, got: Got) => reduce(e.orderId, e.lines, got)),",
        replace: "react(OrderLinesCancelled, (): undefined => undefined),",
      },
    ],
    caughtBy: ["stock-adds-up"],
  },
  {
    name: "refund-too-large",
    says: "a return of some pieces is refunded for all of their line",
    edits: [
      {
        file: "services/orders/worth.ts",
        find: "return share(line, returned + back(line, index)) - share(line, returned);",
        replace: "return back(line, index) > 0 ? share(line, line.quantity) - share(line, returned) : 0;",
      },
    ],
    caughtBy: ["kept-is-paid"],
  },
  {
    name: "shipment-captured-twice",
    says: "each try to capture a shipment has a key of its own",
    edits: [captureAnew],
    caughtBy: ["captured-once"],
    faults: ["the answer to the first try of a call to the provider is lost"],
  },
  {
    name: "leaves-unpaid",
    says: "a shipment leaves before its money is captured",
    edits: [
      {
        file: "services/orders/shipments.ts",
        find: "if (amount > 0) return [accepted];",
        replace: "if (amount < 0) return [accepted];",
      },
    ],
    caughtBy: ["shipped-is-captured"],
  },
  {
    name: "rest-stays-authorised",
    says: "what will never be captured is not let go of",
    edits: [
      {
        file: "services/payments/providers/test.ts",
        find: "letGo({ ...asked, key: `${key}:rest` });",
        replace: "void final;",
      },
      {
        file: "services/payments/providers/test.ts",
        find: "letGo(asked);",
        replace: "void letGo;",
      },
    ],
    caughtBy: ["ended-order-holds-nothing"],
  },
  {
    name: "limitless-promotion",
    says: "a promotion is given to whoever asks, whatever its limit",
    edits: [
      {
        file: "services/orders/promotion.ts",
        find: "if (uses && limit !== undefined && uses.all >= limit)",
        replace: "if (uses && limit !== undefined && uses.all < 0)",
      },
      {
        file: "services/orders/pricing-store.ts",
        find: "where: sql`${used} < ${limit}`,",
        replace: "where: sql`${used} < ${limit} + 1000`,",
      },
    ],
    caughtBy: ["promotion-counts"],
  },
  {
    name: "tells-all-left",
    says: "of a shipment with some of the pieces it is told that all have left",
    edits: [
      {
        file: "services/orders/published.ts",
        find: "pieces(order.lines, counted(shipment?.units ?? []))",
        replace: "pieces(order.lines, ({ quantity }) => quantity)",
      },
    ],
    caughtBy: ["units-add-up"],
  },
];
