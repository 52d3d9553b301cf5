import { timingSafeEqual } from "node:crypto";
import { type Config, Problem } from "chassis";

type Site = Pick<Config, "publicUrl">;

/** Methods that change nothing (RFC 9110 section 9.2.1). */
export const isSafe = (method: string): boolean =>
  method === "GET" || method === "HEAD" || method === "OPTIONS";

/**
 * Whether a browser says that a page of ours asked, or nobody but the person (Fetch Metadata). Browsers always say;
 * what is no browser has no other site's pages in it.
 */
export const isOwnRead = (headers: Headers): boolean =>
  /^(same-origin|none)$/.test(headers.get("sec-fetch-site") ?? "none");

/**
 * Makes sure that a page of ours sent a request that may change something: by what the browser says about where it
 * comes from, and by a value that no other site can read.
 * @param shown that value as the request shows it
 * @throws {Problem} 403
 */
export function requireOwnPage(
  headers: Headers,
  { publicUrl }: Site,
  csrf: string,
  shown: string | undefined,
): void {
  const site = headers.get("sec-fetch-site");
  const origin = headers.get("origin");
  if (site === null && origin === null) throw refused("it does not say where it comes from");
  if (site !== null && site !== "same-origin") throw refused("it comes from another site");
  if (origin !== null && origin !== new URL(publicUrl).origin) throw refused("it comes from another site");
  if (shown === undefined || !same(shown, csrf))
    throw refused("X-Souk-CSRF does not say what GET /session says");
}

function same(a: string, b: string): boolean {
  const [one, other] = [Buffer.from(a), Buffer.from(b)];
  return one.length === other.length && timingSafeEqual(one, other);
}

const refused = (why: string): Problem =>
  new Problem(403, { code: "csrf", detail: `The request is not made with the session: ${why}` });
