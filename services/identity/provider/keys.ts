import { createHash } from "node:crypto";
import { type Commit, type Config, integer } from "chassis";
import { type Change, Conflict, type Write } from "drizzle-outbox";
import { CompactEncrypt, compactDecrypt, exportJWK, generateKeyPair, type JWK } from "jose";
import type { Store } from "../store.ts";
import type { SealedKey } from "./provider-store.ts";
import { type Algorithm, forgottenMs, type Key, leadMs, type Ring, ringOf, rotation } from "./ring.ts";

/** What {@link createKeys} needs of its surroundings. */
export interface KeyRoom {
  store: Store;
  commit: Commit;
  config: Config;
  now(): number;
  id(): string;
  /** The installation's secret that seals the keys; kept apart from them, in the secret store. */
  secret(): Promise<string>;
}

/** The signing keys of this installation. They lie sealed in the database; replicas look there every few seconds. */
export interface Keys {
  /** The keys as they are now. The first call ever makes them. @throws {Error} when they cannot be read */
  ring(): Promise<Ring>;
  /**
   * Lets the next key sign as soon as everybody can know it, and makes the one after it.
   * @returns what to commit: nothing where a rotation is under way already; and the moment (ms)
   */
  rotate(): Promise<{ change: Change; at: number }>;
  /**
   * Takes a key out of use at once, because somebody else may have it: what it signed holds no longer. If it is the one
   * that signs, the next takes over, however short a time it has been published for.
   * @returns what to commit; nothing where there is no such key
   */
  withdraw(kid: string): Promise<Change | undefined>;
  /** Looks into the database again at the next call. */
  forget(): void;
}

/** How long a replica may not know of another's rotation (ms): far less than the lead of a key. */
const freshFor = 5_000;

/** The algorithm that this installation signs with: `TOKEN_ALGORITHM`, RS256 where nothing is said. */
export const algorithmOf = ({ env }: Config): Algorithm =>
  env.TOKEN_ALGORITHM === "ES256" ? "ES256" : "RS256";

export function createKeys({ store, commit, config, now, id, secret }: KeyRoom): Keys {
  const algorithm = algorithmOf(config);
  const lead = integer(config, "KEY_LEAD_MS", leadMs);
  const known = new Map<string, Key>();
  let last: { keys: Promise<Key[]>; at: number } | undefined;

  async function read(): Promise<Key[]> {
    const seal = sealOf(await secret());
    const open = async (): Promise<Key[]> =>
      Promise.all((await store.signingKeys()).map((kept) => opened(kept, seal, known)));
    let keys = await open();
    // Whatever is missing is made; another replica may do the same at the same time, then that one's holds for all.
    for (let writes = await missing(keys, seal); writes.length > 0; writes = await missing(keys, seal)) {
      await commit({ writes }).catch(ignoreConflict);
      keys = await open();
    }
    return keys;
  }

  async function missing(keys: Key[], seal: Uint8Array): Promise<Write[]> {
    const at = now();
    const highest = Math.max(0, ...keys.map(({ generation }) => generation));
    const ring = ringOf(keys, algorithm, at);
    if (ring?.next) return [];
    const fresh = (generation: number, signsFrom: number | null): Promise<SealedKey> =>
      sealedKey({ generation, signsFrom, createdAt: at, kid: id(), algorithm }, seal);
    if (ring) return [store.addSigningKey(await fresh(highest + 1, null))];
    // One that was made before keys had a beginning has signed since it was made.
    const before = keys.find(({ jwk, signsFrom }) => jwk.alg === algorithm && signsFrom === null);
    if (before) return [store.signFrom({ ...before, sealed: "" }, before.createdAt)];
    return [
      store.addSigningKey(await fresh(highest + 1, at)),
      store.addSigningKey(await fresh(highest + 2, null)),
    ];
  }

  async function keys(): Promise<Key[]> {
    const before = last;
    if (before && Math.abs(now() - before.at) < freshFor) return before.keys;
    const reading = read();
    const mine = { keys: reading, at: now() };
    last = mine;
    reading.catch(() => {
      // What is known goes on holding while the database does not answer.
      if (last === mine) last = before && { keys: before.keys, at: now() };
    });
    return before ? reading.catch(() => before.keys) : reading;
  }

  async function ring(): Promise<Ring> {
    const found = ringOf(await keys(), algorithm, now());
    if (!found) throw new Error(`there is no ${algorithm} key`);
    return found;
  }

  /** A key that is only published, for the day after the next rotation. */
  async function following(): Promise<SealedKey> {
    const generation = Math.max(...(await store.signingKeys()).map((key) => key.generation)) + 1;
    const fresh = { generation, signsFrom: null, createdAt: now(), kid: id(), algorithm };
    return sealedKey(fresh, sealOf(await secret()));
  }

  return {
    ring,
    async rotate() {
      last = undefined;
      const current = await ring();
      const at = rotation(current, now(), lead);
      const { next } = current;
      if (at === undefined || !next) return { change: {}, at: next?.signsFrom ?? now() };
      const stale = current.withdrawn.filter(({ createdAt }) => createdAt < now() - forgottenMs);
      return {
        at,
        change: {
          writes: [
            store.signFrom({ ...next, sealed: "" }, at),
            store.addSigningKey(await following()),
            ...stale.map((old) => store.dropSigningKey({ ...old, sealed: "" })),
          ],
        },
      };
    },
    async withdraw(kid) {
      last = undefined;
      const { signing, next, published, withdrawn } = await ring();
      const key = [...published, ...withdrawn].find(({ jwk }) => jwk.kid === kid);
      if (!key) return undefined;
      const takesOver = key === signing ? next : undefined;
      const left = published.filter((one) => one !== key && one !== takesOver && startsLater(one, now()));
      return {
        writes: [
          store.dropSigningKey({ ...key, sealed: "" }),
          ...(takesOver ? [store.signFromNowOn({ ...takesOver, sealed: "" }, now())] : []),
          ...(left.length > 0 ? [] : [store.addSigningKey(await following())]),
        ],
      };
    },
    forget() {
      last = undefined;
    },
  };
}

const startsLater = ({ signsFrom }: Key, now: number): boolean => signsFrom === null || signsFrom > now;

function ignoreConflict(error: unknown): void {
  if (!(error instanceof Conflict)) throw error;
}

const sealOf = (secret: string): Uint8Array =>
  createHash("sha256").update(`signing keys of identity\n${secret}`).digest();

interface Fresh extends Omit<SealedKey, "sealed"> {
  kid: string;
  algorithm: Algorithm;
}

async function sealedKey({ kid, algorithm, ...key }: Fresh, seal: Uint8Array): Promise<SealedKey> {
  const { privateKey } = await generateKeyPair(algorithm, { modulusLength: 2048, extractable: true });
  const jwk: JWK = { ...(await exportJWK(privateKey)), kid, alg: algorithm, use: "sig" };
  const sealed = await new CompactEncrypt(new TextEncoder().encode(JSON.stringify(jwk)))
    .setProtectedHeader({ alg: "dir", enc: "A256GCM" })
    .encrypt(seal);
  return { ...key, sealed };
}

async function opened(kept: SealedKey, seal: Uint8Array, known: Map<string, Key>): Promise<Key> {
  const { generation, createdAt, signsFrom, sealed } = kept;
  const before = known.get(sealed);
  if (before) return { ...before, signsFrom };
  try {
    const { plaintext } = await compactDecrypt(sealed, seal);
    const jwk = JSON.parse(new TextDecoder().decode(plaintext)) as Key["jwk"];
    const key = { generation, createdAt, signsFrom, jwk };
    known.set(sealed, key);
    return key;
  } catch (cause) {
    throw new Error(
      `signing key ${generation} was sealed with another secret: the secret store's "key" has changed`,
      { cause },
    );
  }
}
