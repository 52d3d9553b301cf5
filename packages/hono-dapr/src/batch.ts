/** What a bulk subscription is delivered. */
export interface Batch {
  /** The same when daprd delivers the rest of a batch again. */
  id: string;
  /** As they come: see {@link entryOf}. */
  entries: unknown[];
}

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

export interface Entry {
  entryId: unknown;
  event: unknown;
  /** Why it can be no event. */
  wrong?: string;
}

/** An entry. What is none is given up, like what is no event: it must not take the others with it. */
export function entryOf(entry: unknown): Entry {
  if (!isObject(entry)) return { entryId: "", event: entry };
  const { entryId, event } = entry;
  return typeof event === "string" ? { entryId, ...opened(event) } : { entryId, event };
}

/** The text of what daprd passes on as it lies in the broker (`rawPayload`); as it is when it is no base64. */
export function textIn(base64: string): string {
  let binary: string;
  try {
    binary = atob(base64);
  } catch {
    return base64;
  }
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return utf8.decode(bytes);
}

const utf8 = new TextDecoder();

function opened(base64: string): Omit<Entry, "entryId"> {
  const text = textIn(base64);
  try {
    return { event: JSON.parse(text) };
  } catch {
    return { event: { datacontenttype: "text/plain", data: text }, wrong: "It is no JSON" };
  }
}

export const isBatch = (body: unknown): body is Batch =>
  isObject(body) && Array.isArray(body.entries) && body.specversion === undefined;

/** The batches of which something is to be delivered again; the oldest are forgotten. */
export class Retried {
  readonly #ids = new Set<string>();

  has(id: string): boolean {
    return this.#ids.has(id);
  }

  add(id: string): void {
    this.#ids.add(id);
    if (this.#ids.size <= 1000) return;
    for (const oldest of this.#ids) {
      this.#ids.delete(oldest);
      return;
    }
  }
}
