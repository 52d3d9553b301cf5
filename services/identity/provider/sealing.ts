import { createCipheriv, createDecipheriv, createHash, createHmac, randomBytes } from "node:crypto";

/** What the provider makes of the installation's secret, each for one purpose. */
export interface Sealing {
  /** AES-256-GCM; what it is about is bound to it. */
  seal(about: string, value: unknown): string;
  /** Nothing when it was not sealed here, or not for this. */
  open(about: string, sealed: string): unknown;
  /** What cookies are signed with. */
  cookieKey: string;
  /** A text that only we can make of another: the token of a form. */
  tokenOf(text: string): string;
}

const ivBytes = 12;
const tagBytes = 16;

export function createSealing(secret: string): Sealing {
  const keyFor = (purpose: string): Buffer =>
    createHash("sha256").update(`${purpose} of identity\n${secret}`).digest();
  const state = keyFor("provider state");
  const forms = keyFor("forms");
  return {
    seal(about, value) {
      const iv = randomBytes(ivBytes);
      const cipher = createCipheriv("aes-256-gcm", state, iv).setAAD(Buffer.from(about));
      const text = Buffer.concat([cipher.update(JSON.stringify(value), "utf8"), cipher.final()]);
      return Buffer.concat([iv, cipher.getAuthTag(), text]).toString("base64url");
    },
    open(about, sealed) {
      const bytes = Buffer.from(sealed, "base64url");
      try {
        const decipher = createDecipheriv("aes-256-gcm", state, bytes.subarray(0, ivBytes), {
          authTagLength: tagBytes,
        });
        decipher.setAAD(Buffer.from(about)).setAuthTag(bytes.subarray(ivBytes, ivBytes + tagBytes));
        const text = Buffer.concat([decipher.update(bytes.subarray(ivBytes + tagBytes)), decipher.final()]);
        return JSON.parse(text.toString("utf8"));
      } catch {
        return undefined;
      }
    },
    cookieKey: keyFor("cookies").toString("base64url"),
    tokenOf: (text) => createHmac("sha256", forms).update(text).digest("base64url"),
  };
}
