import Stripe from "stripe";

// What an error of Stripe's means for a call (https://docs.stripe.com/error-handling).

/** Why banks decline is theirs to say: of a card that is reported stolen, its holder must not hear it from us. */
const unsaid = new Set([
  "fraudulent",
  "lost_card",
  "merchant_blacklist",
  "pickup_card",
  "restricted_card",
  "security_violation",
  "stolen_card",
]);

/** Stripe works, and does not let us in: nothing will go on before somebody has put that right. */
export class NotLetIn extends Error {}

/** The word for a decline that a customer may read. */
export function wordFor(code: string | null | undefined): string {
  return code && !unsaid.has(code) && /^[a-z0-9_]{1,60}$/.test(code) ? code : "generic_decline";
}

/** The word for a declined card; undefined for any other error. */
export function declineOf(error: unknown): string | undefined {
  if (!(error instanceof Stripe.errors.StripeCardError)) return undefined;
  return wordFor(error.decline_code || error.code);
}

/**
 * Stripe took the call and says no to what it asks for, whoever asks however often: an amount below its least, a
 * payment method that does not exist. Not: a state of the payment that forbids it now.
 */
export function refusalOf(error: unknown): string | undefined {
  if (!(error instanceof Stripe.errors.StripeInvalidRequestError)) return undefined;
  if (error.code === "payment_intent_unexpected_state" || error.code === "lock_timeout") return undefined;
  // What is missing is the payment itself: another account's key, or one for tests.
  if (error.code === "resource_missing" && error.param !== "payment_method") return undefined;
  return wordFor(error.code ?? "invalid_request");
}

/** The state that Stripe has reached is not the one that the call is for, or the call was another one before. */
export const isOutOfStep = (error: unknown): boolean =>
  error instanceof Stripe.errors.StripeIdempotencyError ||
  (error instanceof Stripe.errors.StripeInvalidRequestError &&
    [
      "payment_intent_unexpected_state",
      "charge_already_captured",
      "charge_already_refunded",
      "charge_expired_for_capture",
    ].includes(error.code ?? ""));

/** The error as our log should have it: what Stripe says of a key is replaced by what to do about it. */
export function explained(error: unknown): unknown {
  if (error instanceof Stripe.errors.StripeAuthenticationError)
    return new NotLetIn("Stripe does not know the API key: put a valid one into the secret stripe-api-key");
  if (error instanceof Stripe.errors.StripePermissionError)
    return new NotLetIn(
      "The API key of the secret stripe-api-key may not do this: it needs to write payment intents and refunds, and to read events and disputes",
    );
  return error;
}
