import { createHmac, timingSafeEqual } from "node:crypto";
import { type Kit, openShared, secretOf } from "chassis";

type Secrets = Pick<Kit<unknown>, "sidecar" | "now">;

/** Opens what was sealed for mails, with the secret that is shared with whoever asks for them. */
export const opened = (kit: Secrets, sealed: string): Promise<string | undefined> =>
  openShared(kit, "mail", sealed);

/** A digest that nobody can compute who has not this service's key. @param purpose keeps the uses apart */
export async function keyed(kit: Secrets, purpose: string, text: string): Promise<string> {
  return createHmac("sha256", await secretOf(kit, "key"))
    .update(`${purpose}\n${text}`)
    .digest("base64url");
}

export const same = (a: string, b: string): boolean =>
  a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
