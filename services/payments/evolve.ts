import { nameOf } from "./captures.ts";
import type {
  Capture,
  Dispute,
  Entry,
  Facts,
  Known,
  Money,
  Payment,
  PaymentEvent,
  PublicStatus,
} from "./payment.ts";
import { refundName } from "./refunds.ts";

/** The payment after an event. */
export function evolve(payment: Payment | undefined, event: PaymentEvent): Payment {
  switch (event.type) {
    case "closed": {
      // XXX is the ISO 4217 code for no currency: of an order never seen there is no telling.
      const facts = begin(event.orderId, { amount: 0, currency: "XXX" });
      return { ...noted(facts, event, "voided"), wanted: "undo", status: "closed" };
    }
    case "authorising": {
      const { orderId, total, method, token, atOnce } = event;
      const part = atOnce === undefined ? {} : { atOnce };
      const facts = { ...begin(orderId, total), ...part };
      return { ...noted(facts, event, "authorising"), status: "authorising", method, token };
    }
    case "found": {
      const { orderId, total, authorised, method, reference } = event;
      const facts = { ...(payment ? bare(payment) : begin(orderId, total)), total, authorised };
      return {
        ...noted(facts, event, "authorised", { amount: total.amount, reason: "found at the provider" }),
        wanted: "undo",
        status: "authorised",
        method,
        ...(reference === undefined ? {} : { reference }),
      };
    }
  }
  if (payment === undefined) throw new Error(`${event.type} of a payment that is not there`);
  switch (event.type) {
    case "nothing-held":
      return { ...payment, version: payment.version + 1 };
    case "nothing-refunded":
      return {
        ...payment,
        version: payment.version + 1,
        asked: [...payment.asked, `no-return:${event.key}`],
      };
    case "capture-failed":
      return captureFailed(payment, event);
  }
  if (payment.status === "closed") throw new Error(`${event.type} of a payment that is closed`);
  switch (event.type) {
    case "opened":
      return { ...payment, version: payment.version + 1, reference: event.reference };
    case "given-up": {
      // What waits is not wanted any more; what is under way is.
      const captures = payment.status === "capturing" ? payment.captures.slice(0, 1) : [];
      return { ...payment, version: payment.version + 1, wanted: "undo", captures };
    }
    case "released":
      return { ...payment, version: payment.version + 1, released: true };
    case "authorised": {
      const { amount } = payment.total;
      const { until, whole } = event;
      return onwards({
        ...noted(bare(payment), event, "authorised", { amount }),
        authorised: amount,
        ...(until === undefined ? {} : { until }),
        ...(whole === undefined ? {} : { whole }),
      });
    }
    case "declined": {
      const { reason, why } = event;
      return {
        ...noted(bare(payment), event, "declined", { reason: why ? `${reason}: ${why}` : reason }),
        status: "declined",
        reason,
        authorised: 0,
        captures: [],
      };
    }
    case "capturing": {
      const { capture } = event;
      const facts = noted(bare(payment), event, "capturing", partOf(capture, payment.total));
      // What is captured at once comes before what is captured later.
      const captures = capture.key ? [...payment.captures, capture] : [capture, ...payment.captures];
      const asked = [...payment.asked, nameOf(capture)];
      const last = capture.final ? { released: true as const } : {};
      return goOn(payment, { ...facts, captures, asked, ...last });
    }
    case "captured": {
      const { capture } = event;
      const facts = noted(bare(payment), event, "captured", {
        amount: capture.amount,
        ...(capture.key ? { key: capture.key } : {}),
      });
      const captured = payment.captured + capture.amount;
      return ended(payment, "capturing", {
        ...facts,
        captured,
        captures: payment.captures.filter(({ key }) => key !== capture.key),
        // What is found to be taken was held.
        authorised: capture.final ? captured : Math.max(payment.authorised, captured),
      });
    }
    case "voiding":
    case "renewing": {
      const expired = event.type === "voiding" && event.expired ? { expired: true as const } : {};
      return { ...noted(bare(payment), event, event.type), ...expired, status: event.type };
    }
    case "voided":
    case "expired": {
      const amount = payment.authorised - payment.captured;
      const { expired: _, until: __, ...facts } = noted(bare(payment), event, event.type, { amount });
      const ran = event.type === "expired" ? { expired: true as const } : {};
      return onwards({ ...facts, ...ran, authorised: payment.captured, captures: [] });
    }
    case "renewed": {
      const facts = noted(bare(payment), event, "authorised", {
        amount: payment.authorised - payment.captured,
        reason: "renewed",
      });
      return onwards({ ...facts, until: event.until, renewals: (payment.renewals ?? 0) + 1 });
    }
    case "refunding": {
      const { number, amount, key, reason } = event.refund;
      const facts = noted(bare(payment), event, "refunding", {
        amount,
        ...(key ? { key } : {}),
        ...(reason ? { reason } : {}),
      });
      return goOn(payment, {
        ...facts,
        refunds: Math.max(payment.refunds, number),
        pending: [...payment.pending, event.refund],
        asked: [...payment.asked, refundName(event.refund)],
      });
    }
    case "refunded": {
      const { number, amount, key } = event.refund;
      const facts = noted(bare(payment), event, "refunded", { amount, ...(key ? { key } : {}) });
      return ended(payment, "refunding", {
        ...facts,
        refunded: payment.refunded + amount,
        pending: payment.pending.filter((one) => one.number !== number),
      });
    }
    case "disputed":
      return disputed(payment, event.at, event.dispute);
    default:
      return event satisfies never;
  }
}

/** What is to be done next: captures before refunds, since goods wait for them; else how it rests. */
function onwards(payment: Known): Payment {
  if (payment.captures.length > 0) return { ...payment, status: "capturing" };
  if (payment.pending.length > 0) return { ...payment, status: "refunding" };
  const { authorised, captured, refunded, expired } = payment;
  if (authorised > captured) return { ...payment, status: "authorised" };
  if (captured > refunded) return { ...payment, status: "captured" };
  if (captured > 0) return { ...payment, status: "refunded" };
  return { ...payment, status: expired ? "expired" : "voided" };
}

type Moving = Exclude<Payment, { status: "closed" }>;

/** More is to be done: at once, or after what is under way. */
function goOn(before: Moving, payment: Known): Payment {
  if (!underWay.has(before.status)) return onwards(payment);
  return { ...before, ...payment };
}
const underWay = new Set(["authorising", "capturing", "voiding", "renewing", "refunding"]);

/** Something has come to its end, whether it was under way or is found to have been done. */
function ended(before: Moving, status: "capturing" | "refunding", payment: Known): Payment {
  return before.status === status ? onwards(payment) : { ...before, ...payment };
}

function captureFailed(payment: Payment, event: PaymentEvent & { type: "capture-failed" }): Payment {
  const { key, reason } = event;
  const captures = payment.captures.filter((one) => one.key !== key);
  const failed = payment.captures.find((one) => one.key === key);
  const first = payment.captures[0] === failed && payment.status === "capturing";
  const status = payment.history.at(-1)?.status ?? "voided";
  const facts = {
    ...noted(payment, event, status, { key, reason, ...(failed ? { amount: failed.amount } : {}) }),
    captures,
    // It moved nothing: it may be asked for again.
    asked: payment.asked.filter((one) => one !== nameOf({ key })),
  };
  return first && failed ? onwards(bare(facts)) : facts;
}

/** A dispute by itself moves nothing; what a bank takes back is in what the provider says has gone back. */
function disputed<P extends Payment>(payment: P, at: number, dispute: Dispute): P {
  const { reference, status, reason, amount } = dispute;
  const entry: Entry = {
    at,
    status: payment.history.at(-1)?.status ?? "captured",
    amount,
    reason: `dispute ${reference} (${reason}): ${status}`,
  };
  return {
    ...payment,
    version: payment.version + 1,
    disputes: [...(payment.disputes ?? []).filter((one) => one.reference !== reference), dispute],
    history: [...payment.history, entry],
  };
}

const begin = (orderId: string, total: Money): Facts => ({
  orderId,
  version: 0,
  total,
  wanted: "capture",
  authorised: 0,
  captured: 0,
  refunded: 0,
  refunds: 0,
  captures: [],
  pending: [],
  asked: [],
  history: [],
});

/** The facts that go along from status to status; what belongs to one status only stays behind. */
function bare(payment: Payment): Known {
  const { status: _, ...facts } = payment;
  const { token: __, reason: ___, ...known } = facts as Known & { token?: string; reason?: string };
  return known;
}

function noted<F extends Facts>(
  facts: F,
  { at }: PaymentEvent,
  status: PublicStatus,
  about: Omit<Entry, "at" | "status"> = {},
): F {
  return { ...facts, version: facts.version + 1, history: [...facts.history, { at, status, ...about }] };
}

/** Of all that is captured at once nothing more needs to be said. */
const partOf = ({ key, amount }: Capture, total: Money): Omit<Entry, "at" | "status"> =>
  key === undefined && amount === total.amount ? {} : { amount, ...(key ? { key } : {}) };
