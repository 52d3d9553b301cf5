import { timingSafeEqual } from "node:crypto";
import { Webhook } from "standardwebhooks";

/** Seconds for which a signature holds: who repeats a message later is not heard. */
const tolerance = 300;

/** Nobody who knows the carrier's secret has signed this, or it is too old. */
export class BadSignature extends Error {}

/**
 * Checks the signature of a message (Standard Webhooks: HMAC-SHA256 of its id, its time and its body).
 * @param raw the body as it came
 * @param header reads a header
 * @param secrets `whsec_…`; while one replaces another, both
 * @param now milliseconds since the epoch
 * @returns the message's id, the same however often it is sent
 * @throws {BadSignature}
 */
export function idOf(
  raw: string,
  header: (name: string) => string | undefined,
  secrets: readonly string[],
  now: number,
): string {
  const id = header("webhook-id") ?? "";
  const seconds = header("webhook-timestamp") ?? "";
  const signatures = (header("webhook-signature") ?? "").split(" ");
  if (id === "" || id.length > 255 || !/^\d{1,12}$/.test(seconds))
    throw new BadSignature("no signed message");
  if (Math.abs(now / 1_000 - Number(seconds)) > tolerance) throw new BadSignature("too old, or too new");
  const signed = secrets.map((secret) =>
    new Webhook(secret).sign(id, new Date(Number(seconds) * 1_000), raw),
  );
  if (!signatures.some((given) => signed.some((wanted) => same(given, wanted))))
    throw new BadSignature("no signature of ours");
  return id;
}

function same(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
