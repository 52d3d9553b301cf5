import type { Change } from "drizzle-outbox";
import type { Dropped, EventType } from "hono-dapr";
import type { Kit } from "./kit.ts";

/** What a reaction knows of the event besides its data. */
export interface Received<S> extends Kit<S> {
  /** The publisher's id of the event; the same at every delivery. */
  eventId: string;
  /** When it happened, in milliseconds since the epoch. */
  at: number;
}

/** A type of event that has moved to another topic. */
interface Moved<T> extends EventType<T> {
  formerly: string;
}

/**
 * Declares that earlier versions of its publisher send an event to another topic: it is read from both, so that nothing
 * is lost that is still on its way, and old and new versions run side by side.
 */
export const formerly = <T>(topic: string, type: EventType<T>): Moved<T> => ({ ...type, formerly: topic });

/** A reaction, and the same to what comes from the topic of before. */
export const everywhere = <S>(reaction: Reaction<S>): Reaction<S>[] => {
  const { type } = reaction;
  return "formerly" in type
    ? [reaction, { ...reaction, type: { ...type, topic: String(type.formerly) } }]
    : [reaction];
};

/**
 * The event is ahead of another one that it follows from, as may be where they come by several topics. Thrown by a
 * reaction, it is tried again like anything that failed, and in the end a dead letter; but it is no error of anybody's,
 * and is neither counted nor logged as one.
 */
export class TooEarly extends Error {
  override name = "TooEarly";
}

/** Sends the event to the dead letters at once, with the reason: what contradicts what is known for good never becomes true. */
export { type Dropped, drop } from "hono-dapr";

/** What a reaction comes to: a change to commit, nothing, or `drop("why")`. */
type Outcome = Change | Dropped | undefined;

/** An event from another service, and what follows from it here. */
export interface Reaction<S> {
  type: EventType<unknown>;
  handle(data: unknown, received: Received<S>): Promise<Outcome> | Outcome;
}

/**
 * Binds an event to what it changes here. The change and the event's id are committed together, so it has its
 * effect once however often it is delivered; `undefined` means that nothing follows. A handler that throws is
 * tried again, and in the end the event goes to the dead letters; with `drop("why")` it goes there at once.
 */
export function react<S, T>(
  type: EventType<T>,
  handle: (data: T, received: Received<S>) => Promise<Outcome> | Outcome,
): Reaction<S> {
  // The schema of `type` has parsed the data by the time that `handle` sees it.
  return { type, handle: (data, received) => handle(data as T, received) };
}
