import type { Change } from "drizzle-outbox";
import type { EventType } from "hono-dapr";
import type { Kit } from "./kit.ts";

/** What a reaction knows of the event besides its data. */
export interface Received<S> extends Kit<S> {
  /** The publisher's id of the event; the same at every delivery. */
  eventId: string;
  /** When it happened, in milliseconds since the epoch. */
  at: number;
}

/** An event from another service, and what follows from it here. */
export interface Reaction<S> {
  type: EventType<unknown>;
  handle(data: unknown, received: Received<S>): Promise<Change | undefined> | Change | undefined;
}

/**
 * Binds an event to what it changes here. The change and the event's id are committed together, so it has its
 * effect once however often it is delivered; `undefined` means that nothing follows. A handler that throws is
 * tried again, and in the end the event goes to the dead letters.
 */
export function react<S, T>(
  type: EventType<T>,
  handle: (data: T, received: Received<S>) => Promise<Change | undefined> | Change | undefined,
): Reaction<S> {
  // The schema of `type` has parsed the data by the time that `handle` sees it.
  return { type, handle: (data, received) => handle(data as T, received) };
}
