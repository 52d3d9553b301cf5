import type {
  Dispute,
  Entry,
  Facts,
  Known,
  Money,
  Payment,
  PaymentEvent,
  PublicStatus,
  Refund,
} from "./payment.ts";

/** The payment after an event. */
export function evolve(payment: Payment | undefined, event: PaymentEvent): Payment {
  switch (event.type) {
    case "closed": {
      // XXX is the ISO 4217 code for no currency: of an order never seen there is no telling.
      const facts = begin(event.orderId, { amount: 0, currency: "XXX" });
      return { ...reached(facts, event, "voided"), wanted: "undo", status: "closed" };
    }
    case "authorising": {
      const { orderId, total, method, token } = event;
      return {
        ...reached(begin(orderId, total), event, "authorising"),
        status: "authorising",
        method,
        token,
      };
    }
    case "found": {
      const { orderId, total, method, reference } = event;
      const facts = { ...(payment ?? begin(orderId, total)), total, authorised: total.amount };
      return {
        ...reached(facts, event, "authorised", total.amount, "found at the provider"),
        wanted: "undo",
        status: "authorised",
        method,
        ...(reference === undefined ? {} : { reference }),
      };
    }
  }
  if (payment === undefined || payment.status === "closed") {
    if (payment && event.type === "nothing-held") return { ...payment, version: payment.version + 1 };
    throw new Error(`${event.type} of a payment that is ${payment?.status ?? "not there"}`);
  }
  switch (event.type) {
    case "opened":
      return { ...payment, version: payment.version + 1, reference: event.reference };
    case "given-up":
      return { ...payment, version: payment.version + 1, wanted: "undo" };
    case "nothing-held":
      return { ...payment, version: payment.version + 1 };
    case "authorised": {
      const { amount } = payment.total;
      return { ...known(payment, event, amount), status: "authorised", authorised: amount };
    }
    case "declined":
      return {
        ...known(payment, event, undefined, event.why ? `${event.reason}: ${event.why}` : event.reason),
        status: "declined",
        reason: event.reason,
        authorised: 0,
      };
    case "capturing":
    case "voiding":
      return { ...known(payment, event), status: event.type };
    case "captured": {
      const { authorised: amount } = payment;
      return { ...known(payment, event, amount), status: "captured", captured: amount };
    }
    case "voided":
      return { ...known(payment, event, payment.authorised), status: "voided", authorised: 0 };
    case "refunding": {
      const { number, amount, reason } = event.refund;
      const facts = { ...known(payment, event, amount, reason), refunds: number };
      const pending: [Refund, ...Refund[]] =
        payment.status === "refunding" ? [...payment.pending, event.refund] : [event.refund];
      return { ...facts, status: "refunding", pending };
    }
    case "refunded": {
      const { amount } = event.refund;
      const facts = { ...known(payment, event, amount), refunded: payment.refunded + amount };
      const [first, ...rest] = payment.status === "refunding" ? payment.pending.slice(1) : [];
      if (first) return { ...facts, status: "refunding", pending: [first, ...rest] };
      return { ...facts, status: facts.refunded < facts.captured ? "captured" : "refunded" };
    }
    case "disputed":
      return disputed(payment, event.at, event.dispute);
    default:
      return event satisfies never;
  }
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
  version: 1,
  total,
  wanted: "capture",
  authorised: 0,
  captured: 0,
  refunded: 0,
  refunds: 0,
  history: [],
});

function entry({ at }: PaymentEvent, status: PublicStatus, amount?: number, reason?: string): Entry {
  const plain: Entry = { at, status };
  if (amount !== undefined) plain.amount = amount;
  if (reason !== undefined) plain.reason = reason;
  return plain;
}

/** The facts that go along from status to status; what belongs to one status only stays behind. */
function reached(
  facts: Facts,
  event: PaymentEvent,
  status: PublicStatus,
  amount?: number,
  reason?: string,
): Facts {
  const { orderId, version, total, wanted, authorised, captured, refunded, refunds, history, disputes } =
    facts;
  return {
    orderId,
    version: history.length === 0 ? version : version + 1,
    total,
    wanted,
    authorised,
    captured,
    refunded,
    refunds,
    ...(disputes ? { disputes } : {}),
    history: [...history, entry(event, status, amount, reason)],
  };
}

function known(
  payment: Known,
  event: PaymentEvent & { type: PublicStatus },
  amount?: number,
  reason?: string,
): Known {
  const { method, reference } = payment;
  return {
    ...reached(payment, event, event.type, amount, reason),
    method,
    ...(reference === undefined ? {} : { reference }),
  };
}
