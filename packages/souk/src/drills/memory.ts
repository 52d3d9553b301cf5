import type { Vital } from "../vitals.ts";

/** The memory of every process at the moments of a drill. */
export class Memory {
  readonly #moments = new Map<string, Map<string, number>>();
  readonly #peaks = new Map<string, number>();

  /** Notes a moment by its name. */
  note(moment: string, now: Vital[]): void {
    this.#moments.set(moment, new Map(now.map(({ name, pssMiB }) => [name, pssMiB])));
    this.peak(now);
  }

  /** Notes what is more than ever. */
  peak(now: Vital[]): void {
    for (const { name, pssMiB } of now) {
      this.#peaks.set(name, Math.max(this.#peaks.get(name) ?? 0, pssMiB));
    }
  }

  /** Processes whose peak is more than so many MiB over the first moment. */
  beyond(mib: number): string[] {
    const [first] = this.#moments.values();
    return [...(first ?? [])].flatMap(([name, before]) => {
      const more = (this.#peaks.get(name) ?? 0) - before;
      return more > mib ? [`${name} took ${Math.round(more)} MiB more than before`] : [];
    });
  }

  /** A table: a row a process, a column a moment, and the peak. */
  rows(): string[][] {
    const moments = [...this.#moments];
    const names = [...this.#peaks.keys()];
    const cell = (mib: number | undefined) => (mib === undefined ? "" : mib.toFixed(0));
    return [
      ["memory (PSS, MiB)", ...moments.map(([moment]) => moment), "peak"],
      ...names.map((name) => [
        name,
        ...moments.map(([, by]) => cell(by.get(name))),
        cell(this.#peaks.get(name)),
      ]),
    ];
  }
}
