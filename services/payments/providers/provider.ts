import type { Call } from "../calls.ts";
import type { Money, Outcome } from "../payment.ts";

interface Request {
  /** The same whenever the same call is made again: a provider carries it out once and repeats its answer. */
  key: string;
  /** The payment, by the name that both sides know it by. */
  orderId: string;
}

/**
 * Somebody who moves money for the shop. A call that throws is made again later with the same key; `signal` says
 * that nobody waits any longer.
 */
export interface Provider {
  /**
   * Holds money for the shop.
   * @returns `voided` when the payment was voided before it was approved
   */
  authorise(
    request: Request & { amount: Money; token: string },
    signal: AbortSignal,
  ): Promise<"approved" | "declined" | "voided">;
  /** Takes what is held. */
  capture(request: Request & { amount: Money }, signal: AbortSignal): Promise<"captured">;
  /** Lets go of what is held. An authorisation that has not been answered yet will never be approved then. */
  void(request: Request, signal: AbortSignal): Promise<"voided">;
  /** Gives back some of what was taken. */
  refund(request: Request & { amount: Money }, signal: AbortSignal): Promise<"refunded">;
}

class TimedOut extends Error {}

/**
 * Makes a call and says what came of it. An authorisation that is not answered in time is voided and counts as
 * declined: nothing is held then.
 * @param timeout milliseconds to wait for each answer
 * @throws whatever the provider throws, and when another call than an authorisation is not answered in time
 */
export async function ask(provider: Provider, call: Call, timeout: number): Promise<Outcome> {
  const { key, orderId } = call;
  switch (call.operation) {
    case "authorise": {
      const { amount, token } = call;
      const answer = await within(timeout, (signal) =>
        provider.authorise({ key, orderId, amount, token }, signal),
      ).catch((error: unknown) => {
        if (error instanceof TimedOut) return "late" as const;
        throw error;
      });
      if (answer === "approved") return { type: "authorised" };
      if (answer === "declined") return { type: "declined", reason: "payment-declined" };
      await within(timeout, (signal) => provider.void({ key: `${orderId}:void`, orderId }, signal));
      return { type: "declined", reason: "timed-out" };
    }
    case "capture":
      return {
        type: await within(timeout, (signal) =>
          provider.capture({ key, orderId, amount: call.amount }, signal),
        ),
      };
    case "void":
      return { type: await within(timeout, (signal) => provider.void({ key, orderId }, signal)) };
    case "refund": {
      const { amount, number } = call;
      const type = await within(timeout, (signal) => provider.refund({ key, orderId, amount }, signal));
      return { type, number };
    }
    default:
      return call satisfies never;
  }
}

async function within<T>(ms: number, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const abort = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new TimedOut(`The provider did not answer within ${ms} ms`));
      abort.abort();
    }, ms);
  });
  try {
    return await Promise.race([call(abort.signal), late]);
  } finally {
    clearTimeout(timer);
  }
}
