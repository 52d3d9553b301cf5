import { type Reaction, react } from "chassis";
import type { Bug } from "./bug.ts";
import type { App } from "./plan.ts";

/** Replaces what an app does about one type of event. */
const instead =
  (app: App, type: string, change: (reaction: Reaction<unknown>) => Reaction<unknown>): Bug["service"] =>
  (definition, of) => {
    if (of !== app) return definition;
    const reactions = definition.reactions ?? [];
    if (!reactions.some((reaction) => reaction.type.type === type))
      throw new Error(`${app} does not hear ${type}`);
    return {
      ...definition,
      reactions: reactions.map((each) => (each.type.type === type ? change(each) : each)),
    };
  };

/** Rewrites the statements of one app that a pattern fits. */
const sql =
  (app: App | undefined, pattern: RegExp, replacement: string): Bug["rewrite"] =>
  (of, text) =>
    app === undefined || app === of ? text.replace(pattern, replacement) : text;

const deaf = (reaction: Reaction<unknown>) => react<unknown, unknown>(reaction.type, () => undefined);

/** Bugs that teams have shipped, each planted in one place. The simulator must find every one of them. */
export const bugs: Bug[] = [
  {
    name: "an inbox that forgets what it has handled",
    rewrite: (_, text) =>
      text.includes("outbox_inbox where consumer")
        ? "select 1 as one where ?1 = 0 and ?2 = 0"
        : text.replace(/^(insert into outbox_inbox .* do) nothing$/, "$1 update set at = excluded.at"),
  },
  { name: "a relay that marks events as sent before the broker has them", publishesLater: true },
  { name: "a commit that is answered before it is safe", forgetsLastCommit: true },
  { name: "failures that are acknowledged to the broker", acknowledgesFailures: true },
  { name: "a saga that ignores stock.refused", service: instead("orders", "stock.refused", deaf) },
  { name: "an inventory that ignores order.aborting", service: instead("inventory", "order.aborting", deaf) },
  {
    name: "orders saved without a check of their version",
    rewrite: sql("orders", /("orders"\."version") = \?$/, "$1 > 0 * ?"),
  },
  {
    name: "payments saved without a check of their version",
    rewrite: sql("payments", /("payments"\."version") = \?$/, "$1 > 0 * ?"),
  },
  {
    name: "a copy of the products that takes whatever comes last",
    rewrite: sql("orders", /("products"\."version") < \?$/, "$1 > 0 * ?"),
  },
  {
    name: "stock that is reserved without a look at what is left",
    rewrite: sql("inventory", /("on_hand" - "stock"\."reserved") >= \?$/, "$1 > -1000 - ?"),
  },
  {
    name: "stock that is not given back",
    rewrite: sql("inventory", /("stock"\."reserved") - \?,/, "$1 - 0 * ?,"),
  },
  {
    name: "a new idempotency key for every call to the provider",
    provider(provider) {
      let calls = 0;
      return {
        ...provider,
        capture: (request, signal) =>
          provider.capture({ ...request, key: `${request.key}#${++calls}` }, signal),
      };
    },
  },
  {
    name: "jobs that were under way at a crash are forgotten",
    rewrite: sql(
      undefined,
      /^update outbox_jobs set next = min\(next, \?\), token = null where/,
      "delete from outbox_jobs where ? > 0 and",
    ),
  },
  {
    name: "answers that are not kept with their Idempotency-Key",
    rewrite: (_, text) => (text.startsWith('insert into "idempotency"') ? undefined : text),
  },
  {
    name: "goods that leave and stay on the shelf",
    rewrite: sql("inventory", /("stock"\."on_hand") - \?, ("reserved")/, "$1 - 0 * ?, $2"),
  },
  {
    name: "an inventory that ignores order.lines-cancelled",
    service: instead("inventory", "order.lines-cancelled", deaf),
  },
  {
    name: "a shipping that ignores order.shipment-refused",
    service: instead("shipping", "order.shipment-refused", deaf),
  },
  {
    name: "shipments saved without a check of their version",
    rewrite: sql("shipping", /("consignments"\."version") = \?$/, "$1 > 0 * ?"),
  },
  {
    name: "payments that ignore order.return-received",
    service: instead("payments", "order.return-received", deaf),
  },
  {
    name: "a new idempotency key for every refund",
    provider(provider) {
      let calls = 0;
      return {
        ...provider,
        refund: (request, signal) =>
          provider.refund({ ...request, key: `${request.key}#${++calls}` }, signal),
      };
    },
  },
  {
    name: "uses of promotions that are not given back",
    rewrite: sql("orders", /("promotion_uses"\."used") - 1/, "$1 - 0"),
  },
  {
    name: "promotions whose limit nobody looks at",
    rewrite: (_, text) =>
      text
        .replace(/("promotion_uses"\."used") < coalesce/, "$1 > -coalesce")
        .replace(/^(select "promotion", "customer",) "used"/, '$1 0 * "used" as "used"'),
  },
  {
    name: "a copy of the shipping rates that takes whatever comes last",
    rewrite: sql("orders", /("shipping_rates"\."version") < \?$/, "$1 > 0 * ?"),
  },
  {
    name: "captures that are believed before the provider has answered",
    provider: (provider) => ({
      ...provider,
      capture: async (request, signal) => {
        await provider.capture(request, signal).catch(() => undefined);
        return "captured";
      },
    }),
  },
];
