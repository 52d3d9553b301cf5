import type { Env } from "chassis";
import type { MiddlewareHandler } from "hono";
import type { Memory } from "./edge.ts";

/** What every answer carries that does not say it itself: a page says which style sheet it may use, and nothing else. */
const protection: [string, string][] = [
  ["cache-control", "no-store"],
  [
    "content-security-policy",
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  ],
  ["cross-origin-opener-policy", "same-origin"],
  ["cross-origin-resource-policy", "same-origin"],
  [
    "permissions-policy",
    "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), publickey-credentials-get=(), usb=()",
  ],
  ["referrer-policy", "no-referrer"],
  ["x-content-type-options", "nosniff"],
  ["x-frame-options", "DENY"],
];
const encryptedOnly = "max-age=31536000; includeSubDomains";

/** Fills in the security headers that an answer does not set itself, refusals and failures included. */
export const secured: MiddlewareHandler<Env<Memory>> = async (c, next) => {
  await next();
  const { headers } = c.res;
  for (const [name, value] of protection) if (!headers.has(name)) headers.set(name, value);
  if (c.var.kit.config.publicUrl.startsWith("https:"))
    headers.set("strict-transport-security", encryptedOnly);
};
