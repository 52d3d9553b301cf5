import { cancel } from "./cancel.ts";
import { advance, type Heard } from "./checkout.ts";
import { evolve, type Line, type Order, type OrderEvent, shown } from "./order.ts";
import { published } from "./published.ts";
import { askReturn, receive } from "./returns.ts";

// An order in every situation × everything that it can hear, or that can be asked of it → what becomes of it and what the
// others are told. Worked out by the code itself, for the page in docs/orders and for its test.

const at = 0;
const gbp = (amount: number) => ({ amount, currency: "GBP" });
const three: Line = { sku: "A", name: "A", quantity: 3, unitPrice: gbp(100), kind: "physical" };
const service: Line = { sku: "S", name: "S", quantity: 1, unitPrice: gbp(50), kind: "service" };
const placed: OrderEvent = {
  type: "placed",
  at,
  order: {
    id: "o",
    reference: null,
    owner: "ada",
    keyDigest: null,
    personal: null,
    country: "GB",
    payment: { method: "test", token: "tok_ok" },
    lines: [three, service],
    total: gbp(350),
  },
};

type Happening = (order: Order) => OrderEvent[] | { rejected: string };

const hear =
  (heard: Heard): Happening =>
  (order) =>
    advance(order, heard, at);
const dispatching = (id: string, quantity: number): Happening =>
  hear({ type: "shipment-dispatching", shipment: { id, lines: [{ sku: "A", quantity }] } });
const captured = (key: string): Happening => hear({ type: "payment-captured", key });
const delivered = (shipmentId: string): Happening => hear({ type: "shipment-delivered", shipmentId });
const comesBack =
  (atHand: boolean, ...lines: { sku: string; quantity: number }[]): Happening =>
  (order) =>
    askReturn(order, { lines, atHand, writeOff: false, at });
const one = { sku: "A", quantity: 1 };
const all = [
  { sku: "A", quantity: 3 },
  { sku: "S", quantity: 1 },
];
const cancelAll: Happening = (order) => cancel(order, { at });
const receiveIt: Happening = (order) => receive(order, { returnId: "o-r1", at });
const refunded = hear({ type: "money-given-back", key: "o-r1", held: 1 });
const restocked = hear({ type: "restocked", returnId: "o-r1" });
const nothingHeld = hear({ type: "money-given-back", held: 0 });
const released = hear({ type: "stock-released" });

/** What others tell, and what people ask; shipments are named as shipping names them: `o-1`, then `o-2`. */
export const happenings = {
  "stock.reserved": hear({ type: "stock-reserved" }),
  "stock.refused": hear({ type: "stock-refused" }),
  "stock.released": released,
  "payment.authorised": hear({ type: "payment-authorised" }),
  "payment.captured, at once": hear({ type: "payment-captured", amount: 50 }),
  "payment.declined": hear({ type: "payment-declined" }),
  "payment.declined, timed out": hear({ type: "payment-timed-out" }),
  "payment.expired": hear({ type: "payment-expired" }),
  "payment.voided or refunded, nothing is held": nothingHeld,
  "the deadline": hear({ type: "deadline" }),
  "shipment.dispatching, a part": dispatching("o-3", 1),
  "shipment.dispatching, all": dispatching("o-3", 3),
  "payment.captured, of the shipment": (order) => captured(latest(order))(order),
  "payment.capture-failed, expired": (order) =>
    hear({ type: "capture-failed", key: latest(order), reason: "authorisation-expired" })(order),
  "payment.capture-failed, no parts": (order) =>
    hear({ type: "capture-failed", key: latest(order), reason: "partial-capture-unavailable" })(order),
  "shipment.delivered": (order) => delivered(latest(order))(order),
  "payment.refunded, of the return": refunded,
  "stock.restocked": restocked,
  cancel: cancelAll,
  "cancel a part": (order) => cancel(order, { lines: [one], at }),
  "return, by staff": comesBack(true, one),
  "return of all, by staff": comesBack(true, ...all),
  "return, by the customer": comesBack(false, one),
  "receive the return": receiveIt,
} satisfies Record<string, Happening>;
export type Happened = keyof typeof happenings;

const latest = ({ shipments = [] }: Order): string => shipments.at(-1)?.id ?? "o-1";

const after = (...happened: Happening[]): Order =>
  happened.reduce<Order>(
    (order, happening) => {
      const decided = happening(order);
      if (!Array.isArray(decided)) throw new Error(`refused: ${decided.rejected}`);
      return decided.reduce<Order>(evolve, order);
    },
    evolve(undefined, placed),
  );

const { "stock.reserved": reserved, "payment.authorised": authorised } = happenings;
const paid = [reserved, authorised];
const half = [...paid, dispatching("o-1", 1), captured("o-1")];
const shipped = [...half, dispatching("o-2", 2), captured("o-2")];
const arrived = [...shipped, delivered("o-1"), delivered("o-2")];

/** Three A at 1.00, captured when they are sent, and a service at 0.50, captured at once: how far it has come. */
export const situations = {
  placed: after(),
  reserved: after(reserved),
  confirmed: after(...paid),
  "confirmed, one in hand-over": after(...paid, dispatching("o-1", 1)),
  "confirmed, all in hand-over": after(...paid, dispatching("o-1", 3)),
  "confirmed, one shipped": after(...half),
  "confirmed, one shipped, two in hand-over": after(...half, dispatching("o-2", 2)),
  "confirmed, one shipped and back": after(...half, comesBack(true, one), refunded, restocked),
  "confirmed, the rest cancelled": after(...paid, (order) =>
    cancel(order, { lines: [{ sku: "A", quantity: 3 }], at }),
  ),
  shipped: after(...shipped),
  "shipped, one arrived": after(...shipped, delivered("o-1")),
  "shipped, the rest cancelled": after(...half, cancelAll),
  "shipped, all received back": after(...shipped, comesBack(true, ...all)),
  delivered: after(...arrived),
  "delivered, a return asked for": after(...arrived, comesBack(false, one)),
  "delivered, all received back": after(...arrived, comesBack(true, ...all)),
  "delivered, all received back and restocked": after(...arrived, comesBack(true, ...all), restocked),
  returned: after(...arrived, comesBack(true, ...all), restocked, refunded),
  "aborting before it was reserved": after(cancelAll),
  "aborting, declined": after(reserved, happenings["payment.declined"]),
  "aborting, cancelled": after(...paid, cancelAll),
  "aborting, the stock is back": after(...paid, cancelAll, released),
  "aborting, the money is back": after(...paid, cancelAll, nothingHeld),
  rejected: after(reserved, happenings["payment.declined"], released),
  cancelled: after(...paid, cancelAll, released, nothingHeld),
} satisfies Record<string, Order>;
export type Situation = keyof typeof situations;

/**
 * What becomes of an order: nothing (—), a refusal with its code, or the status it is in then and what the others
 * are told, if anything.
 */
export function cell(situation: Situation, happened: Happened): string {
  const before: Order = situations[situation];
  const decided = (happenings[happened] as Happening)(before);
  if (!Array.isArray(decided)) return `${refusal}${decided.rejected}`;
  if (decided.length === 0) return "—";
  let order = before;
  const told = decided.flatMap((event) => {
    order = evolve(order, event);
    return published(order, event, undefined).map(({ type }) => type);
  });
  const status = order.status === "aborting" ? `aborting (shows ${shown(order)})` : order.status;
  return [status, ...told].join(" · ");
}

const refusal = "refused: ";

/** The whole page. */
export function page(): string {
  const parts = (Object.keys(situations) as Situation[]).map((situation) => {
    const cells = (Object.keys(happenings) as Happened[]).map((happened) => ({
      happened,
      what: cell(situation, happened),
    }));
    const of = (such: (what: string) => boolean) => cells.filter(({ what }) => such(what));
    const rows = of((what) => what !== "—" && !what.startsWith(refusal)).map(({ happened, what }) => {
      const [status, ...told] = what.split(" · ");
      return `| ${happened} | ${status} | ${told.map((type) => `\`${type}\``).join(", ")} |`;
    });
    const refused = of((what) => what.startsWith(refusal)).map(
      ({ happened, what }) => `${happened} (\`${what.slice(refusal.length)}\`)`,
    );
    const ignored = of((what) => what === "—").map(({ happened }) => happened);
    return [
      `## ${situation}`,
      ...(rows.length > 0
        ? [["| What happens | It is then | The others are told |", "|---|---|---|", ...rows].join("\n")]
        : []),
      ...(refused.length > 0 ? [`Refused: ${refused.join("; ")}.`] : []),
      ...(ignored.length > 0 ? [`Changes nothing: ${ignored.join("; ")}.`] : []),
    ].join("\n\n");
  });
  return `${[head, ...parts].join("\n\n")}\n`;
}

const head = `# What becomes of an order

Generated from the code by \`npm run contracts\`; do not edit. The order has three pieces at 1.00, which are captured when they
are sent, and a service at 0.50, which is captured at once. For every situation it says what follows from everything
that the order can hear of others ([checkout.ts](../../services/orders/checkout.ts)), and that people can ask of it
([cancel.ts](../../services/orders/cancel.ts), [returns.ts](../../services/orders/returns.ts)).
[state-table.test.ts](../../services/orders/state-table.test.ts) says the same of every cell by hand.

*Aborting* is an inner status: the order shows the one before until nothing is held for it any more. *Changes nothing*: it came
twice, or late. What is asked and refused is answered with the code.`;
