/** What a bulk subscription is delivered. */
export interface Batch {
  /** The same when daprd delivers the rest of a batch again. */
  id: string;
  /** As they come: see {@link entryOf}. */
  entries: unknown[];
}

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** An entry's id and event. What is no entry is given up, like what is no event: it must not take the others with it. */
export const entryOf = (entry: unknown): { entryId: unknown; event: unknown } =>
  isObject(entry) ? { entryId: entry.entryId, event: entry.event } : { entryId: "", event: entry };

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
