import { Webhook } from "standardwebhooks";

/** As Standard Webhooks writes a secret. @param bytes 24 to 64 of them, random */
export const secretOf = (bytes: Uint8Array): string => `whsec_${Buffer.from(bytes).toString("base64")}`;

/**
 * The headers of a signed webhook (Standard Webhooks): one signature for each secret that holds, so that the receiver
 * may change over in its own time.
 */
export function signed(secrets: string[], id: string, at: Date, body: string): Record<string, string> {
  return {
    "content-type": "application/json",
    "user-agent": "Souk-Webhooks/1",
    "webhook-id": id,
    "webhook-timestamp": String(Math.floor(at.getTime() / 1000)),
    "webhook-signature": secrets.map((secret) => new Webhook(secret).sign(id, at, body)).join(" "),
  };
}
