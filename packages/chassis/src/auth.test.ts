import { describe, expect, test } from "bun:test";
import { exportJWK, generateKeyPair, type JSONWebKeySet, type JWTHeaderParameters, SignJWT } from "jose";
import { verifier } from "./auth.ts";
import { Problem } from "./problem.ts";

const issuer = "http://shop.test";
const audience = "souk";
const good = await generateKeyPair("RS256");
const other = await generateKeyPair("RS256");
const jwk = { ...(await exportJWK(good.publicKey)), kid: "k-1", alg: "RS256", use: "sig" };
const at = 1_700_000_000;

interface Forged {
  header?: Partial<JWTHeaderParameters>;
  claims?: Record<string, unknown>;
  key?: CryptoKey;
}

const token = ({ header = {}, claims = {}, key = good.privateKey }: Forged = {}): Promise<string> =>
  new SignJWT({
    client_id: "c-1",
    sub: "c-1",
    scope: "orders:read ops",
    iss: issuer,
    aud: audience,
    iat: at,
    exp: at + 600,
    ...claims,
  })
    .setProtectedHeader({ alg: "RS256", typ: "at+jwt", kid: "k-1", ...header })
    .sign(key);

function service(keys: () => Promise<JSONWebKeySet> = async () => ({ keys: [jwk] }), now = () => at * 1000) {
  return verifier([{ issuer, audience, algorithm: "RS256", keys }], now);
}

async function refusal(text: string): Promise<number> {
  const error: unknown = await service()(text).then(
    () => new Error("it was accepted"),
    (caught: unknown) => caught,
  );
  if (!(error instanceof Problem)) throw error;
  return error.status;
}

describe("a token", () => {
  test("names its caller and what it may", async () => {
    const caller = await service()(await token());
    expect(caller).toMatchObject({ id: "c-1", kind: "client" });
    expect([...caller.scopes]).toEqual(["orders:read", "ops"]);
    expect(await service()(await token({ claims: { sub: "user-7" } }))).toMatchObject({
      id: "user-7",
      kind: "user",
    });
  });

  test.each<[string, Forged]>([
    ["of another issuer", { claims: { iss: "http://evil.test" } }],
    ["for another audience", { claims: { aud: "other" } }],
    ["that has expired", { claims: { exp: at - 1 } }],
    ["that never expires", { claims: { exp: undefined } }],
    ["of the future", { claims: { nbf: at + 60 } }],
    ["of another type", { header: { typ: "JWT" } }],
    ["signed with another key", { key: other.privateKey }],
    ["with an unknown key id", { header: { kid: "k-9" } }],
    ["that names nobody", { claims: { sub: undefined, client_id: undefined } }],
  ])("%s is refused", async (_, forged) => {
    expect(await refusal(await token(forged))).toBe(401);
  });

  test("without a signature, or signed with the public key as a secret, is refused", async () => {
    const [, claims = ""] = (await token()).split(".");
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
    expect(await refusal(`${encode({ alg: "none", typ: "at+jwt" })}.${claims}.`)).toBe(401);
    const secret = new TextEncoder().encode(JSON.stringify(jwk));
    const confused = await new SignJWT({ sub: "c-1", iss: issuer, aud: audience, iat: at, exp: at + 600 })
      .setProtectedHeader({ alg: "HS256", typ: "at+jwt", kid: "k-1" })
      .sign(secret);
    expect(await refusal(confused)).toBe(401);
    expect(await refusal("not.a.token")).toBe(401);
  });

  test("stops holding when it expires, although it was remembered", async () => {
    let now = at * 1000;
    const verify = service(undefined, () => now);
    const text = await token();
    await verify(text);
    now += 601_000;
    await expect(verify(text)).rejects.toThrow(Problem);
  });
});

describe("keys", () => {
  test("are read again for a key id that is new, but not for every token that names one", async () => {
    let reads = 0;
    let now = at * 1000;
    let keys: JSONWebKeySet = { keys: [{ ...jwk, kid: "old" }] };
    const verify = service(
      async () => {
        reads++;
        return keys;
      },
      () => now,
    );
    await expect(verify(await token())).rejects.toThrow(Problem);
    await expect(verify(await token({ header: { kid: "k-2" } }))).rejects.toThrow(Problem);
    expect(reads).toBe(1);
    keys = { keys: [jwk] };
    now += 6_000;
    expect(await verify(await token())).toMatchObject({ id: "c-1" });
    expect(reads).toBe(2);
  });

  test("that cannot be read are said to be the reason", async () => {
    const verify = service(async () => {
      throw new Error("identity is down");
    });
    await expect(verify(await token())).rejects.toMatchObject({ status: 503, code: "keys-unavailable" });
  });
});
