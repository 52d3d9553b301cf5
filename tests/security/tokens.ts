import { createHmac, KeyObject, sign as signWith } from "node:crypto";
import { CompactEncrypt, exportJWK, exportSPKI, generateKeyPair, type JWK } from "jose";

export const issuer = "http://shop.test";
export const audience = "souk";
/** Seconds since the epoch at which all tokens here are made and checked. */
export const at = 1_800_000_000;

export const good = await generateKeyPair("RS256", { extractable: true });
const other = await generateKeyPair("RS256", { extractable: true });
const curve = await generateKeyPair("ES256", { extractable: true });

export const publicJwk: JWK = {
  ...(await exportJWK(good.publicKey)),
  kid: "k-2",
  alg: "RS256",
  use: "sig",
};
const otherJwk: JWK = { ...(await exportJWK(other.publicKey)), kid: "k-2", alg: "RS256", use: "sig" };
const pem = await exportSPKI(good.publicKey);

export const rightClaims = {
  iss: issuer,
  aud: audience,
  sub: "staff-1",
  client_id: "staff-1",
  scope: "orders:read orders:manage catalog:write inventory:write payments:manage ops",
  iat: at - 10,
  exp: at + 600,
  jti: "t-1",
};
export const rightHeader = { alg: "RS256", typ: "at+jwt", kid: "k-2" };

const encode = (part: object | string): string =>
  Buffer.from(typeof part === "string" ? part : JSON.stringify(part)).toString("base64url");

type Key = CryptoKey | KeyObject | string;

interface Forged {
  header?: object | string;
  claims?: object | string;
  key?: Key;
  algorithm?: "RSA-SHA256" | "RSA-SHA512" | "ES256" | "HS256";
}

/** A JWT of whatever parts, really signed; as text, a part is taken as it stands. */
export async function token({
  header = {},
  claims = {},
  key = good.privateKey,
  algorithm,
}: Forged = {}): Promise<string> {
  const head = typeof header === "string" ? header : { ...rightHeader, ...header };
  const body = typeof claims === "string" ? claims : { ...rightClaims, ...claims };
  const input = `${encode(head)}.${encode(body)}`;
  return `${input}.${await signature(input, key, algorithm ?? "RSA-SHA256")}`;
}

async function signature(
  input: string,
  key: Key,
  algorithm: NonNullable<Forged["algorithm"]>,
): Promise<string> {
  if (algorithm === "HS256" || typeof key === "string")
    return createHmac("sha256", String(key)).update(input).digest("base64url");
  const own = key instanceof KeyObject ? key : KeyObject.from(key);
  if (algorithm === "ES256")
    return signWith("sha256", Buffer.from(input), { key: own, dsaEncoding: "ieee-p1363" }).toString(
      "base64url",
    );
  return signWith(algorithm, Buffer.from(input), own).toString("base64url");
}

const unsigned = (header: object): string =>
  `${encode({ ...rightHeader, ...header })}.${encode(rightClaims)}.`;
const text = JSON.stringify(rightClaims);
const headerText = JSON.stringify(rightHeader);

/** Ways to get in with a token that nobody was given. */
export const attacks: [what: string, token: () => Promise<string> | string][] = [
  ["alg none, no signature", () => unsigned({ alg: "none" })],
  ["alg None", () => unsigned({ alg: "None" })],
  [
    "alg nOnE, with a signature of the right length",
    async () => `${unsigned({ alg: "nOnE" })}${"A".repeat(342)}`,
  ],
  ["alg empty", () => unsigned({ alg: "" })],
  ["alg missing", () => token({ header: { alg: undefined } })],
  ["no signature at all", async () => (await token()).split(".").slice(0, 2).join(".")],
  ["an empty signature", async () => `${(await token()).split(".").slice(0, 2).join(".")}.`],
  [
    "RS→HS: the public key's PEM as the secret",
    () => token({ header: { alg: "HS256" }, key: pem, algorithm: "HS256" }),
  ],
  [
    "RS→HS: the public JWK as the secret",
    () => token({ header: { alg: "HS256" }, key: JSON.stringify(publicJwk), algorithm: "HS256" }),
  ],
  ["HS256 with an empty secret", () => token({ header: { alg: "HS256" }, key: "", algorithm: "HS256" })],
  [
    "another algorithm of the right key: RS512",
    () => token({ header: { alg: "RS512" }, algorithm: "RSA-SHA512" }),
  ],
  ["another algorithm in the header: PS256", () => token({ header: { alg: "PS256" } })],
  [
    "an elliptic key under the right key id",
    () => token({ header: { alg: "ES256" }, key: curve.privateKey, algorithm: "ES256" }),
  ],
  [
    "an elliptic signature of zeros",
    () =>
      `${encode({ ...rightHeader, alg: "ES256" })}.${encode(rightClaims)}.${Buffer.alloc(64).toString("base64url")}`,
  ],
  ["another key under the right key id", () => token({ key: other.privateKey })],
  ["no key id", () => token({ header: { kid: undefined } })],
  ["an empty key id", () => token({ header: { kid: "" } })],
  ["an unknown key id", () => token({ header: { kid: "k-9" } })],
  ["a retired key", () => token({ header: { kid: "k-1" }, key: other.privateKey })],
  ["a key id that is no text", () => token({ header: { kid: 2 } })],
  [
    "a key id that is a path",
    () => token({ header: { kid: "../../../dev/null" }, key: "", algorithm: "HS256" }),
  ],
  [
    "a key id that is SQL",
    () => token({ header: { kid: "k-2' UNION SELECT 'x' --" }, key: other.privateKey }),
  ],
  ["two key ids", () => token({ header: headerText.replace("}", ',"kid":"k-2"}') })],
  ["two algorithms", () => token({ header: headerText.replace("}", ',"alg":"RS256"}') })],
  ["its own key in the header: jwk", () => token({ header: { jwk: otherJwk }, key: other.privateKey })],
  [
    "the address of its key: jku",
    () => token({ header: { jku: "http://127.0.0.1:9/jwks" }, key: other.privateKey }),
  ],
  [
    "the address of its certificate: x5u",
    () => token({ header: { x5u: "http://127.0.0.1:9/x" }, key: other.privateKey }),
  ],
  ["its own certificate: x5c", () => token({ header: { x5c: ["MIIB"] }, key: other.privateKey })],
  ["jku, although rightly signed", () => token({ header: { jku: "http://127.0.0.1:9/jwks" } })],
  ["a critical extension", () => token({ header: { crit: ["x-souk"], "x-souk": true } })],
  ["an unencoded payload: b64 false", () => token({ header: { b64: false, crit: ["b64"] } })],
  ["a nested token", async () => token({ header: { cty: "JWT" }, claims: JSON.stringify(await token()) })],
  ["an encrypted token", () => encrypted()],
  ["another issuer", () => token({ claims: { iss: "http://evil.test" } })],
  ["an issuer that begins alike", () => token({ claims: { iss: `${issuer}.evil.test` } })],
  ["an issuer with a slash more", () => token({ claims: { iss: `${issuer}/` } })],
  ["a list of issuers", () => token({ claims: { iss: [issuer, "http://evil.test"] } })],
  ["no issuer", () => token({ claims: { iss: undefined } })],
  ["another audience", () => token({ claims: { aud: "other" } })],
  ["no audience", () => token({ claims: { aud: undefined } })],
  [
    "an ID token as access token",
    () => token({ header: { typ: "JWT" }, claims: { aud: "client-1", nonce: "n" } }),
  ],
  ["an ID token with our audience", () => token({ header: { typ: "JWT" } })],
  ["a logout token", () => token({ header: { typ: "logout+jwt" } })],
  ["no type", () => token({ header: { typ: undefined } })],
  ["expired", () => token({ claims: { exp: at - 1 } })],
  ["never expires", () => token({ claims: { exp: undefined } })],
  ["expires as text", () => token({ claims: { exp: String(at + 600) } })],
  ["expires at infinity", () => token({ claims: text.replace(String(at + 600), "1e999") })],
  ["holds for years", () => token({ claims: { exp: at + 1e8 } })],
  ["not yet", () => token({ claims: { nbf: at + 60 } })],
  ["issued in the future", () => token({ claims: { iat: at + 3_600, exp: at + 7_200 } })],
  ["no time of issue", () => token({ claims: { iat: undefined } })],
  ["two subjects", () => token({ claims: text.replace("}", ',"sub":"admin"}') })],
  [
    "two scopes, one written with an escape",
    () => token({ claims: text.replace("}", ',"sc\\u006fpe":"ops"}') }),
  ],
  ["two audiences by the same name", () => token({ claims: text.replace("{", '{"aud":"other",') })],
  ["a member of a member twice", () => token({ claims: text.replace("}", ',"cnf":{"jkt":"a","jkt":"b"}}') })],
  ["nobody", () => token({ claims: { sub: undefined, client_id: undefined } })],
  ["a subject that is no text", () => token({ claims: { sub: 7, client_id: undefined } })],
  ["an empty subject", () => token({ claims: { sub: "", client_id: undefined } })],
  ["a subject by the name of all guests", () => token({ claims: { sub: "guest" } })],
  ["oversized", () => token({ claims: { pad: "x".repeat(64 * 1024) } })],
  ["claims that are a list", () => token({ claims: "[]" })],
  ["claims that are no JSON", () => token({ claims: "{" })],
  ["claims that are no UTF-8", () => raw(Buffer.from([0x7b, 0xff, 0x7d]))],
  ["claims with a byte order mark", () => token({ claims: `\uFEFF${text}` })],
  ["claims in full-width letters", () => token({ claims: text.replace('"iss"', '"ｉｓｓ"') })],
  ["an algorithm in full-width letters", () => token({ header: { alg: "ＲＳ256" } })],
  ["changed claims under the old signature", async () => changed(await token())],
  ["other spelling of base64url", async () => `${await token()}=`],
  ["a signature in base64, not base64url", async () => base64(await token())],
  ["a line end within", async () => (await token()).replace(".", ".\n")],
  ["five parts", async () => `${await token()}.e30.e30`],
  ["only dots", () => ".."],
  ["not a token", () => "let-me-in"],
];

async function encrypted(): Promise<string> {
  return new CompactEncrypt(new TextEncoder().encode(text))
    .setProtectedHeader({ alg: "RSA-OAEP-256", enc: "A256GCM", typ: "at+jwt", kid: "k-2" })
    .encrypt((await generateKeyPair("RSA-OAEP-256")).publicKey);
}

async function raw(claims: Buffer): Promise<string> {
  const input = `${encode(rightHeader)}.${claims.toString("base64url")}`;
  return `${input}.${await signature(input, good.privateKey, "RSA-SHA256")}`;
}

function changed(from: string): string {
  const [head = "", , sign = ""] = from.split(".");
  return `${head}.${encode({ ...rightClaims, sub: "admin" })}.${sign}`;
}

function base64(from: string): string {
  const [head = "", claims = "", sign = ""] = from.split(".");
  return `${head}.${claims}.${Buffer.from(sign, "base64url").toString("base64")}`;
}
