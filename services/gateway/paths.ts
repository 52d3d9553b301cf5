import { Problem } from "chassis";

/** A path as it came, and its last segment, decoded. */
export interface Asked {
  /** Percent-encoding as it came; query included, fragment not. */
  target: string;
  last: string;
}

/**
 * Takes the path from a request's URL and refuses what could mean one thing here and another further on: segments
 * that hide a `..` or a control character, however often they are encoded, and what is no percent-encoding at all.
 * @throws {Problem} 400
 */
export function asked(url: string): Asked {
  const start = url.indexOf("/", url.indexOf("://") + 3);
  const hash = url.indexOf("#", start);
  const target = hash < 0 ? url.slice(start) : url.slice(start, hash);
  const query = target.indexOf("?");
  const path = query < 0 ? target : target.slice(0, query);
  const last = path.slice(path.lastIndexOf("/") + 1);
  // A path without escapes was resolved when the URL was read: there is no `..` left in it.
  if (!path.includes("%")) return { target, last };
  const segments = path.split("/").map(decoded);
  return { target, last: segments.at(-1) ?? "" };
}

function decoded(segment: string): string {
  const once = decode(segment);
  if (once === undefined) throw refused("is not percent-encoded UTF-8");
  for (let text: string | undefined = once, before = segment; text !== undefined && text !== before; ) {
    if (hidden.test(text)) throw refused("hides a control character");
    if (text.split(/[/\\]/).some((part) => part === "." || part === ".."))
      throw refused("hides a step to another path");
    before = text;
    text = decode(text);
  }
  return once;
}

const hidden = /\p{Cc}/u;

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    // Not an escape: "100%" is a name like any other.
    return undefined;
  }
}

const refused = (why: string): Problem =>
  new Problem(400, { code: "invalid-path", detail: `The path ${why}` });
