import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { Context } from "hono";
import { fieldErrors } from "./body.ts";
import { Problem } from "./problem.ts";

/** Some lines of a stream, in order: those that hold what they should, and those that do not, with the reason. */
export interface Batch<T> {
  values: { line: number; value: T }[];
  refused: { line: number; detail: string }[];
}

export interface NdjsonOptions {
  /** Most lines a batch: 200. */
  batch?: number;
  /** Most bytes of a line: 256 KiB. A longer one is refused, and the rest goes on. */
  longest?: number;
}

/** A batch ends early when its lines have so many characters together. */
const fullAt = 1024 * 1024;
const newline = 10;

/**
 * Reads a body of newline-delimited JSON while it comes in, each line by the schema. Memory stays within a batch,
 * whatever comes. Lines end with LF or CRLF and are counted from 1; blank ones and a byte order mark are passed over.
 * @throws {Problem} 415 for another media type, 400 when the body breaks off
 */
export async function* ndjson<S extends StandardSchemaV1>(
  c: Context,
  schema: S,
  { batch = 200, longest = 256 * 1024 }: NdjsonOptions = {},
): AsyncGenerator<Batch<StandardSchemaV1.InferOutput<S>>> {
  if (!/^application\/(x-)?ndjson *(;|$)/i.test(c.req.header("content-type") ?? "")) {
    throw new Problem(415, {
      code: "unsupported-media-type",
      detail: "Send application/x-ndjson: one JSON object a line",
    });
  }
  const split = new Lines(longest);
  let current: Batch<StandardSchemaV1.InferOutput<S>> = { values: [], refused: [] };
  let size = 0;
  for await (const piece of received(c.req.raw.body)) {
    for (const line of piece ? split.push(piece) : split.end()) {
      const parsed = "text" in line ? parse(line.text, schema) : line;
      if (parsed === undefined) continue;
      if ("detail" in parsed) current.refused.push({ line: line.number, detail: parsed.detail });
      else current.values.push({ line: line.number, value: parsed.value });
      size += "text" in line ? line.text.length : 0;
      if (current.values.length + current.refused.length < batch && size < fullAt) continue;
      yield current;
      current = { values: [], refused: [] };
      size = 0;
    }
  }
  if (current.values.length + current.refused.length > 0) yield current;
}

type Parsed<T> = { value: T } | { detail: string } | undefined;

function parse<S extends StandardSchemaV1>(text: string, schema: S): Parsed<StandardSchemaV1.InferOutput<S>> {
  if (text.trim() === "") return undefined;
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    return { detail: `is not JSON: ${error instanceof Error ? error.message : error}` };
  }
  const result = schema["~standard"].validate(json);
  if (result instanceof Promise) throw new TypeError("The schema of a line must be synchronous");
  if (!result.issues) return { value: result.value };
  const found = fieldErrors(result.issues.slice(0, 5));
  return {
    detail: found.map(({ pointer, detail }) => (pointer ? `${pointer}: ${detail}` : detail)).join("; "),
  };
}

/** The chunks of a body, and `undefined` at its end. */
async function* received(body: ReadableStream<Uint8Array> | null): AsyncGenerator<Uint8Array | undefined> {
  if (body === null) return;
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await orProblem(reader.read());
      yield value;
      if (done) return;
    }
  } finally {
    reader.releaseLock();
  }
}

async function orProblem<T>(reading: Promise<T>): Promise<T> {
  try {
    return await reading;
  } catch (error) {
    if (error instanceof Problem) throw error;
    throw new Problem(400, {
      code: "body-incomplete",
      detail: "The body broke off; what came before has been taken in",
    });
  }
}

/** A line, counted from 1; one that cannot be read says why. */
type Line = { number: number; text: string } | { number: number; detail: string };

/** Splits bytes into lines, however they are cut into chunks. Empty lines are counted, but not given. */
export class Lines {
  readonly #decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  readonly #longest: number;
  #number = 0;
  #pieces: Uint8Array[] = [];
  #size = 0;

  constructor(longest: number) {
    this.#longest = longest;
  }

  *push(chunk: Uint8Array): Generator<Line> {
    let start = 0;
    for (let at = chunk.indexOf(newline); at >= 0; at = chunk.indexOf(newline, start)) {
      if (at > start) this.#add(chunk.subarray(start, at));
      start = at + 1;
      this.#number += 1;
      if (this.#size > 0) yield this.#take();
    }
    // What is left over is copied: the stream may use its chunk again.
    if (start < chunk.length) this.#add(chunk.slice(start));
  }

  *end(): Generator<Line> {
    this.#number += 1;
    if (this.#size > 0) yield this.#take();
  }

  #add(piece: Uint8Array): void {
    this.#size += piece.length;
    if (this.#size <= this.#longest) this.#pieces.push(piece);
    else this.#pieces = [];
  }

  #take(): Line {
    const number = this.#number;
    const [first] = this.#pieces;
    const bytes = this.#pieces.length === 1 && first ? first : Buffer.concat(this.#pieces);
    const tooLong = this.#size > this.#longest;
    this.#pieces = [];
    this.#size = 0;
    if (tooLong) return { number, detail: `is longer than ${this.#longest} bytes` };
    try {
      const text = this.#decoder.decode(bytes);
      return { number, text: number === 1 && text.startsWith("\ufeff") ? text.slice(1) : text };
    } catch (error) {
      if (error instanceof TypeError) return { number, detail: "is not UTF-8" };
      throw error;
    }
  }
}
