/** The keys with which a service encrypts fields, as its secret store has them. */
export interface Keyring {
  /** The id of the key that seals; the others only open. */
  current: string;
  /** 32 bytes each, by id. */
  keys: ReadonlyMap<string, Uint8Array>;
}

/** A value was sealed with a key that is not there. */
export class UnknownKey extends Error {
  override name = "UnknownKey";
  constructor(readonly key: string) {
    super(`sealed with the key ${key}, which is not in the secret store`);
  }
}

const idForm = /^[A-Za-z0-9_-]{1,32}$/;

/**
 * Reads `{"current":"k2","keys":{"k1":"<32 bytes, base64url>","k2":"…"}}`: one text, so that every secret store can
 * hold it, and so that a key and the word that it is in use change together.
 * @throws {Error} saying what is wrong, never what the secret is
 */
export function readKeyring(text: string): Keyring {
  const { current, keys } = parsed(text);
  if (typeof keys !== "object" || keys === null) throw new Error("the keyring has no keys");
  const known = new Map<string, Uint8Array>();
  for (const [id, encoded] of Object.entries(keys)) {
    if (!idForm.test(id)) throw new Error("a key's id must be 1 to 32 letters, digits, - or _");
    const key = Buffer.from(String(encoded), "base64url");
    if (key.byteLength !== 32) throw new Error(`the key ${id} is not 32 bytes in base64url`);
    known.set(id, key);
  }
  if (typeof current !== "string" || !known.has(current))
    throw new Error("the keyring's current key is not among its keys");
  return { current, keys: known };
}

function parsed(text: string): { current?: unknown; keys?: unknown } {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value;
  } catch {
    // A parser's message shows a piece of what it read.
  }
  throw new Error("the keyring is not a JSON object");
}
