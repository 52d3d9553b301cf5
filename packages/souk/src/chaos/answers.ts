/**
 * The clients' log: what was asked of a shop, and what it answered. It is written as it happens, one JSON line each
 * before a request is sent and after it is answered, so that it holds what the shop has promised whatever dies.
 */
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";

/** A request, written before it is sent. */
export interface Asked {
  /** Counts the requests of one log, from 1. */
  n: number;
  /** Milliseconds since the epoch. */
  at: number;
  method: string;
  /** With its query, as sent: `/api/orders`. */
  path: string;
  idempotencyKey?: string;
  /** JSON as sent; of NDJSON the text. */
  body?: unknown;
  /** Who asked: an idempotency key is theirs alone. All guests are `guest`. */
  who: string;
}

/** What became of it. */
export interface Answered {
  n: number;
  /** Milliseconds since the epoch. */
  at: number;
  /** Null when there was no answer, or none that could be read whole. */
  status: number | null;
  /** The answer's JSON. */
  body?: unknown;
}

/** A request and its answer; without `answer` the client died before there was one. */
export interface Exchange {
  asked: Asked;
  answer?: Answered;
}

/** Appends to a log; several may write to one file when each counts from another `first`. */
export class AnswersLog {
  #file: number;
  #n: number;

  constructor(
    readonly path: string,
    first = 1,
  ) {
    this.#file = openSync(path, "a", 0o600);
    this.#n = first;
  }

  /** Notes what is about to be sent. @returns its number */
  asked(request: Omit<Asked, "n" | "at">): number {
    const n = this.#n++;
    this.#write({ asked: { n, at: Date.now(), ...request } satisfies Asked });
    return n;
  }

  /** Notes the answer; `status` null when there was none. */
  answered(n: number, status: number | null, body?: unknown): void {
    this.#write({ answer: { n, at: Date.now(), status, body } satisfies Answered });
  }

  close(): void {
    closeSync(this.#file);
  }

  #write(line: object): void {
    writeSync(this.#file, `${JSON.stringify(line)}\n`);
  }
}

/**
 * The exchanges of a log, in the order they were asked in. A last line that was cut off is left out.
 * @throws {Error} naming the line, when another one cannot be read
 */
export function readAnswers(path: string): Exchange[] {
  const exchanges = new Map<number, Exchange>();
  const lines = readFileSync(path, "utf8").split("\n");
  lines.forEach((text, index) => {
    if (text === "") return;
    let line: { asked?: Asked; answer?: Answered };
    try {
      line = JSON.parse(text);
    } catch (error) {
      if (index === lines.length - 1) return;
      throw new Error(`${path}:${index + 1} cannot be read: ${String(error)}`);
    }
    if (line.asked) exchanges.set(line.asked.n, { asked: line.asked });
    const exchange = line.answer && exchanges.get(line.answer.n);
    if (exchange) exchange.answer = line.answer;
  });
  return [...exchanges.values()];
}
