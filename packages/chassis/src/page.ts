import { Problem } from "./problem.ts";

/** A list's window: at most `limit` items (1-100, default 20) after the place that `cursor` names. */
export interface Window<C> {
  limit: number;
  after: C | undefined;
}

export interface Page<T> {
  items: T[];
  nextCursor: string | null;
}

/** A place in a list that goes by time, and by id among what is of the same millisecond. */
export interface Place {
  /** Milliseconds since the epoch. */
  at: number;
  id: string;
}

/** A cursor is what a client sends: it may be anything. */
export const isPlace = (value: unknown): value is Place =>
  typeof value === "object" &&
  value !== null &&
  "at" in value &&
  "id" in value &&
  Number.isSafeInteger(value.at) &&
  typeof value.id === "string";

/**
 * Reads `?limit=` and `?cursor=`.
 * @param isCursor accepts what a decoded cursor may be
 * @throws {Problem} 400 for a limit out of range or a cursor that this service did not give out
 */
export function readWindow<C>(
  query: Record<string, string | undefined>,
  isCursor: (value: unknown) => value is C,
): Window<C> {
  const limit = query.limit === undefined ? 20 : Number(query.limit);
  if (!Number.isInteger(limit) || limit < 1 || limit > 100) {
    throw new Problem(400, {
      code: "invalid-query",
      detail: "limit must be a whole number from 1 to 100",
      errors: [{ pointer: "/limit", detail: "a whole number from 1 to 100" }],
    });
  }
  if (query.cursor === undefined) return { limit, after: undefined };
  const after = decode(query.cursor);
  if (!isCursor(after)) {
    throw new Problem(400, {
      code: "invalid-query",
      detail: "cursor is not one that this list has given: start again without it",
      errors: [{ pointer: "/cursor", detail: "take it from nextCursor as it is" }],
    });
  }
  return { limit, after };
}

/**
 * Makes a page of rows that were read with `limit + 1`: the one too many says that there is more.
 * @param place what the next page starts after
 */
export function page<R, T>(
  rows: R[],
  limit: number,
  place: (row: R) => unknown,
  view: (row: R) => T,
): Page<T> {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return {
    items: items.map(view),
    nextCursor: rows.length > limit && last !== undefined ? cursorOf(place(last)) : null,
  };
}

/** A place as a cursor. */
export const cursorOf = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");

function decode(text: string): unknown {
  try {
    const decoded = Buffer.from(text, "base64url").toString();
    // No place has this character in it, and PostgreSQL cannot be asked for it.
    return decoded.includes("\\u0000") ? undefined : JSON.parse(decoded);
  } catch {
    return undefined;
  }
}
