import { gzipSync } from "node:zlib";
import type { Ask, How } from "./request.ts";

/** Longer than any answer may take, in milliseconds. */
export const patience = 10_000;

/** What came back. */
export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  /** Milliseconds until all of it was there. */
  ms: number;
}

/** A request with every mark filled in, as it goes out. */
export interface Sent {
  method: string;
  /** With the query. */
  path: string;
  headers: [string, string][];
  as: Ask["as"];
  body?: Uint8Array<ArrayBuffer>;
  /** Sent in pieces, without saying how much it is. */
  chunked: boolean;
}

/** Something that answers requests: a service in this process, or a whole shop. */
export interface Target {
  /** What stands in front of the paths of the contract. */
  prefix(path: string): string;
  /** Ids that it knows, by the name of their mark. */
  book: Record<string, string[]>;
  send(sent: Sent): Promise<Answer>;
}

/** Values that marks stand for within one case. */
export interface Memory {
  /** The first ETag that was seen. */
  stale?: string;
}

const mark = /\{\{([a-zA-Z]+)(?::(\d+))?\}\}/g;
const plain = (text: string): string => text;
const inJson = (text: string): string => JSON.stringify(text).slice(1, -1);

/** Fills in the marks of a request, asking the target where it has to. */
export async function prepare(ask: Ask, target: Target, memory: Memory): Promise<Sent> {
  const bare = fill(ask.path, target, encodeURIComponent);
  const base = { method: "GET", headers: [], as: ask.as, chunked: false };
  const looked: Record<string, string> = { stale: memory.stale ?? '"0"', new: crypto.randomUUID() };
  const whole = JSON.stringify([ask.query, ask.headers]);
  if (whole.includes("{{etag}}")) {
    const { headers } = await target.send({ ...base, path: target.prefix(bare) });
    looked.etag = headers.get("etag") ?? '"0"';
    memory.stale ??= looked.etag;
  }
  if (whole.includes("{{cursor}}")) {
    const { text } = await target.send({ ...base, path: `${target.prefix(bare)}?limit=1` });
    looked.cursor = /"nextCursor":"([^"]+)"/.exec(text)?.[1] ?? "";
  }
  const filled = (text: string, encode = plain): string => fill(text, target, encode, looked);
  const asked = ask.query.filter(([, value]) => value !== "{{cursor}}" || looked.cursor !== "");
  const query = asked.map(([name, value]) => `${component(name)}=${component(filled(value))}`).join("&");
  const headers = ask.headers.map(([name, value]): [string, string] => [name, filled(value)]);
  const how = ask.body?.how ?? [];
  return {
    method: ask.method,
    path: target.prefix(bare) + (query === "" ? "" : `?${query}`),
    headers: how.includes("gzip") ? [...headers, ["content-encoding", "gzip"]] : headers,
    as: ask.as,
    chunked: how.includes("chunked"),
    ...(ask.body ? { body: bytes(filled(ask.body.text, inJson), how) } : {}),
  };
}

const component = (text: string): string => encodeURIComponent(text.toWellFormed());

/** A text with its marks filled in; one that stands for nothing is left as it is. */
export function fill(
  text: string,
  { book }: Pick<Target, "book">,
  encode: (text: string) => string,
  looked: Record<string, string> = {},
): string {
  return text.replace(mark, (whole, name: string, at?: string) => {
    if (name === "new") return crypto.randomUUID();
    const list = book[name];
    const value = at === undefined ? looked[name] : list?.[Number(at) % list.length];
    return value === undefined ? whole : encode(value);
  });
}

function bytes(text: string, how: How[]): Uint8Array<ArrayBuffer> {
  let made = Buffer.from(
    text,
    how.includes("utf-16") ? "utf16le" : how.includes("latin-1") ? "latin1" : "utf8",
  );
  if (how.includes("bom")) made = Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), made]);
  if (how.includes("twice")) made = Buffer.concat([made, made]);
  if (how.includes("cut")) made = made.subarray(0, Math.floor(made.length / 2));
  return new Uint8Array(how.includes("gzip") ? gzipSync(made) : made);
}

/** The command that sends it again. */
export function curl({ method, path, headers, as, body, chunked }: Sent, base = "$SHOP"): string {
  const quoted = (text: string): string =>
    /^[ -&(-~]*$/.test(text)
      ? `'${text}'`
      : `$'${[...Buffer.from(text)].map((byte) => (byte >= 32 && byte < 127 && byte !== 39 && byte !== 92 ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, "0")}`)).join("")}'`;
  const parts = ["curl -i --path-as-is -X", method, `"${base}"${quoted(path)}`];
  if (as !== "guest") parts.push(`-H "authorization: Bearer $TOKEN"`);
  for (const [name, value] of headers)
    parts.push("-H", quoted(value === "" ? `${name};` : `${name}: ${short(value)}`));
  if (chunked) parts.push("-H 'transfer-encoding: chunked'");
  if (body && body.length <= 4_000) {
    const text = new TextDecoder().decode(body);
    const binary = text.includes("\ufffd") || text.includes("\u0000");
    parts.push(
      binary
        ? `--data-binary @<(base64 -d <<< ${Buffer.from(body).toString("base64")})`
        : `--data-binary ${quoted(text)}`,
    );
  } else if (body)
    parts.push(`--data-binary '${Buffer.from(body.subarray(0, 200)).toString()}… (${body.length} bytes)'`);
  return parts.join(" ");
}

const short = (text: string): string =>
  text.length > 300 ? `${text.slice(0, 300)}… (${text.length} characters)` : text;
