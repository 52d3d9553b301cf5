/** Log files: JSON lines, one file a process, turned over by size. */
import { chmodSync, closeSync, fstatSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";

export type Level = "debug" | "info" | "warn" | "error";

export interface Line {
  /** RFC 3339. */
  time: string;
  level: Level;
  /** The process that said it: "orders", "orders-sidecar", "redis", "souk"… */
  process: string;
  msg: string;
  [more: string]: unknown;
}

const TURN_AT = 8 * 1024 * 1024;
const KEPT = 2;
/** A disk that took nothing is asked again after this long, not at every line. */
const AGAIN_MS = 500;

/**
 * Appends to `<folder>/<name>.log`; at 8 MiB that becomes `<name>.log.1`, and two of those are kept. A disk that takes
 * nothing loses lines, and how many is written down once it does again; nothing else comes of it.
 */
export class LogFile {
  readonly path: string;
  #fd = -1;
  #size = 0;
  #closed = false;
  #lost = 0;
  #troubled = false;
  #failedAt = -Infinity;
  /** A line was written in part. */
  #torn = false;

  constructor(
    folder: string,
    readonly name: string,
    readonly turnAt = TURN_AT,
    /** Told when lines begin to be lost, and with nothing when they are written again. */
    readonly trouble: (error: Error | undefined) => void = () => {},
  ) {
    this.path = join(folder, `${name}.log`);
    this.#attempt(() => this.#open());
  }

  write(line: Line): void {
    this.#append(`${JSON.stringify(line)}\n`);
  }

  /** Takes a line as a process printed it: JSON of pino or Dapr, or plain text. */
  raw(text: string, from: "stdout" | "stderr"): Line {
    const line = normalise(text, this.name, from);
    this.write(line);
    return line;
  }

  close(): void {
    this.#closed = true;
    this.#attempt(() => this.#shut());
  }

  #shut(): void {
    const fd = this.#fd;
    this.#fd = -1;
    if (fd !== -1) closeSync(fd);
  }

  #open(): void {
    this.#fd = openSync(this.path, "a", 0o600);
    this.#size = fstatSync(this.#fd).size;
  }

  #append(text: string): void {
    if (this.#closed) return;
    const done =
      performance.now() - this.#failedAt >= AGAIN_MS &&
      this.#attempt(() => {
        if (this.#fd === -1) this.#open();
        if (this.#size > 0 && this.#size + text.length > this.turnAt) this.#turn();
        if (this.#torn) this.#put("\n");
        this.#torn = false;
        if (this.#lost > 0) this.#put(`${JSON.stringify(this.#gap())}\n`);
        this.#lost = 0;
        this.#put(text);
      });
    if (!done) this.#lost++;
  }

  #gap(): Line {
    const msg = `${this.#lost} lines are missing here: they could not be written`;
    return { time: new Date().toISOString(), level: "warn", process: this.name, msg };
  }

  /** A disk that becomes full takes a part. */
  #put(text: string): void {
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; ) {
      const written = writeSync(this.#fd, bytes, at);
      at += written;
      this.#size += written;
      this.#torn = at < bytes.length;
    }
  }

  #attempt(work: () => void): boolean {
    const before = this.#troubled;
    try {
      work();
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      this.#failedAt = performance.now();
      this.#troubled = true;
      if (!before) this.trouble(error);
      return false;
    }
    this.#troubled = false;
    if (before) this.trouble(undefined);
    return true;
  }

  #turn(): void {
    this.#shut();
    rmSync(`${this.path}.${KEPT}`, { force: true });
    for (let i = KEPT - 1; i >= 1; i--) moveIfThere(`${this.path}.${i}`, `${this.path}.${i + 1}`);
    moveIfThere(this.path, `${this.path}.1`);
    this.#open();
    chmodSync(this.path, 0o600);
  }
}

function moveIfThere(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}

const pinoLevels: Record<number, Level> = {
  10: "debug",
  20: "debug",
  30: "info",
  40: "warn",
  50: "error",
  60: "error",
};
const words: Record<string, Level> = {
  trace: "debug",
  debug: "debug",
  info: "info",
  warning: "warn",
  warn: "warn",
  error: "error",
  fatal: "error",
  panic: "error",
};

/**
 * Warnings of daprd about what we mean to be so: no actors, no jobs, folders beside the resiliency policies, a mail
 * server on loopback that asks nobody who they are.
 */
const harmless = [
  "A non-YAML resiliency file",
  "Actor runtime disabled",
  "No scheduler host addresses provided",
  "The default value for 'spec.metric.http.increasedCardinality'",
  "smtp binding warn: User and password are empty",
];

/** Brings a printed line into one form; what is not JSON becomes its message. */
export function normalise(text: string, process: string, from: "stdout" | "stderr"): Line {
  const parsed = text.startsWith("{") ? parse(text) : null;
  if (parsed === null) {
    return {
      time: new Date().toISOString(),
      level: from === "stderr" ? "error" : "info",
      process,
      // Colours have no place in a file.
      msg: text.replace(ansi, ""),
    };
  }
  const { time, level, msg = parsed.message, message: _, ...more } = parsed;
  const stamp = typeof time === "number" || typeof time === "string" ? new Date(time) : new Date();
  return {
    time: (Number.isNaN(stamp.getTime()) ? new Date() : stamp).toISOString(),
    level: harmless.some((each) => String(msg).startsWith(each))
      ? "debug"
      : typeof level === "number"
        ? (pinoLevels[level] ?? "info")
        : (words[String(level)] ?? "info"),
    process,
    msg: typeof msg === "string" ? msg : "",
    ...more,
  };
}

const ansi = new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, "g");

/** A line of JSON that is an object, or null. */
export function parse(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/** Cuts a stream of text into lines; `end` gives what is left without a line feed. */
export function lines(each: (line: string) => void): { push(text: string): void; end(): void } {
  let rest = "";
  return {
    push(text) {
      const parts = (rest + text).split("\n");
      rest = parts.pop() ?? "";
      // A process that never ends its line must not fill our memory.
      if (rest.length > 1_000_000) {
        parts.push(rest);
        rest = "";
      }
      for (const part of parts) if (part.trim() !== "") each(part.replace(/\r$/, ""));
    },
    end() {
      if (rest.trim() !== "") each(rest);
      rest = "";
    },
  };
}
