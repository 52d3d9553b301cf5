import { createHash } from "node:crypto";
import type { Commit } from "chassis";
import { Conflict } from "drizzle-outbox";
import { CompactEncrypt, compactDecrypt, exportJWK, generateKeyPair, type JWK } from "jose";
import type { Store } from "../store.ts";

const algorithm = "RS256";

/** What {@link signingKeys} needs of its surroundings. */
export interface KeyRoom {
  store: Store;
  commit: Commit;
  now(): number;
  id(): string;
  /** The installation's secret that seals the keys; kept apart from them, in the secret store. */
  secret(): Promise<string>;
}

/** The private signing keys, the one that signs first. The first call ever makes one. */
export async function signingKeys({ store, commit, now, id, secret }: KeyRoom): Promise<JWK[]> {
  const seal = createHash("sha256")
    .update(`signing keys of identity\n${await secret()}`)
    .digest();
  let kept = await store.signingKeys();
  if (kept.length === 0) {
    const sealed = await sealedKey(id(), seal);
    try {
      await commit({ writes: [store.addSigningKey({ generation: 1, sealed, createdAt: now() })] });
    } catch (error) {
      // Another replica made the first one at the same time; then that one holds for all.
      if (!(error instanceof Conflict)) throw error;
    }
    kept = await store.signingKeys();
  }
  return Promise.all(kept.map(({ generation, sealed }) => opened(generation, sealed, seal)));
}

async function sealedKey(kid: string, seal: Uint8Array): Promise<string> {
  const { privateKey } = await generateKeyPair(algorithm, { modulusLength: 2048, extractable: true });
  const jwk: JWK = { ...(await exportJWK(privateKey)), kid, alg: algorithm, use: "sig" };
  return new CompactEncrypt(new TextEncoder().encode(JSON.stringify(jwk)))
    .setProtectedHeader({ alg: "dir", enc: "A256GCM" })
    .encrypt(seal);
}

async function opened(generation: number, sealed: string, seal: Uint8Array): Promise<JWK> {
  try {
    const { plaintext } = await compactDecrypt(sealed, seal);
    return JSON.parse(new TextDecoder().decode(plaintext)) as JWK;
  } catch (cause) {
    throw new Error(
      `signing key ${generation} was sealed with another secret: the secret store's "key" has changed`,
      {
        cause,
      },
    );
  }
}

/** What of a key is for everybody to see. */
export const publicPart = ({ kty, kid, use, alg, n, e }: JWK): JWK => ({ kty, kid, use, alg, n, e });
