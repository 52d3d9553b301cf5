/** A topic that an app has subscribed to, as it answers `/dapr/subscribe`. */
export interface Subscription {
  topic: string;
  deadLetterTopic?: string;
  metadata?: Record<string, string>;
  bulkSubscribe?: { enabled: boolean; maxMessagesCount: number; maxAwaitDurationMs: number };
}

export interface CloudEvent {
  id: string;
  type: string;
  subject?: string;
  [attribute: string]: unknown;
}

/** The request that daprd makes of one event, or of a batch. */
export function delivery(
  { topic, bulkSubscribe, metadata }: Subscription,
  events: CloudEvent[],
  id: string,
): () => Request {
  const raw = metadata?.rawPayload === "true";
  const inBatch = (event: CloudEvent) =>
    raw ? Buffer.from(JSON.stringify(event)).toString("base64") : event;
  const entries = events.map((event, i) => ({ entryId: String(i), event: inBatch(event) }));
  const body = JSON.stringify(bulkSubscribe?.enabled ? { id, entries } : events[0]);
  const headers = { "content-type": "application/json", "content-length": String(Buffer.byteLength(body)) };
  return () => new Request(`http://app/_events/${topic}`, { method: "POST", headers, body });
}

/** What an app answers of each event. What it does not say, it wants again. */
export function statusesOf(body: string, count: number): string[] {
  try {
    const said = JSON.parse(body) as { status?: string; statuses?: { entryId: string; status: string }[] };
    if (said.statuses) return said.statuses.map(({ status }) => status);
    return new Array<string>(count).fill(typeof said.status === "string" ? said.status : "RETRY");
  } catch {
    return new Array<string>(count).fill("RETRY");
  }
}

export const label = ({ id, type, subject }: CloudEvent): string => `${type} ${subject ?? ""} (${id})`;
