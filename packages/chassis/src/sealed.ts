import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  hkdfSync,
  randomBytes,
  randomFillSync,
} from "node:crypto";
import { type Keyring, readKeyring, UnknownKey } from "./keyring.ts";
import type { Log } from "./log.ts";
import { Problem } from "./problem.ts";

/**
 * Encrypts fields with AES-256-GCM, each bound to its place: what is moved to another row or column does not open.
 * A value is `<key id>.<data key, wrapped>.<nonce, ciphertext and tag>`, in base64url: it says itself what opens it.
 * All but `ready` is synchronous, about 3 µs, and must come after `ready`; a service that `seals` has it awaited
 * before each request, event and job.
 */
export interface Sealed {
  /** Resolves when the keys are there. @throws {Problem} 503 while the secret store cannot be read */
  ready(): Promise<void>;
  /** Reads the keys again; what it knew stays when it cannot. */
  refresh(): Promise<void>;
  /**
   * Encrypts a text for a place.
   * @param where what it is, for instance `orders.personal`
   * @param id the row's key
   */
  seal(text: string, where: string, id: string): string;
  /**
   * The text that was sealed for this place.
   * @throws {UnknownKey} sealed with a key that is not (or no longer) there
   * @throws {Tampered} changed, or sealed for another place
   */
  open(value: string, where: string, id: string): string;
  /** The id of the key that a value is sealed with; undefined for a text that is not sealed. */
  keyOf(value: string): string | undefined;
  /** A keyed digest (HMAC-SHA-256) by which something is found again that is not kept readable, with the current key. */
  digest(text: string, where: string): string;
  /** The digests of a text under all keys there are, the current one first: to look it up while keys change. */
  digests(text: string, where: string): string[];
  /** Whether the keys are there. */
  readonly there: boolean;
  /**
   * Whether what is written is to be sealed. Not with `SEAL_FIELDS=no`: while a version runs beside this one that
   * cannot read what is sealed. What is sealed already is read all the same.
   */
  readonly writes: boolean;
  /** The id of the key that seals. */
  readonly current: string;
  /** The ids of all keys, the current one first. */
  readonly keys: string[];
}

/** A value does not open: it was changed, or stands in another place than it was sealed for. */
export class Tampered extends Error {
  override name = "Tampered";
  constructor(where: string, id: string) {
    super(`${where} of ${id} does not open: it was changed, or belongs elsewhere`);
  }
}

const algorithm = "aes-256-gcm";
const nonceBytes = 12;
const tagBytes = 16;
/** A wrapped data key: nonce, 32 bytes, tag. */
const wrappedChars = 80;
const dataKeysKept = 1_024;
const form = new RegExp(`^([A-Za-z0-9_-]{1,32})\\.([A-Za-z0-9_-]{${wrappedChars}})\\.([A-Za-z0-9_-]{38,})$`);

/** The id of the key that a value is sealed with; undefined for a text that is not sealed. */
export function sealedWith(value: string): string | undefined {
  return form.exec(value)?.[1];
}

export interface SealedOptions {
  /** The service's name: a value of one service does not open in another. */
  name: string;
  /** The keyring as the secret store has it: {@link readKeyring}. */
  load(): Promise<string>;
  log: Pick<Log, "error" | "info">;
  /** Keys that are needed as well: they are there, and are read again, when these are. */
  alongside?: Sealed[];
  /** {@link Sealed.writes}: true. */
  writes?: boolean;
  /**
   * How many values one data key seals: 2^20. NIST SP 800-38D allows a key 2^32 random nonces.
   */
  usesOfDataKey?: number;
}

interface Master {
  wrap: Uint8Array;
  digest: Uint8Array;
}

interface DataKey {
  key: Uint8Array;
  wrapped: string;
  uses: number;
}

export function createSealed({
  name,
  load,
  log,
  writes = true,
  usesOfDataKey = 2 ** 20,
  alongside = [],
}: SealedOptions): Sealed {
  let ring: { current: string; text: string; masters: Map<string, Master> } | undefined;
  let reading: Promise<void> | undefined;
  let data: DataKey | undefined;
  const unwrapped = new Map<string, Uint8Array>();

  const loaded = () => {
    if (!ring) throw new Error("the field keys are used before they are there");
    return ring;
  };

  function take(text: string): void {
    if (text === ring?.text) return;
    const { current, keys }: Keyring = readKeyring(text);
    const masters = new Map([...keys].map(([id, key]) => [id, masterOf(key)]));
    if (ring) log.info({ current, keys: [...masters.keys()] }, "the field keys have changed");
    ring = { current, text, masters };
    data = undefined;
    unwrapped.clear();
  }

  const read = (): Promise<void> => {
    reading ??= load()
      .then(take)
      .finally(() => {
        reading = undefined;
      });
    return reading;
  };

  function masterOfValue(id: string): Master {
    const master = loaded().masters.get(id);
    if (!master) throw new UnknownKey(id);
    return master;
  }

  /** The data key that seals now: of this process alone, so that no two share its nonces. */
  function sealing(): DataKey {
    if (data && data.uses < usesOfDataKey) return data;
    const key = randomBytes(32);
    const { current } = loaded();
    const wrapped = encrypt(masterOfValue(current).wrap, key, keyPlace(name, current)).toString("base64url");
    data = { key, wrapped, uses: 0 };
    return data;
  }

  function unwrap(id: string, wrapped: string): Uint8Array {
    const master = masterOfValue(id);
    const at = `${id}.${wrapped}`;
    const known = unwrapped.get(at);
    if (known) return known;
    const key = decrypt(master.wrap, Buffer.from(wrapped, "base64url"), keyPlace(name, id));
    const [oldest] = unwrapped.keys();
    if (oldest !== undefined && unwrapped.size >= dataKeysKept) unwrapped.delete(oldest);
    unwrapped.set(at, key);
    return key;
  }

  const digestWith = (master: Master, text: string, where: string): string =>
    createHmac("sha256", master.digest).update(`${where}\n${text}`).digest("base64url");

  return {
    writes,
    get there() {
      return ring !== undefined;
    },
    async ready() {
      if (ring && alongside.every(({ there }) => there)) return;
      try {
        await Promise.all([read(), ...alongside.map((each) => each.ready())]);
      } catch (error) {
        log.error({ err: error instanceof Error ? error.message : String(error) }, "there are no field keys");
        throw new Problem(503, {
          code: "secrets-unavailable",
          detail: "The secret store cannot be read right now",
          headers: { "retry-after": "2" },
        });
      }
    },
    async refresh() {
      const own = read().catch((error: unknown) => {
        log.error({ err: error instanceof Error ? error.message : String(error) }, "the field keys stay");
      });
      await Promise.all([own, ...alongside.map((each) => each.refresh())]);
    },
    seal(text, where, id) {
      const used = sealing();
      used.uses++;
      const body = encrypt(used.key, text, place(name, where, id)).toString("base64url");
      return `${loaded().current}.${used.wrapped}.${body}`;
    },
    open(value, where, id) {
      const [, keyId = "", wrapped = "", body = ""] = form.exec(value) ?? [];
      if (keyId === "") throw new Tampered(where, id);
      // Asked for first: a key that is missing is another thing than a value that was changed.
      masterOfValue(keyId);
      try {
        const key = unwrap(keyId, wrapped);
        return decrypt(key, Buffer.from(body, "base64url"), place(name, where, id)).toString("utf8");
      } catch {
        throw new Tampered(where, id);
      }
    },
    keyOf: sealedWith,
    digest: (text, where) => digestWith(masterOfValue(loaded().current), text, where),
    digests(text, where) {
      const { current, masters } = loaded();
      return order(current, masters).map((id) => digestWith(masterOfValue(id), text, where));
    },
    get current() {
      return loaded().current;
    },
    get keys() {
      const { current, masters } = loaded();
      return order(current, masters);
    },
  };
}

const order = (current: string, masters: Map<string, Master>): string[] => [
  current,
  ...[...masters.keys()].filter((id) => id !== current),
];

/** One key for each purpose: what is used for one says nothing of another (RFC 5869). */
function masterOf(key: Uint8Array): Master {
  const derived = (purpose: string) =>
    new Uint8Array(hkdfSync("sha256", key, "", `souk fields: ${purpose}`, 32));
  return { wrap: derived("wrap"), digest: derived("digest") };
}

// JSON, so that no two places read alike, whatever is in an id.
const place = (name: string, where: string, id: string): string => JSON.stringify([name, where, id]);
const keyPlace = (name: string, id: string): string => JSON.stringify([name, "data key", id]);

const nonces = Buffer.alloc(nonceBytes * 512);
let nextNonce = nonces.length;

/** Random numbers in store: to ask for each alone costs as much as the encryption. */
function nonce(): Uint8Array {
  if (nextNonce >= nonces.length) {
    randomFillSync(nonces);
    nextNonce = 0;
  }
  nextNonce += nonceBytes;
  return nonces.subarray(nextNonce - nonceBytes, nextNonce);
}

function encrypt(key: Uint8Array, clear: string | Uint8Array, aad: string): Buffer {
  const iv = nonce();
  const cipher = createCipheriv(algorithm, key, iv, { authTagLength: tagBytes });
  cipher.setAAD(Buffer.from(aad));
  const body = typeof clear === "string" ? cipher.update(clear, "utf8") : cipher.update(clear);
  return Buffer.concat([iv, body, cipher.final(), cipher.getAuthTag()]);
}

function decrypt(key: Uint8Array, sealed: Buffer, aad: string): Buffer {
  const end = sealed.length - tagBytes;
  const decipher = createDecipheriv(algorithm, key, sealed.subarray(0, nonceBytes), {
    authTagLength: tagBytes,
  });
  decipher.setAAD(Buffer.from(aad));
  decipher.setAuthTag(sealed.subarray(end));
  return Buffer.concat([decipher.update(sealed.subarray(nonceBytes, end)), decipher.final()]);
}
