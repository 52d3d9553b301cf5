import type { Context } from "hono";
import { Problem } from "./problem.ts";

/** The entity tag of a versioned resource (RFC 9110 section 8.8.3). */
export const etag = (version: number): string => `"${version}"`;

/**
 * Guards a change with `If-Match` (RFC 9110 section 13.1.1).
 * @throws {Problem} 428 without the header, 412 when the resource has moved on
 */
export function requireMatch(c: Context, version: number): void {
  const header = c.req.header("if-match");
  if (header === undefined) {
    throw new Problem(428, {
      code: "precondition-required",
      detail: "Send If-Match with the ETag of the version that you have read",
    });
  }
  if (header.trim() === "*") return;
  const tags = header.split(",").map((tag) => tag.trim());
  // A weak tag never matches strongly.
  if (!tags.includes(etag(version))) {
    throw new Problem(412, {
      code: "precondition-failed",
      detail: "It has changed since you read it: read it again, then repeat your change",
      headers: { etag: etag(version) },
    });
  }
}

/** True when the caller's `If-None-Match` names this tag, so that 304 will do. */
export function isCurrent(c: Context, tag: string): boolean {
  const header = c.req.header("if-none-match");
  if (header === undefined) return false;
  if (header.trim() === "*") return true;
  const strong = tag.replace(/^W\//, "");
  return header.split(",").some((candidate) => candidate.trim().replace(/^W\//, "") === strong);
}

/**
 * A cacheable JSON answer, or 304.
 * @param tag the entity tag; without one it is a digest of the body
 */
export function cacheable(c: Context, body: unknown, cacheControl: string, tag?: string): Response {
  const text = JSON.stringify(body);
  const current = tag ?? `"${Bun.hash(text).toString(36)}"`;
  const headers = { etag: current, "cache-control": cacheControl, "content-type": "application/json" };
  return isCurrent(c, current)
    ? new Response(null, { status: 304, headers: { etag: current, "cache-control": cacheControl } })
    : new Response(text, { status: 200, headers });
}
