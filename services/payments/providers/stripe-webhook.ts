import Stripe from "stripe";

/** Seconds for which a signature holds: who repeats a message later is not heard. */
const tolerance = 300;

/** What may have changed money of ours. Everything else is taken and left alone. */
const heard = new Set([
  "payment_intent.succeeded",
  "payment_intent.canceled",
  "payment_intent.payment_failed",
  "charge.refunded",
  "charge.refund.updated",
  "refund.updated",
  "refund.failed",
  "charge.dispute.created",
  "charge.dispute.updated",
  "charge.dispute.closed",
  "charge.dispute.funds_withdrawn",
  "charge.dispute.funds_reinstated",
]);

/** A message of Stripe's whose signature holds. */
export interface Told {
  /** The same however often it is sent. */
  id: string;
  type: string;
  /** The PaymentIntent to be looked at; absent where the message is none of our business. */
  reference?: string;
}

/** Nobody who knows our secret has signed this, or it is too old. */
export class BadSignature extends Error {}

/**
 * Reads a webhook, and believes nothing of it but that there is something to look at.
 * @param raw the very bytes that came
 * @param signature the header `Stripe-Signature`
 * @param secrets while a secret is being replaced, the old one and the new
 * @param now milliseconds since the epoch
 * @throws {BadSignature}
 */
export async function readWebhook(
  raw: Uint8Array,
  signature: string | undefined,
  secrets: string[],
  now: number,
): Promise<Told> {
  let event: Stripe.Event | undefined;
  let why: unknown;
  for (const secret of secrets) {
    try {
      event = await Stripe.webhooks.constructEventAsync(
        raw,
        signature ?? "",
        secret,
        tolerance,
        undefined,
        now,
      );
      break;
    } catch (error) {
      why = error;
    }
  }
  if (event === undefined) throw new BadSignature("no signature of ours holds for this", { cause: why });
  const { id, type } = event;
  if (typeof id !== "string" || typeof type !== "string")
    throw new BadSignature("this is no event of Stripe's");
  // What happens on accounts that are connected to ours is not our money.
  if (!heard.has(type) || event.account) return { id, type };
  const reference = intentOf(event.data?.object);
  return reference === undefined ? { id, type } : { id, type, reference };
}

/** The secrets of `stripe-webhook-secret`: one, or several with spaces or commas between. */
export const secretsIn = (text: string): string[] => text.split(/[\s,]+/).filter(Boolean);

function intentOf(object: unknown): string | undefined {
  const { object: kind, id, payment_intent: of } = (object ?? {}) as Record<string, unknown>;
  const name = kind === "payment_intent" ? id : ((of as { id?: unknown } | null)?.id ?? of);
  return typeof name === "string" && /^pi_\w{1,100}$/.test(name) ? name : undefined;
}
