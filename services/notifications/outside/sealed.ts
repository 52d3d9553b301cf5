import { createHmac, timingSafeEqual } from "node:crypto";
import type { Kit } from "chassis";
import { compactDecrypt, errors } from "jose";

/** How long a secret is used before it is read again (ms). */
const fresh = 60_000;

/** `mail`: shared with whoever asks for mails. `key`: this service's own, which signs its links. */
type Name = "mail" | "key";

const known = new WeakMap<object, Map<Name, { value: Promise<Uint8Array>; at: number }>>();

/** 32 bytes of the secret store. What was read is used for a minute, and longer while the store is away. */
function secret({ sidecar, now }: Pick<Kit<unknown>, "sidecar" | "now">, name: Name): Promise<Uint8Array> {
  const secrets = known.get(sidecar) ?? new Map();
  known.set(sidecar, secrets);
  const before = secrets.get(name);
  if (before && Math.abs(now() - before.at) < fresh) return before.value;
  const value = sidecar
    .secrets("secrets")
    .get(name)
    .then((text) => {
      const bytes = Buffer.from(text, "base64url");
      if (bytes.byteLength !== 32) throw new Error(`the secret ${name} is not 32 bytes in base64url`);
      return bytes as Uint8Array;
    })
    .catch((error: unknown) => {
      if (before) return before.value;
      secrets.delete(name);
      throw error;
    });
  secrets.set(name, { value, at: now() });
  return value;
}

type Secrets = Pick<Kit<unknown>, "sidecar" | "now">;

/** Opens what was sealed for mails (JWE, RFC 7516: dir, A256GCM); undefined when it was not, or was changed. */
export async function opened(kit: Secrets, sealed: string): Promise<string | undefined> {
  const key = await secret(kit, "mail");
  try {
    const { plaintext } = await compactDecrypt(sealed, key, {
      keyManagementAlgorithms: ["dir"],
      contentEncryptionAlgorithms: ["A256GCM"],
    });
    return new TextDecoder().decode(plaintext);
  } catch (error) {
    if (error instanceof errors.JOSEError) return undefined;
    throw error;
  }
}

/** A digest that nobody can compute who has not this service's key. @param purpose keeps the uses apart */
export async function keyed(kit: Secrets, purpose: string, text: string): Promise<string> {
  return createHmac("sha256", await secret(kit, "key"))
    .update(`${purpose}\n${text}`)
    .digest("base64url");
}

export const same = (a: string, b: string): boolean =>
  a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
