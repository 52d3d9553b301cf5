/** What is under way, so that it can be waited for. */
export class Work {
  readonly #running = new Set<Promise<void>>();
  readonly #failures: Error[] = [];

  /** Keeps track of it; should it fail, `settle` throws that. */
  run(work: Promise<void>): void {
    const running = work
      .catch((error) => {
        this.#failures.push(error instanceof Error ? error : new Error(String(error)));
      })
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  /** Waits until nothing is under way, also of what it set off in turn. */
  async settle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
    const failure = this.#failures.shift();
    if (failure) throw failure;
  }
}
