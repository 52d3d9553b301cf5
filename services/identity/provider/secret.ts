import { createHash, timingSafeEqual } from "node:crypto";

/** A client secret as it is kept. Secrets are 256 random bits: guessing them is hopeless, slow hashing adds nothing. */
export const digest = (secret: string): string => createHash("sha256").update(secret).digest("base64url");

/** Compares a secret with what is kept of it, in a time that says nothing about either. */
export function holds(secret: string, kept: string | undefined): boolean {
  const given = Buffer.from(digest(secret));
  const expected = Buffer.from(kept ?? "");
  return given.length === expected.length && timingSafeEqual(given, expected);
}
