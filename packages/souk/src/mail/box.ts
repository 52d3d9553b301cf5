/** The mails that were caught: files of a folder, the newest kept. */
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import PostalMime, { type Address, type Email } from "postal-mime";
import { writePrivate } from "../home.ts";

/** One mail, as the list shows it. */
export interface Summary {
  id: string;
  /** RFC 3339: when it came. */
  at: string;
  from: string;
  to: string;
  subject: string;
}

/** One mail, read. */
export interface Caught extends Summary {
  text: string;
  html: string;
  headers: { name: string; value: string }[];
}

export interface Bounds {
  mails: number;
  bytes: number;
}

/** What a folder may hold; more makes the oldest go. */
const usual: Bounds = { mails: 500, bytes: 32 * 1024 * 1024 };

export class Box {
  readonly #folder: string;
  readonly #bounds: Bounds;
  #kept: { name: string; bytes: number; summary?: Summary }[];
  #last = 0;

  constructor(folder: string, bounds = usual) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    this.#folder = folder;
    this.#bounds = bounds;
    this.#kept = readdirSync(folder)
      .filter((name) => /^\d+\.eml$/.test(name))
      .sort()
      .map((name) => ({ name, bytes: statSync(join(folder, name)).size }));
    this.#last = Number(this.#kept.at(-1)?.name.slice(0, -4) ?? 0);
  }

  /** Keeps a mail, on disk when it returns. @param source as it came (RFC 5322) */
  add(source: Buffer): void {
    // By time, and by turn within a millisecond; sixteen digits sort as text.
    this.#last = Math.max(this.#last + 1, Date.now() * 1_000);
    const name = `${String(this.#last).padStart(16, "0")}.eml`;
    writePrivate(join(this.#folder, name), source);
    this.#kept.push({ name, bytes: source.length });
    let bytes = this.#kept.reduce((sum, each) => sum + each.bytes, 0);
    while (this.#kept.length > this.#bounds.mails || (bytes > this.#bounds.bytes && this.#kept.length > 1)) {
      const oldest = this.#kept.shift();
      if (!oldest) break;
      bytes -= oldest.bytes;
      rmSync(join(this.#folder, oldest.name), { force: true });
    }
  }

  /** Newest first. */
  async list(): Promise<Summary[]> {
    const all: Summary[] = [];
    for (const each of this.#kept.toReversed()) {
      each.summary ??= summaryOf(each.name, await parse(this.#read(each.name)));
      all.push(each.summary);
    }
    return all;
  }

  async read(id: string): Promise<Caught | undefined> {
    const source = this.source(id);
    if (source === undefined) return undefined;
    const email = await parse(source);
    return {
      ...summaryOf(`${id}.eml`, email),
      text: email.text ?? "",
      html: email.html ?? "",
      headers: email.headers.map(({ originalKey, value }) => ({ name: originalKey, value })),
    };
  }

  /** A mail as it came. */
  source(id: string): Buffer | undefined {
    const name = `${id}.eml`;
    return this.#kept.some((each) => each.name === name) ? this.#read(name) : undefined;
  }

  #read(name: string): Buffer {
    return readFileSync(join(this.#folder, name));
  }
}

const parse = (source: Buffer): Promise<Email> => PostalMime.parse(source);

function summaryOf(name: string, { from, to = [], subject = "" }: Email): Summary {
  const id = name.slice(0, -4);
  return {
    id,
    at: new Date(Math.floor(Number(id) / 1_000)).toISOString(),
    from: from ? written(from) : "",
    to: to.map(written).join(", "),
    subject,
  };
}

const written = ({ name, address }: Address): string =>
  address === undefined ? name : name ? `${name} <${address}>` : address;
