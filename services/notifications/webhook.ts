import type { Rejection } from "chassis";
import type { EventName } from "./contracts.ts";

/** The scope that whoever wants to be told of an event must hold. */
export const scopeOf: Record<EventName, string> = {
  "order.confirmed": "orders:manage",
  "order.rejected": "orders:manage",
  "order.cancelled": "orders:manage",
  "order.lines-cancelled": "orders:manage",
  "order.shipped": "orders:manage",
  "order.delivered": "orders:manage",
  "order.return-received": "orders:manage",
  "order.returned": "orders:manage",
  "payment.captured": "payments:manage",
  "payment.capture-failed": "payments:manage",
  "payment.expired": "payments:manage",
  "payment.declined": "payments:manage",
  "payment.voided": "payments:manage",
  "payment.refunded": "payments:manage",
};

/** A signing secret, sealed; with a time (ms) after which it signs no more. */
export interface Secret {
  sealed: string;
  until: number | null;
}

export interface Webhook {
  id: string;
  /** The client or user whom it belongs to. */
  owner: string;
  url: string;
  events: EventName[];
  status: "enabled" | "disabled";
  /** Why it is disabled, where it was not its owner who did it. */
  reason: string | null;
  /** Since when nothing has been delivered though it was tried (ms). */
  failingSince: number | null;
  /** Newest first. */
  secrets: Secret[];
  version: number;
  createdAt: number;
}

/** One try: an HTTP status where there was an answer, else what went wrong. */
export interface Attempt {
  at: number;
  /** How long it took. */
  ms: number;
  status?: number;
  error?: string;
}

export interface Delivery {
  id: string;
  webhookId: string;
  eventId: string;
  type: EventName;
  /** What is sent, to the byte: it is signed. */
  payload: string;
  status: "pending" | "delivered" | "failed";
  attempts: Attempt[];
  /** When it is tried next (ms). */
  nextAt: number | null;
  createdAt: number;
}

/** How often something is tried, and when a webhook is given up. All in milliseconds. */
export interface Policy {
  /** What is waited after the first failure, the second, and so on. */
  waits: number[];
  disableAfter: number;
}

const minute = 60_000;
const hour = 60 * minute;

/** As Standard Webhooks recommends it: ten tries in three days. */
export const usualPolicy: Policy = {
  waits: [5_000, 5 * minute, 30 * minute, 2 * hour, 5 * hour, 10 * hour, 14 * hour, 20 * hour, 24 * hour],
  disableAfter: 5 * 24 * hour,
};

/** An old secret goes on signing for so long beside the new one. */
const bothHoldFor = 24 * hour;
/** Of one delivery so many tries are kept. */
const attemptsKept = 50;

/** Refuses events that the caller may not see. */
export function refusedEvents(events: EventName[], scopes: ReadonlySet<string>): Rejection | undefined {
  const errors = events.flatMap((event, at) =>
    scopes.has(scopeOf[event])
      ? []
      : [{ pointer: `/events/${at}`, detail: `${event} needs the scope ${scopeOf[event]}` }],
  );
  return errors.length === 0
    ? undefined
    : {
        rejected: "events-not-allowed",
        detail: "The token does not allow to see all of these events",
        errors,
      };
}

/** The secrets after a new one was made: the one before holds for another day, older ones no more. */
export function rotated(secrets: Secret[], sealed: string, at: number): Secret[] {
  const [newest] = secrets;
  const before = newest ? [{ sealed: newest.sealed, until: at + bothHoldFor }] : [];
  return [{ sealed, until: null }, ...before];
}

/** The secrets that sign at this time, newest first. */
export const signing = (secrets: Secret[], at: number): Secret[] =>
  secrets.filter(({ until }) => until === null || until > at);

/** What a try has led to. */
export interface Outcome {
  delivery: Pick<Delivery, "status" | "attempts" | "nextAt">;
  /** `well`: nothing is wrong with the webhook any more. `failing`: it is, from then on at the latest. */
  webhook: { is: "well" } | { is: "failing" } | { is: "disabled"; reason: string };
}

/**
 * What follows from a try.
 * @param spread 0 to 1: moves the next try a little, so that not all come back at the same moment
 */
export function tried(
  { attempts: before }: Pick<Delivery, "attempts">,
  { failingSince }: Pick<Webhook, "failingSince">,
  attempt: Attempt,
  { policy, spread }: { policy: Policy; spread: number },
): Outcome {
  const attempts = [...before, attempt].slice(-attemptsKept);
  if (attempt.status !== undefined && attempt.status >= 200 && attempt.status < 300) {
    return { delivery: { status: "delivered", attempts, nextAt: null }, webhook: { is: "well" } };
  }
  if (attempt.status === 410) {
    const reason = "Its address answered 410: it wants no more events";
    return { delivery: { status: "failed", attempts, nextAt: null }, webhook: { is: "disabled", reason } };
  }
  const wait = policy.waits[before.length];
  const nextAt = wait === undefined ? null : Math.round(attempt.at + wait * (1 + spread / 10));
  const delivery = { status: nextAt === null ? ("failed" as const) : ("pending" as const), attempts, nextAt };
  const since = failingSince ?? attempt.at;
  if (attempt.at - since < policy.disableAfter) return { delivery, webhook: { is: "failing" } };
  const reason = `Nothing could be delivered since ${new Date(since).toISOString()}; the last try: ${saidOf(attempt)}`;
  return { delivery: { ...delivery, status: "failed", nextAt: null }, webhook: { is: "disabled", reason } };
}

const saidOf = ({ status, error }: Attempt): string => error ?? `it answered ${status}`;

/** Tries it once more, from the beginning of the schedule. */
export function again(
  delivery: Delivery,
  webhook: Pick<Webhook, "status">,
): { delivery: Pick<Delivery, "status" | "nextAt"> } | Rejection {
  if (webhook.status === "disabled") {
    return { rejected: "webhook-disabled", detail: "The webhook is disabled: enable it first" };
  }
  if (delivery.status === "pending" && delivery.attempts.length === 0) {
    return { rejected: "not-tried-yet", detail: "It has not been tried yet: it is about to be" };
  }
  return { delivery: { status: "pending", nextAt: null } };
}
