import type { Call } from "../calls.ts";
import type { Asked as Taken } from "../captures.ts";
import type { CaptureFailure, Money, Outcome } from "../payment.ts";
import type { Statement } from "../reconcile.ts";

interface Request {
  /** The same whenever the same call is made again: a provider carries it out once and repeats its answer. */
  key: string;
  /** The payment, by the name that both sides know it by. */
  orderId: string;
  /** The provider's own name for it, from {@link Provider.open}. */
  reference?: string;
}

/** One page of the payments that a provider was asked about. */
export interface Asked {
  payments: { orderId: string; reference?: string }[];
  /** Where the next page begins; absent on the last. */
  after?: string;
}

export interface Approval {
  approved: true;
  /** When it runs out, in milliseconds since the epoch; absent where the provider does not say. */
  until?: number;
  /** It can be captured only once. */
  whole?: true;
}

/**
 * Somebody who moves money for the shop. A call that throws is made again later with the same key; `signal` says
 * that nobody waits any longer. The provider may know more of a payment than the shop does, which may have been
 * restored from a backup: each call answers with what is so, whoever brought it about.
 */
export interface Provider {
  /**
   * Makes the payment known to a provider that has names of its own for them; no money moves. The name is on our disk
   * before anything else is asked for: whatever gets lost then, there is one payment that all calls are about.
   */
  open?(
    request: Request & { amount: Money },
    signal: AbortSignal,
  ): Promise<{ reference: string } | { declined: string }>;
  /**
   * Holds money for the shop.
   * @returns `voided` when the payment has been voided, before it was approved or since; a decline may say why, in
   * words that a customer may read
   */
  authorise(
    request: Request & { amount: Money; token: string },
    signal: AbortSignal,
  ): Promise<Approval | "declined" | "voided" | { declined: string }>;
  /**
   * Takes some of what is held. `part` is the name that both sides know this capture by; absent for what is captured
   * at once. With `final` the rest is let go of.
   * @returns `expired` when the authorisation has run out, and may be renewed; when nothing is held any more, all that
   * was taken; `refused` for a part that cannot be had
   */
  capture(
    request: Request & { amount: Money; part?: string; final: boolean },
    signal: AbortSignal,
  ): Promise<"captured" | "expired" | { voided: Taken[] } | { refused: CaptureFailure }>;
  /**
   * Lets go of what is held and not taken. An authorisation that has not been answered yet will never be approved then.
   * @returns all that was taken, and can only be refunded
   */
  void(request: Request, signal: AbortSignal): Promise<Taken[]>;
  /**
   * Holds what is held, and not taken, for longer. A provider without this lets go of it in the end.
   * @returns until when, in milliseconds since the epoch
   */
  renew?(request: Request & { amount: Money }, signal: AbortSignal): Promise<{ until: number } | "declined">;
  /**
   * Gives back some of what was taken.
   * @returns what was given back under this key, in minor units
   */
  refund(request: Request & { amount: Money }, signal: AbortSignal): Promise<number>;
  /**
   * The payments of which something was asked since a time; one may be named more than once.
   * @param since milliseconds since the epoch
   */
  askedSince(since: number, page: { after?: string; limit: number }): Promise<Asked>;
  /** What became of a payment; undefined when this shop never asked for it. */
  statement(orderId: string, reference?: string): Promise<Statement | undefined>;
  /** The order that a payment is for, by the provider's own name; undefined when it is for none. */
  orderOf?(reference: string): Promise<string | undefined>;
}

class TimedOut extends Error {}

/**
 * Makes a call and says what came of it. An authorisation that is not answered in time is voided and counts as
 * declined: nothing is held then.
 * @param timeout milliseconds to wait for each answer
 * @throws whatever the provider throws, and when another call than an authorisation is not answered in time
 */
export async function ask(provider: Provider, call: Call, timeout: number): Promise<Outcome> {
  const { key, orderId, reference } = call;
  switch (call.operation) {
    case "authorise":
      return provider.open && reference === undefined
        ? open(provider.open, call, timeout)
        : authorise(provider, call, timeout);
    case "capture":
      return capture(provider, call, timeout);
    case "void": {
      const taken = await within(timeout, (signal) => provider.void({ key, orderId, reference }, signal));
      return { type: "voided", taken };
    }
    case "renew": {
      const { amount, number } = call;
      const { renew } = provider;
      const answer = renew
        ? await within(timeout, (signal) => renew({ key, orderId, reference, amount }, signal))
        : "declined";
      return answer === "declined"
        ? { type: "not-renewed", number }
        : { type: "renewed", number, until: answer.until };
    }
    case "refund": {
      const { amount, number } = call;
      const given = await within(timeout, (signal) =>
        provider.refund({ key, orderId, reference, amount }, signal),
      );
      return { type: "refunded", number, amount: given };
    }
    default:
      return call satisfies never;
  }
}

type Authorise = Call & { operation: "authorise" };

/** Until the name that is asked for here is on our disk, nothing can be held: whoever gives up has nothing to void. */
async function open(
  ask: NonNullable<Provider["open"]>,
  { orderId, amount, givenUp }: Authorise,
  timeout: number,
): Promise<Outcome> {
  if (givenUp) return { type: "declined", reason: "timed-out" };
  const answer = await within(timeout, (signal) =>
    ask({ key: `${orderId}:open`, orderId, amount }, signal),
  ).catch(late);
  if (answer === "late") return { type: "declined", reason: "timed-out" };
  if ("declined" in answer) return { type: "declined", reason: "payment-declined", why: answer.declined };
  return { type: "opened", reference: answer.reference };
}

async function authorise(provider: Provider, call: Authorise, timeout: number): Promise<Outcome> {
  const { key, orderId, reference, amount, token, givenUp } = call;
  const answer =
    // What has a name can be let go of without being asked for first.
    givenUp && reference !== undefined
      ? "late"
      : await within(timeout, (signal) =>
          provider.authorise({ key, orderId, reference, amount, token }, signal),
        ).catch(late);
  if (answer === "declined") return { type: "declined", reason: "payment-declined" };
  if (typeof answer === "object") {
    if ("declined" in answer) return { type: "declined", reason: "payment-declined", why: answer.declined };
    const { until, whole } = answer;
    return {
      type: "authorised",
      ...(until === undefined ? {} : { until }),
      ...(whole === undefined ? {} : { whole }),
    };
  }
  const taken = await within(timeout, (signal) =>
    provider.void({ key: `${orderId}:void`, orderId, reference }, signal),
  );
  return taken.length > 0 ? { type: "authorised" } : { type: "declined", reason: "timed-out" };
}

async function capture(
  provider: Provider,
  { key, orderId, reference, amount, part, final, renewals }: Call & { operation: "capture" },
  timeout: number,
): Promise<Outcome> {
  const named = part === undefined ? {} : { key: part };
  const answer = await within(timeout, (signal) =>
    provider.capture({ key, orderId, reference, amount, part, final }, signal),
  );
  if (answer === "captured") return { type: "captured", ...named };
  if (answer === "expired") return { type: "ran-out", renewals, ...named };
  if ("voided" in answer) return { type: "voided", taken: answer.voided };
  if (part === undefined) throw new Error(`The provider did not capture ${orderId}: ${answer.refused}`);
  return { type: "capture-refused", key: part, reason: answer.refused };
}

function late(error: unknown): "late" {
  if (error instanceof TimedOut) return "late";
  throw error;
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
