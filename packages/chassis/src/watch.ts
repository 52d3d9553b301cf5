const every = 100;
const mostAtOnce = 500;

interface Waiter {
  id: string;
  version: number;
  wake(): void;
  fail(error: unknown): void;
}

/**
 * Notices changes by looking at versions, for all who wait in one question: that sees what other replicas commit as
 * well, and costs the same however many follow the same thing. Nobody waits: nothing is asked.
 */
export class Watch {
  readonly #versions: (ids: string[]) => Promise<ReadonlyMap<string, number>>;
  readonly #waiting = new Set<Waiter>();
  #looking = false;

  constructor(versions: (ids: string[]) => Promise<ReadonlyMap<string, number>>) {
    this.#versions = versions;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * Resolves when the thing has another version than that, or is gone, or the signal is aborted.
   * @throws what reading the versions throws
   */
  async changed(id: string, version: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    let waiter: Waiter | undefined;
    let stop = (): void => {};
    try {
      await new Promise<void>((wake, fail) => {
        waiter = { id, version, wake, fail };
        stop = wake;
        signal.addEventListener("abort", stop, { once: true });
        this.#waiting.add(waiter);
        if (!this.#looking) void this.#look();
      });
    } finally {
      signal.removeEventListener("abort", stop);
      if (waiter) this.#waiting.delete(waiter);
    }
  }

  async #look(): Promise<void> {
    this.#looking = true;
    while (this.#waiting.size > 0) {
      await new Promise((resolve) => setTimeout(resolve, every));
      const waiting = [...this.#waiting];
      const ids = [...new Set(waiting.map(({ id }) => id))];
      for (let at = 0; at < ids.length; at += mostAtOnce) {
        const some = new Set(ids.slice(at, at + mostAtOnce));
        const theirs = waiting.filter(({ id }) => some.has(id));
        try {
          const versions = await this.#versions([...some]);
          for (const { id, version, wake } of theirs) if (versions.get(id) !== version) wake();
        } catch (error) {
          for (const { fail } of theirs) fail(error);
        }
      }
    }
    this.#looking = false;
  }
}
