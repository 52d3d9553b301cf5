import { createHmac } from "node:crypto";

/**
 * A webhook as Stripe sends it: signed over its time and its very bytes (https://docs.stripe.com/webhooks/signature).
 * @param event sent as it is where it is a text
 */
export function signed(
  event: unknown,
  secrets: string | string[],
  at = Date.now(),
): { body: string; headers: Record<string, string> } {
  const body = typeof event === "string" ? event : JSON.stringify(event, null, 2);
  const t = Math.floor(at / 1000);
  const signatures = [secrets]
    .flat()
    .map((secret) => `v1=${createHmac("sha256", secret).update(`${t}.${body}`).digest("hex")}`);
  return {
    body,
    headers: {
      "content-type": "application/json; charset=utf-8",
      "stripe-signature": [`t=${t}`, ...signatures].join(","),
    },
  };
}
