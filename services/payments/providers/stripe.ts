import type Stripe from "stripe";
import type { Dispute, Money } from "../payment.ts";
import type { Provider } from "./provider.ts";
import { declineOf, explained, isOutOfStep, refusalOf, wordFor } from "./stripe-errors.ts";
import { fromStripe, toStripe, Unpayable } from "./stripe-money.ts";
import {
  approvalOf,
  captureField,
  disputesOf,
  isOpen,
  isWhole,
  lost,
  refundOf,
  stands,
  stateOf,
  subject,
  sum,
  takenOf,
} from "./stripe-reading.ts";

type Intent = Stripe.PaymentIntent;

/** Stripe's own limit of a page. */
const mostAtOnce = 100;
const expand = ["latest_charge"];
/** What happens to a payment of ours and is told of as an event; Stripe keeps events for 30 days. */
const happenings = [
  "payment_intent.created",
  "payment_intent.amount_capturable_updated",
  "payment_intent.succeeded",
  "payment_intent.canceled",
  "charge.refunded",
];

/** Stripe has no way to hold money for longer: an authorisation that runs out is gone. */
export type StripeProvider = Required<Omit<Provider, "renew">>;

/**
 * Payments through Stripe: a payment is a PaymentIntent, authorised by its confirmation and captured by hand. The
 * intent is made first, unconfirmed; once its id is on our disk every further call is about that one intent, and its
 * state says what is so. Nothing therefore rests on how long Stripe remembers an idempotency key.
 * @param client Stripe's library
 * @param shop whose payments these are, where several share an account
 */
export function stripeProvider(client: () => Promise<Stripe>, shop: string): StripeProvider {
  /** Runs calls of Stripe's, with errors that say what to do. */
  async function at<T>(work: (stripe: Stripe) => Promise<T>): Promise<T> {
    try {
      return await work(await client());
    } catch (error) {
      throw explained(error);
    }
  }

  const look = (id: string): Promise<Intent> =>
    at((stripe) => stripe.paymentIntents.retrieve(id, { expand }));

  /** The answer to a call, or the intent as it is when the call came too late or was answered before. */
  async function current(
    id: string,
    call: (stripe: Stripe) => Promise<Stripe.Response<Intent>>,
  ): Promise<Intent> {
    try {
      const intent = await at(call);
      // What is repeated is what was so then.
      return isRepeated(intent) ? await look(id) : intent;
    } catch (error) {
      if (isOutOfStep(error)) return look(id);
      throw error;
    }
  }

  /** Lets go of what is left of an intent that was captured in part. */
  const release = (id: string, key: string): Promise<Intent> =>
    current(id, (stripe) =>
      stripe.paymentIntents.capture(
        id,
        { amount_to_capture: 0, final_capture: true },
        { idempotencyKey: key },
      ),
    );

  const refundsOf = (id: string): Promise<Stripe.Refund[]> =>
    at(async (stripe) => {
      const all: Stripe.Refund[] = [];
      for await (const refund of stripe.refunds.list({ payment_intent: id, limit: mostAtOnce }))
        all.push(refund);
      return all.filter(({ status }) => status !== "failed" && status !== "canceled");
    });

  const disputesAbout = async ({ id, latest_charge: charge }: Intent): Promise<Dispute[]> =>
    typeof charge === "object" && charge?.disputed ? at((stripe) => disputesOf(stripe, id)) : [];

  return {
    async open({ key, orderId, amount: asked }) {
      try {
        const intent = await at((stripe) =>
          stripe.paymentIntents.create(
            {
              ...toStripe(asked),
              capture_method: "manual",
              allowed_payment_method_types: ["card"],
              payment_method_options: { card: { request_multicapture: "if_available" } },
              metadata: { orderId, shop },
            },
            { idempotencyKey: key },
          ),
        );
        return { reference: intent.id };
      } catch (error) {
        const refused = error instanceof Unpayable ? "amount_not_payable" : refusalOf(error);
        if (refused !== undefined) return { declined: refused };
        throw error;
      }
    },

    async authorise({ key, reference, token }) {
      const id = named(reference);
      try {
        const intent = await current(id, (stripe) =>
          stripe.paymentIntents.confirm(
            id,
            // The customer is not there to be asked anything: a card that wants to ask is declined.
            { ...methodOf(token), error_on_requires_action: true, expand },
            { idempotencyKey: key },
          ),
        );
        switch (intent.status) {
          case "requires_capture":
          case "succeeded":
            return approvalOf(intent);
          case "canceled":
            return "voided";
          case "requires_payment_method":
            return { declined: declineIn(intent) };
          case "requires_action":
          case "requires_confirmation":
            return { declined: "authentication_required" };
          default:
            throw new Error(`Stripe has not decided yet: ${id} is ${intent.status}`);
        }
      } catch (error) {
        const declined = declineOf(error) ?? refusalOf(error);
        if (declined !== undefined) return { declined };
        throw error;
      }
    },

    async capture({ key, reference, amount: asked, part, final }) {
      const id = named(reference);
      const { amount } = toStripe(asked);
      if (part !== undefined || !final) {
        // The state of what is captured in parts does not say which: each leaves its name.
        const before = await look(id);
        if (has(before, part)) {
          if (final && before.status === "requires_capture") await release(id, `${key}:rest`);
          return "captured";
        }
        if (before.status !== "requires_capture") return { voided: takenOf(before) };
        if (isWhole(before) && !final) return { refused: "partial-capture-unavailable" };
        if (amount > before.amount_capturable) return { refused: "payment-declined" };
      }
      const intent = await current(id, (stripe) =>
        stripe.paymentIntents.capture(
          id,
          {
            amount_to_capture: amount,
            ...(final ? {} : { final_capture: false }),
            ...(part === undefined ? {} : { metadata: { [captureField(part)]: String(amount) } }),
          },
          { idempotencyKey: part === undefined ? key : `${key}:${amount}` },
        ),
      ).catch((error: unknown) => {
        if (part === undefined || declineOf(error) === undefined) throw error;
      });
      if (intent === undefined) return { refused: "payment-declined" };
      if (has(intent, part)) return "captured";
      // Also by Stripe itself, when it was held for longer than the card allows.
      if (intent.status !== "requires_capture") return { voided: takenOf(intent) };
      throw new Error(`Stripe did not capture ${id}: it is ${intent.status}`);
    },

    async void({ key, reference }) {
      const id = named(reference);
      const before = await look(id);
      const partly = before.status === "requires_capture" && before.amount_received > 0;
      const intent = partly
        ? await release(id, key)
        : await current(id, (stripe) => stripe.paymentIntents.cancel(id, {}, { idempotencyKey: key }));
      if (intent.status === "canceled" || intent.status === "succeeded") return takenOf(intent);
      throw new Error(`Stripe did not cancel ${id}: it is ${intent.status}`);
    },

    async refund({ key, reference, amount: asked }) {
      const id = named(reference);
      const before = await refundsOf(id);
      const same = before.find(({ metadata }) => metadata?.key === key);
      if (same) return stands(same);
      const intent = await look(id);
      const disputes = await disputesAbout(intent);
      const wanted = toStripe(asked).amount;
      if (intent.amount_received === 0) throw new Error(`Nothing of ${id} was captured`);
      const left = intent.amount_received - sum(before) - toStripe(lost(disputes, asked.currency)).amount;
      // Somebody gave it back on Stripe's own pages: the customer has it.
      if (left <= 0) return asked.amount;
      const amount = Math.min(wanted, left);
      if (disputes.some(isOpen))
        throw new Error(`A bank has not decided yet about ${id}: no refund before that`);
      const refund = await at((stripe) =>
        stripe.refunds.create(
          {
            payment_intent: id,
            amount,
            metadata: { key, orderId: intent.metadata.orderId ?? "", covers: String(wanted) },
          },
          { idempotencyKey: `${key}:${amount}` },
        ),
      );
      if (refund.status === "failed" || refund.status === "canceled")
        throw new Error(`Stripe could not refund ${id}: ${refund.failure_reason ?? refund.status}`);
      return stands(refund);
    },

    async askedSince(since, { after = "intents:", limit }) {
      const [kind = "", last] = after.split(":");
      const page = {
        created: { gte: Math.floor(since / 1000) },
        limit: Math.min(limit, mostAtOnce),
        ...(last ? { starting_after: last } : {}),
      };
      const found = await at(async (stripe) => {
        if (kind === "intents") {
          const { data, has_more: more } = await stripe.paymentIntents.list(page);
          return { more, last: data.at(-1)?.id, about: data.map(subject) };
        }
        const { data, has_more: more } = await stripe.events.list({ ...page, types: happenings });
        return { more, last: data.at(-1)?.id, about: data.map((event) => subject(event.data.object)) };
      });
      const payments = found.about.flatMap(({ reference, metadata }) =>
        reference && metadata?.orderId && metadata.shop === shop
          ? [{ orderId: metadata.orderId, reference }]
          : [],
      );
      if (found.more) return { payments, after: `${kind}:${found.last}` };
      return kind === "intents" ? { payments, after: "events:" } : { payments };
    },

    async statement(orderId, reference) {
      if (reference === undefined) return undefined;
      const intent = await look(reference);
      if (intent.metadata.orderId !== orderId) return undefined;
      const refunds = intent.amount_received > 0 ? await refundsOf(reference) : [];
      const money = (amount: number): Money => fromStripe(amount, intent.currency);
      const disputes = await disputesAbout(intent);
      // The oldest first, which Stripe lists last.
      refunds.reverse();
      const returned = money(sum(refunds)).amount + lost(disputes, intent.currency).amount;
      return {
        reference,
        total: money(intent.amount),
        state: stateOf(intent),
        captures: takenOf(intent),
        refunds: refunds.flatMap((refund) => {
          const name = refundOf(refund);
          return name ? [{ ...name, amount: stands(refund) }] : [];
        }),
        refunded: Math.min(returned, money(intent.amount_received).amount),
        disputes,
      };
    },

    async orderOf(reference) {
      return (await look(reference)).metadata.orderId;
    },
  };
}

/** With the library's fetch client the headers are fetch's own, whatever its types say. */
function isRepeated({ lastResponse: { headers } }: Stripe.Response<Intent>): boolean {
  return new Headers(headers).get("idempotent-replayed") === "true";
}

/** Whether it has been captured by this name; what is captured at once has none. */
const has = (intent: Intent, part: string | undefined): boolean =>
  takenOf(intent).some(({ key }) => key === part);

/** @throws {Error} for a payment that Stripe was never told of */
function named(reference: string | undefined): string {
  if (reference === undefined) throw new Error("The payment has no PaymentIntent");
  return reference;
}

/** What a client may send as its token; each comes from Stripe's own form, and none is a card. */
function methodOf(token: string): Stripe.PaymentIntentConfirmParams {
  if (token.startsWith("ctoken_")) return { confirmation_token: token };
  return { payment_method: token };
}

const declineIn = ({ last_payment_error: error }: Intent): string =>
  wordFor(error?.decline_code || error?.code);
