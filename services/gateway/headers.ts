import { type Env, Problem } from "chassis";
import type { Context } from "hono";
import { addressOf } from "./addresses.ts";
import { withoutOwn } from "./cookies.ts";
import type { Way } from "./ways.ts";

const passedOn = [
  "authorization",
  "idempotency-key",
  "if-match",
  "if-none-match",
  "order-key",
  "stripe-signature",
  "webhook-id",
  "webhook-timestamp",
  "webhook-signature",
  "content-type",
  "accept",
  "accept-language",
  "last-event-id",
  "prefer",
  "tracestate",
];
/** What pages that set cookies need besides to tell their own forms from other sites' (Fetch Metadata, RFC 6454). */
const passedToPages = ["origin", "sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest"];

/**
 * Headers of one connection only (RFC 9110 section 7.6.1), those that are made here, and the sidecar's. Whether other
 * sites may read an answer (CORS) is for the gateway to say, and it does not.
 */
const notPassedBack = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "content-length",
  "content-encoding",
  "date",
  "server",
  "x-powered-by",
  "via",
  "alt-svc",
  "traceparent",
  "tracestate",
]);

/** What of a service's answer goes back to the client. Cookies are set by pages only. */
export function headersBack(answer: Response, way: Way): Headers {
  const headers = new Headers();
  for (const [name, value] of answer.headers) {
    if (notPassedBack.has(name) || /^(dapr-|access-control-)/.test(name)) continue;
    if (name === "set-cookie" && !way.pages) continue;
    headers.append(name, value);
  }
  return headers;
}

/**
 * What of a client's request goes on to a service.
 * @throws {Problem} 400 for a header that cannot be sent on
 */
export function headersOnward<S>(c: Context<Env<S>>, way: Way, anonymous = false): Record<string, string> {
  const { headers } = c.req.raw;
  const sent: Record<string, string> = { traceparent: c.var.trace, "accept-encoding": "identity" };
  if (way.path.startsWith("/api/")) sent["x-forwarded-prefix"] = "/api";
  if (anonymous) return sent;
  for (const name of way.pages ? [...passedOn, ...passedToPages] : passedOn) {
    const value = headers.get(name);
    if (value !== null) sent[name] = plain(name, value);
  }
  const cookies = way.pages ? withoutOwn(headers.get("cookie")) : "";
  if (cookies) sent.cookie = cookies;
  // What the client says of these, its Host included, is not believed: links that are made of it would lead anywhere.
  const { protocol, host } = new URL(c.var.kit.config.publicUrl);
  sent["x-forwarded-proto"] = protocol.slice(0, -1);
  sent["x-forwarded-host"] = host;
  const address = addressOf(c);
  if (address) sent["x-forwarded-for"] = address;
  return sent;
}

/**
 * Between sidecars headers are ASCII (gRPC metadata): anything else would look like a service that is away.
 * @throws {Problem} 400
 */
function plain(name: string, value: string): string {
  if (/^[\t -~]*$/.test(value)) return value;
  throw new Problem(400, {
    code: "invalid-header",
    detail: `The header ${name} may hold nothing but printable ASCII characters`,
  });
}
