import type { JWK } from "jose";

export type Algorithm = "RS256" | "ES256";

/** A signing key. */
export interface Key {
  generation: number;
  createdAt: number;
  /** From when on it signs (ms); nothing as long as it is only published. */
  signsFrom: number | null;
  /** Private. */
  jwk: JWK & { kid: string };
}

/** The keys at one moment. */
export interface Ring {
  signing: Key;
  /** Published already, so that everybody knows it when it signs: at a time, or at the next rotation. */
  next: Key | undefined;
  /** What tokens are checked with: the next one, the one that signs, and those whose tokens may still hold. */
  published: Key[];
  /** No token is left of them. They still tell whether a sign-out is asked for by an ID token of ours. */
  withdrawn: Key[];
}

const minute = 60_000;
/**
 * A key is published for so long before it signs: longer than anybody keeps a copy of the key set (5 minutes at the
 * edge and in clients, one minute in the services).
 */
export const leadMs = 10 * minute;
/** A key stays published after it has signed its last token: as long as that holds, and 5 minutes for clocks. */
export const keptMs = 15 * minute;
/** A withdrawn key is forgotten after this. */
export const forgottenMs = 90 * 24 * 60 * minute;

/** @returns nothing when no key of the algorithm signs yet */
export function ringOf(keys: readonly Key[], algorithm: Algorithm, now: number): Ring | undefined {
  const usable = keys.filter(({ jwk }) => jwk.alg === algorithm);
  const inOrder = usable.toSorted((one, other) => startOf(other) - startOf(one));
  const past = inOrder.filter((key) => startOf(key) <= now);
  // A clock that was set back by days does not make the shop forget how to sign.
  const begun = past.length > 0 ? past : inOrder.filter(({ signsFrom }) => signsFrom !== null).slice(-1);
  const [signing] = begun;
  if (!signing) return undefined;
  const waiting = inOrder.filter((key) => !begun.includes(key)).reverse();
  const old = begun.slice(1).map((key, at) => ({ key, until: startOf(begun[at] as Key) }));
  const held = old.filter(({ until }) => now < until + keptMs).map(({ key }) => key);
  return {
    signing,
    next: waiting[0],
    published: [signing, ...waiting, ...held],
    withdrawn: old.filter(({ until }) => now >= until + keptMs).map(({ key }) => key),
  };
}

const startOf = ({ signsFrom }: Key): number => signsFrom ?? Number.POSITIVE_INFINITY;

/** When the next key may begin to sign; nothing when that is settled already. */
export function rotation({ next }: Ring, now: number, lead: number): number | undefined {
  if (!next || next.signsFrom !== null) return undefined;
  return Math.max(now, next.createdAt + lead);
}

/** What of a key is for everybody to see. */
export function publicPart({ kty, kid, use, alg, n, e, crv, x, y }: JWK): JWK {
  return (kty === "EC" ? { kty, kid, use, alg, crv, x, y } : { kty, kid, use, alg, n, e }) as JWK;
}
