import { createHmac } from "node:crypto";
import { type Kit, Problem } from "chassis";
import { CompactEncrypt } from "jose";

/** What the installation's secrets are needed for, other than signing. */
export interface Vault {
  /** The digest by which something is found again that is not kept readable. @throws {Problem} 503, as below */
  lookup(kind: string, text: string): Promise<string>;
  /** The digest by which an account is found. @throws {Problem} 503, as below */
  emailKey(address: string): Promise<string>;
  /** Seals a text so that only the mailer reads it: no broker, dead letter or backup holds it. */
  sealForMail(text: string): Promise<string>;
}

/** How long a secret is used before it is read again (ms). */
const fresh = 60_000;

/** @param kit of a service whose secret store has `index` and `mail`: 32 bytes each, in base64url */
export function createVault({ sidecar, log, now }: Pick<Kit<unknown>, "sidecar" | "log" | "now">): Vault {
  const known = new Map<string, { value: Promise<Uint8Array>; at: number }>();

  function secret(name: string): Promise<Uint8Array> {
    const before = known.get(name);
    if (before && Math.abs(now() - before.at) < fresh) return before.value;
    const value = read(name).catch((error: unknown) => {
      // A secret store that is away for a moment takes nothing from us that we know.
      if (before) return before.value;
      known.delete(name);
      log.error({ secret: name, err: error instanceof Error ? error.message : String(error) }, "no secret");
      throw new Problem(503, {
        code: "secrets-unavailable",
        detail: "The secret store cannot be read right now",
        headers: { "retry-after": "2" },
      });
    });
    known.set(name, { value, at: now() });
    return value;
  }

  async function read(name: string): Promise<Uint8Array> {
    const bytes = Buffer.from(await sidecar.secrets("secrets").get(name), "base64url");
    if (bytes.byteLength !== 32) throw new Error(`the secret ${name} is not 32 bytes in base64url`);
    return bytes;
  }

  const lookup = async (kind: string, text: string): Promise<string> =>
    createHmac("sha256", await secret("index"))
      .update(`${kind}\n${text}`)
      .digest("base64url");

  return {
    lookup,
    // Two ways of writing an address that a person takes for the same are one account.
    emailKey: (address) => lookup("email", address.trim().normalize("NFC").toLowerCase()),
    async sealForMail(text) {
      return new CompactEncrypt(new TextEncoder().encode(text))
        .setProtectedHeader({ alg: "dir", enc: "A256GCM" })
        .encrypt(await secret("mail"));
    },
  };
}
