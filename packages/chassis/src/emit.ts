import type { NewEvent, StoredEvent } from "drizzle-outbox";
import type { EventType, PublishableEvent } from "hono-dapr";

/**
 * An event to be committed with a change.
 * @param key id of the aggregate it is about: events of one key go out in order
 */
export function emit<T, I>(type: EventType<T, I>, key: string, data: I): NewEvent {
  return { topic: type.topic, type: type.type, key, data };
}

/** The CloudEvent (1.0) of a row in the outbox. */
export function cloudEvent(
  { id, type, key, time, data, headers }: StoredEvent,
  source: string,
): PublishableEvent {
  return {
    specversion: "1.0",
    id,
    source,
    type,
    subject: key,
    time,
    datacontenttype: "application/json",
    data,
    ...headers,
  };
}
