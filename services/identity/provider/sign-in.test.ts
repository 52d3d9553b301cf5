import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createLocalJWKSet, decodeJwt, type JSONWebKeySet, jwtVerify } from "jose";
import {
  ada,
  authorise,
  callback,
  exchange,
  loopback,
  pkce,
  refreshing,
  type Shop,
  shop,
  signIn,
} from "./sign-in.fixture.ts";

let app: Shop;
let userId: string;
beforeAll(async () => {
  app = await shop();
  userId = (await app.register()).id;
});
afterAll(() => app.stop());

const keys = async () => createLocalJWKSet((await (await app.request("/jwks")).json()) as JSONWebKeySet);

const sorted = (scope: string): string[] => scope.split(" ").sort();

describe("a person signs in", () => {
  test("with a password, and the client gets a code, and tokens for it", async () => {
    const { code, verifier, at } = await signIn(app.browse());
    expect(at.origin + at.pathname).toBe(callback);
    expect(at.searchParams.get("state")).toBe("s-1");
    const { status, body } = await app.token(exchange(code, verifier));
    expect(body.error_description).toBeUndefined();
    expect(status).toBe(200);
    expect(body).toMatchObject({ token_type: "Bearer", expires_in: 600 });
    expect(sorted(body.scope)).toEqual(["email", "openid", "orders:read", "orders:write", "profile"]);
    const access = await jwtVerify(body.access_token, await keys(), {
      issuer: "http://shop.test",
      audience: "souk",
      typ: "at+jwt",
    });
    expect(access.payload).toMatchObject({ sub: userId, client_id: "souk-web", scope: body.scope });
    const id = await jwtVerify(body.id_token, await keys(), { audience: "souk-web" });
    expect(id.payload).toMatchObject({ sub: userId, nonce: "n-1", email: ada.email, name: ada.name });
  });
});
