/** A progress bar on standard error: drawn in place on a terminal, a line every few seconds elsewhere. */
export class Progress {
  #done = 0;
  #drawn = 0;
  #note = "";
  readonly #started = performance.now();
  readonly #terminal = process.stderr.isTTY === true;

  constructor(
    private readonly label: string,
    private readonly total: number,
    private readonly unit: string,
  ) {}

  step(by = 1): void {
    this.#done += by;
    const now = performance.now();
    if (now - this.#drawn < (this.#terminal ? 100 : 3_000) && this.#done < this.total) return;
    this.#draw(now);
  }

  /** Says beside the bar what happens now; without a terminal on a line of its own. */
  note(text: string): void {
    this.#note = text;
    if (this.#terminal) this.#draw(performance.now());
    else process.stderr.write(`  ${text}\n`);
  }

  #draw(now: number): void {
    this.#drawn = now;
    process.stderr.write(this.#terminal ? `\r\x1b[K${this.#line()}` : `${this.#line()}\n`);
  }

  end(): void {
    this.#note = "";
    if (this.#terminal) process.stderr.write(`\r\x1b[K${this.#line()}\n`);
  }

  #line(): string {
    const share = this.total === 0 ? 1 : Math.min(1, this.#done / this.total);
    const filled = Math.round(share * 24);
    const rate = this.#done / Math.max(0.001, (performance.now() - this.#started) / 1000);
    const bar = "█".repeat(filled) + "░".repeat(24 - filled);
    return `${this.label} ${bar} ${this.#done}/${this.total} ${this.unit} · ${rate.toFixed(rate < 10 ? 1 : 0)}/s${this.#note && this.#terminal ? ` · ${this.#note}` : ""}`;
  }
}
