import { CompactEncrypt, compactDecrypt, errors } from "jose";
import type { Kit } from "./kit.ts";

/** How long a secret is used before it is read again (ms). */
const fresh = 60_000;

type Secrets = Pick<Kit<unknown>, "sidecar" | "now">;

const known = new WeakMap<object, Map<string, { value: Promise<unknown>; at: number }>>();

/**
 * What a secret of the store says. What was read is used for a minute, and longer while the store is away.
 * @param parse reads the text; throws where it cannot. A secret has one way to be read
 * @throws {Error} when it was never read and cannot be, or what `parse` throws
 */
export function readSecret<T>(
  { sidecar, now }: Secrets,
  name: string,
  parse: (text: string) => T,
): Promise<T> {
  const secrets = (known.get(sidecar) ?? new Map()) as Map<string, { value: Promise<T>; at: number }>;
  known.set(sidecar, secrets);
  const before = secrets.get(name);
  if (before && Math.abs(now() - before.at) < fresh) return before.value;
  const value = sidecar
    .secrets("secrets")
    .get(name)
    .then(parse)
    .catch((error: unknown) => {
      if (before) return before.value;
      secrets.delete(name);
      throw error;
    });
  secrets.set(name, { value, at: now() });
  return value;
}

/**
 * 32 bytes of the secret store, there in base64url; remembered as {@link readSecret} does.
 * @throws {Error} when it was never read and cannot be, or is not 32 bytes
 */
export const secretOf = (kit: Secrets, name: string): Promise<Uint8Array> =>
  readSecret(kit, name, (text) => {
    const bytes = new Uint8Array(Buffer.from(text, "base64url"));
    if (bytes.byteLength !== 32) throw new Error(`the secret ${name} is not 32 bytes in base64url`);
    return bytes;
  });

/**
 * Seals a text for those who have the same secret (JWE, RFC 7516, compact: dir, A256GCM): no broker, dead letter or
 * backup can read it.
 * @throws {Error} as {@link secretOf}
 */
export async function sealShared(kit: Secrets, name: string, text: string): Promise<string> {
  return new CompactEncrypt(new TextEncoder().encode(text))
    .setProtectedHeader({ alg: "dir", enc: "A256GCM" })
    .encrypt(await secretOf(kit, name));
}

/**
 * Opens what was sealed with a shared secret; undefined when it was not, or was changed.
 * @throws {Error} as {@link secretOf}
 */
export async function openShared(kit: Secrets, name: string, sealed: string): Promise<string | undefined> {
  const key = await secretOf(kit, name);
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
