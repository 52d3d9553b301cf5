import { invalid, json, Refused } from "./answers.ts";
import { type Fields, fields, flat } from "./form.ts";
import type { Dispute, FakeStripe, Intent, Refund } from "./types.ts";

export type { Call, Event, FakeStripe } from "./types.ts";

// A Stripe with a memory, for tests: PaymentIntents captured by hand, refunds, disputes, events and idempotency keys, as
// https://docs.stripe.com/api documents them. (stripe-mock checks what is sent to it, and remembers nothing.)

/** How a payment method is answered; one that is not here does not exist. */
const methods: Record<string, string> = {
  pm_card_visa: "approved",
  // Can be captured only once.
  pm_card_credit_disableEnterpriseCardFeatures: "approved",
  pm_card_chargeDeclined: "generic_decline",
  pm_card_chargeDeclinedInsufficientFunds: "insufficient_funds",
  pm_card_chargeDeclinedLostCard: "lost_card",
  pm_card_authenticationRequired: "authentication_required",
};

const onlyOnce = "pm_card_credit_disableEnterpriseCardFeatures";

/** Seconds for which money is held. */
const holds = 7 * 24 * 60 * 60;

/** Stripe forgets an idempotency key after a day. */
const remembers = 24 * 60 * 60_000;

export function fakeStripe({ apiKey = "sk_test_souk" } = {}): FakeStripe {
  const intents = new Map<string, Intent>();
  const refunds = new Map<string, Refund>();
  const disputes = new Map<string, Dispute>();
  /** Intents that may be captured more than once: asked for, then by the card, too. */
  const multicapture = new Set<string>();
  const approvedAt = new Map<string, number>();
  const answers = new Map<string, { request: string; at: number; status: number; body: string }>();
  const underWay = new Set<string>();
  let skew = 0;
  let made = 0;
  const now = () => Date.now() + skew;
  const seconds = () => Math.floor(now() / 1000);
  // In an order that an id shows, as pages are asked for by it.
  const id = (prefix: string) => `${prefix}_${String(++made).padStart(8, "0")}`;

  const happened = (type: string, object: object): void => {
    const data = { object: structuredClone(object) as Record<string, unknown> };
    fake.events.push({ id: id("evt"), object: "event", type, created: seconds(), data });
  };
  const refundsOf = (intent: string) => [...refunds.values()].filter((one) => one.payment_intent === intent);
  const disputeOf = (intent: string) => [...disputes.values()].find((one) => one.payment_intent === intent);
  const sum = (all: Refund[]) =>
    all.filter(({ status }) => status === "succeeded").reduce((total, { amount }) => total + amount, 0);
  const chargeOf = (intent: Intent) => ({
    id: intent.latest_charge,
    object: "charge",
    payment_intent: intent.id,
    metadata: intent.metadata,
    amount_refunded: sum(refundsOf(intent.id)),
    disputed: disputeOf(intent.id) !== undefined,
    payment_method_details: {
      type: "card",
      card: {
        capture_before: (approvedAt.get(intent.id) ?? 0) + holds,
        multicapture: { status: multicapture.has(intent.id) ? "available" : "unavailable" },
      },
    },
  });
  const found = (name: string): Intent => {
    const intent = intents.get(name);
    if (intent) return intent;
    throw new Refused(404, { type: "invalid_request_error", code: "resource_missing", param: "intent" });
  };
  const of = (orderId: string): Intent => {
    const held = [...intents.values()].find((one) => one.metadata.orderId === orderId && one.latest_charge);
    if (!held) throw new Error(`nothing was paid for ${orderId}`);
    return held;
  };
  const must = (intent: Intent, ...states: Intent["status"][]): void => {
    if (!states.includes(intent.status))
      throw invalid("payment_intent_unexpected_state", { payment_intent: intent });
  };
  const seen = (intent: Intent, expand: unknown) =>
    Array.isArray(expand) && expand.includes("latest_charge") && intent.latest_charge
      ? { ...intent, latest_charge: chargeOf(intent) }
      : intent;

  function create({ amount, currency, metadata, capture_method: capture, ...more }: Fields): Intent {
    if (!/^\d+$/.test(String(amount)) || !/^[a-z]{3}$/.test(String(currency)))
      throw invalid("parameter_invalid_integer", { param: "amount" });
    if (Number(amount) < 30) throw invalid("amount_too_small");
    if (Number(amount) > 99_999_999) throw invalid("amount_too_large");
    if (capture !== "manual") throw new Error("this Stripe knows capture by hand only");
    const intent: Intent = {
      id: id("pi"),
      object: "payment_intent",
      amount: Number(amount),
      amount_capturable: 0,
      amount_received: 0,
      currency: String(currency),
      status: "requires_payment_method",
      metadata: (metadata ?? {}) as Record<string, string>,
      last_payment_error: null,
      latest_charge: null,
      created: seconds(),
    };
    intents.set(intent.id, intent);
    if (more["payment_method_options[card][request_multicapture]"] === "if_available")
      multicapture.add(intent.id);
    happened("payment_intent.created", intent);
    return intent;
  }

  function confirm(intent: Intent, { payment_method: method }: Fields): Intent {
    must(intent, "requires_payment_method");
    const answer = methods[String(method)];
    if (answer === undefined) throw invalid("resource_missing", { param: "payment_method" });
    if (answer !== "approved") {
      const code = answer === "authentication_required" ? answer : "card_declined";
      intent.last_payment_error = { type: "card_error", code, decline_code: answer };
      happened("payment_intent.payment_failed", intent);
      throw new Refused(402, { ...intent.last_payment_error, payment_intent: { ...intent } });
    }
    intent.status = "requires_capture";
    intent.amount_capturable = intent.amount;
    intent.latest_charge = id("ch");
    approvedAt.set(intent.id, seconds());
    if (method === onlyOnce) multicapture.delete(intent.id);
    happened("payment_intent.amount_capturable_updated", intent);
    return intent;
  }

  function capture(
    intent: Intent,
    {
      amount_to_capture: asked = String(intent.amount_capturable),
      final_capture: final = "true",
      metadata = {},
    }: Fields,
  ): Intent {
    must(intent, "requires_capture");
    if (Number(asked) > intent.amount_capturable) throw invalid("amount_too_large");
    if (final === "false" && !multicapture.has(intent.id))
      throw invalid("parameter_unknown", { param: "final_capture" });
    // Nothing is captured to let go of the rest; there has to be something else, then.
    if (Number(asked) === 0 && (final === "false" || intent.amount_received === 0))
      throw invalid("amount_too_small");
    intent.amount_received += Number(asked);
    Object.assign(intent.metadata, metadata);
    intent.amount_capturable -= Number(asked);
    happened("payment_intent.amount_capturable_updated", intent);
    if (final === "true" || intent.amount_capturable === 0) succeed(intent);
    return intent;
  }

  function succeed(intent: Intent): void {
    intent.status = "succeeded";
    intent.amount_capturable = 0;
    happened("payment_intent.succeeded", intent);
  }

  function cancel(intent: Intent): Intent {
    must(intent, "requires_payment_method", "requires_capture");
    // What Stripe makes of this it does not say; it has another way to let go of a rest.
    if (intent.amount_received > 0) throw new Error("this Stripe does not cancel what was captured in part");
    intent.status = "canceled";
    intent.amount_capturable = 0;
    happened("payment_intent.canceled", intent);
    return intent;
  }

  function refund({ payment_intent: of, amount: asked, metadata = {} }: Fields): Refund {
    const intent = found(String(of));
    must(intent, "succeeded", "requires_capture");
    if (intent.amount_received === 0) throw invalid("payment_intent_unexpected_state");
    const { status: disputed = "won", amount: about = 0 } = disputeOf(intent.id) ?? {};
    if (disputed !== "won" && disputed !== "lost") throw invalid("charge_disputed");
    const left = intent.amount_received - sum(refundsOf(intent.id)) - (disputed === "lost" ? about : 0);
    if (left === 0) throw invalid("charge_already_refunded");
    const amount = Number(asked ?? left);
    if (!(amount > 0 && amount <= left)) throw invalid("parameter_invalid_integer", { param: "amount" });
    const made: Refund = {
      id: id("re"),
      object: "refund",
      payment_intent: intent.id,
      amount,
      currency: intent.currency,
      status: "succeeded",
      metadata: metadata as Record<string, string>,
      created: seconds(),
    };
    refunds.set(made.id, made);
    happened("charge.refunded", chargeOf(intent));
    return made;
  }

  /** Newest first, as Stripe lists. */
  function page<T extends { id: string; created?: unknown }>(all: T[], asked: Fields) {
    const { limit = "10", starting_after: after, created } = asked;
    const since = Number((created as Fields | undefined)?.gte ?? 0);
    const wanted = all
      .filter((one) => Number(one.created ?? 0) >= since)
      .reverse()
      .filter((one) => after === undefined || one.id < String(after));
    return { object: "list", data: wanted.slice(0, Number(limit)), has_more: wanted.length > Number(limit) };
  }

  function carryOut(method: string, path: string, asked: Fields): object {
    const [, kind, name = "", action] = /^\/v1\/(\w+)(?:\/(\w+))?(?:\/(\w+))?$/.exec(path) ?? [];
    const wanted = `${method} ${kind}${name ? "/…" : ""}${action ? `/${action}` : ""}`;
    switch (wanted) {
      case "POST payment_intents":
        return create(asked);
      case "GET payment_intents":
        return page([...intents.values()], asked);
      case "GET payment_intents/…":
        return seen(found(name), asked.expand);
      case "POST payment_intents/…/confirm":
        return seen(confirm(found(name), asked), asked.expand);
      case "POST payment_intents/…/capture":
        return capture(found(name), asked);
      case "POST payment_intents/…/cancel":
        return cancel(found(name));
      case "POST refunds":
        return refund(asked);
      case "GET refunds":
        return page(refundsOf(String(asked.payment_intent)), asked);
      case "GET disputes":
        return page(
          [...disputes.values()].filter((one) => one.payment_intent === asked.payment_intent),
          asked,
        );
      case "GET events": {
        const types = (asked.types ?? []) as string[];
        return page(
          fake.events.filter(({ type }) => types.length === 0 || types.includes(type)),
          asked,
        );
      }
      default:
        throw new Refused(404, { type: "invalid_request_error", message: `${wanted} is not known here` });
    }
  }

  /** @returns the answer; a POST with a key is carried out once, as long as the key is remembered */
  function answer(method: string, path: string, body: string, key: string | null): Response {
    const asked = fields(body);
    const request = `${method} ${path} ${flat(body)}`;
    const before = key === null ? undefined : answers.get(key);
    if (before && before.at + remembers > now()) {
      if (before.request !== request)
        return json(400, { error: { type: "idempotency_error", message: "Keys for idempotent requests…" } });
      return json(before.status, before.body, { "idempotent-replayed": "true" });
    }
    let [status, given]: [number, unknown] = [200, undefined];
    try {
      given = carryOut(method, path, asked);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      [status, given] = [error.status, { error: error.error }];
    }
    const text = JSON.stringify(given);
    if (key !== null && method === "POST") answers.set(key, { request, at: now(), status, body: text });
    return json(status, text);
  }

  const fake: FakeStripe = {
    calls: [],
    events: [],
    now,
    later(ms) {
      skew += ms;
    },
    async fetch(request) {
      const { pathname, search } = new URL(request.url);
      const { method } = request;
      const body = method === "GET" ? search.slice(1) : await request.text();
      const key = request.headers.get("idempotency-key");
      const call = { method, path: pathname, key };
      if (request.headers.get("authorization") !== `Bearer ${apiKey}`)
        return json(401, { error: { type: "invalid_request_error", message: "Invalid API Key provided" } });
      if (key !== null && underWay.has(key))
        return json(409, { error: { type: "invalid_request_error", code: "idempotency_key_in_use" } });
      if (key !== null) underWay.add(key);
      try {
        fake.calls.push(call);
        const instead = await fake.interfere?.("before", call);
        if (instead) return instead;
        const done = answer(method, pathname, body, key);
        return (await fake.interfere?.("after", call)) ?? done;
      } finally {
        if (key !== null) underWay.delete(key);
      }
    },
    intents: (orderId) =>
      [...intents.values()]
        .filter((one) => orderId === undefined || one.metadata.orderId === orderId)
        .map((one) => {
          const { status: disputed, amount = 0 } = disputeOf(one.id) ?? {};
          return {
            ...one,
            refunded: sum(refundsOf(one.id)),
            disputed,
            lost: disputed === "lost" ? amount : 0,
          };
        }),
    refundByHand: (orderId, amount) =>
      void refund({ payment_intent: of(orderId).id, amount: String(amount) }),
    dispute(orderId, status) {
      const { id: payment_intent, amount_received: all, currency, latest_charge: charge } = of(orderId);
      const known = disputeOf(payment_intent);
      // What is decided stays so.
      if (known && ["won", "lost"].includes(known.status)) return;
      const name = known?.id ?? id("du");
      const amount = known?.amount ?? all - sum(refundsOf(payment_intent));
      const dispute: Dispute = {
        ...{ id: name, object: "dispute", payment_intent, charge, amount, currency },
        ...{ reason: "fraudulent", status, created: seconds(), metadata: {} },
      };
      disputes.set(name, dispute);
      happened(known ? "charge.dispute.updated" : "charge.dispute.created", dispute);
    },
    captureByHand: (orderId, amount) =>
      void capture(of(orderId), { amount_to_capture: String(amount), final_capture: "false" }),
    expire(orderId) {
      const intent = of(orderId);
      if (intent.amount_received > 0) succeed(intent);
      else cancel(intent);
    },
  };
  return fake;
}
