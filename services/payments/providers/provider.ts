import type { Call } from "../calls.ts";
import type { Money, Outcome } from "../payment.ts";
import type { Statement } from "../reconcile.ts";

interface Request {
  /** The same whenever the same call is made again: a provider carries it out once and repeats its answer. */
  key: string;
  /** The payment, by the name that both sides know it by. */
  orderId: string;
}

/**
 * Somebody who moves money for the shop. A call that throws is made again later with the same key; `signal` says
 * that nobody waits any longer. The provider may know more of a payment than the shop does, which may have been
 * restored from a backup: each call answers with what is so, whoever brought it about.
 */
export interface Provider {
  /**
   * Holds money for the shop.
   * @returns `voided` when the payment has been voided, before it was approved or since
   */
  authorise(
    request: Request & { amount: Money; token: string },
    signal: AbortSignal,
  ): Promise<"approved" | "declined" | "voided">;
  /**
   * Takes what is held.
   * @returns `voided` when it has been let go of
   */
  capture(request: Request & { amount: Money }, signal: AbortSignal): Promise<"captured" | "voided">;
  /**
   * Lets go of what is held. An authorisation that has not been answered yet will never be approved then.
   * @returns `captured` when it has been taken, and can only be refunded
   */
  void(request: Request, signal: AbortSignal): Promise<"voided" | "captured">;
  /**
   * Gives back some of what was taken.
   * @returns what was given back under this key, in minor units
   */
  refund(request: Request & { amount: Money }, signal: AbortSignal): Promise<number>;
  /**
   * The payments of which something was asked since a time, by their names.
   * @param since milliseconds since the epoch
   */
  askedSince(since: number, page: { after?: string; limit: number }): Promise<string[]>;
  /** What became of a payment; undefined when it was never asked for. */
  statement(orderId: string): Promise<Statement | undefined>;
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
      const end = await within(timeout, (signal) =>
        provider.void({ key: `${orderId}:void`, orderId }, signal),
      );
      return end === "captured" ? { type: "authorised" } : { type: "declined", reason: "timed-out" };
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
      const given = await within(timeout, (signal) => provider.refund({ key, orderId, amount }, signal));
      return { type: "refunded", number, amount: given };
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
