import { createHmac } from "node:crypto";
import { type Kit, Problem, sealShared, secretOf } from "chassis";

/** What the installation's secrets are needed for, other than signing. */
export interface Vault {
  /** The digest by which something is found again that is not kept readable. @throws {Problem} 503, as below */
  lookup(kind: string, text: string): Promise<string>;
  /** The digest by which an account is found. @throws {Problem} 503, as below */
  emailKey(address: string): Promise<string>;
  /** Seals a text so that only the mailer reads it: no broker, dead letter or backup holds it. */
  sealForMail(text: string): Promise<string>;
}

/** @param kit of a service whose secret store has `index` and `mail`: 32 bytes each, in base64url */
export function createVault(kit: Pick<Kit<unknown>, "sidecar" | "log" | "now">): Vault {
  const lookup = async (kind: string, text: string): Promise<string> =>
    createHmac("sha256", await there("index", secretOf(kit, "index")))
      .update(`${kind}\n${text}`)
      .digest("base64url");

  return {
    lookup,
    // Two ways of writing an address that a person takes for the same are one account.
    emailKey: (address) => lookup("email", address.trim().normalize("NFC").toLowerCase()),
    sealForMail: (text) => there("mail", sealShared(kit, "mail", text)),
  };

  /** What is made of a secret. @throws {Problem} 503 when it cannot be read */
  function there<T>(secret: string, made: Promise<T>): Promise<T> {
    return made.catch((error: unknown) => {
      kit.log.error({ secret, err: error instanceof Error ? error.message : String(error) }, "no secret");
      throw new Problem(503, {
        code: "secrets-unavailable",
        detail: "The secret store cannot be read right now",
        headers: { "retry-after": "2" },
      });
    });
  }
}
