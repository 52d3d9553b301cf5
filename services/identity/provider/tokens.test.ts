import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import {
  ada,
  authorise,
  cli,
  exchange,
  origin,
  pkce,
  refreshing,
  type Shop,
  shop,
  signIn,
  type Tokens,
} from "./sign-in.fixture.ts";

let app: Shop;
beforeAll(async () => {
  app = await shop();
  await app.register();
});
afterAll(() => app.stop());

async function signedIn(over: Record<string, string> = {}): Promise<Tokens> {
  const { code, verifier } = await signIn(app.browse(), over);
  const { body } = await app.token(exchange(code, verifier, over));
  expect(body.refresh_token).toBeString();
  return body;
}
const refresh = async ({ refresh_token }: Tokens, over: Record<string, string> = {}) =>
  app.token(refreshing(refresh_token, over));

describe("a refresh token", () => {
  test("is used once: each brings the next one, and an access token", async () => {
    const first = await signedIn();
    const second = await refresh(first);
    expect(second.status).toBe(200);
    expect(second.body.refresh_token).not.toBe(first.refresh_token);
    expect(second.body.scope).toBe(first.scope);
    expect((await refresh(second.body)).status).toBe(200);
  });

  test("used twice ends the whole family: also the one that came last", async () => {
    const first = await signedIn();
    const second = (await refresh(first)).body;
    const third = (await refresh(second)).body;
    expect((await refresh(first)).body).toMatchObject({ error: "invalid_grant" });
    expect((await refresh(third)).body).toMatchObject({ error: "invalid_grant" });
    expect((await refresh(second)).body).toMatchObject({ error: "invalid_grant" });
  });

  test("used by two at the same moment is used twice", async () => {
    const first = await signedIn();
    const answers = await Promise.all([1, 2, 3, 4].map(() => refresh(first)));
    expect(answers.filter(({ status }) => status === 200).length).toBeLessThanOrEqual(1);
    for (const { body } of answers.filter(({ status }) => status === 200))
      expect((await refresh(body)).body).toMatchObject({ error: "invalid_grant" });
  });

  test("is of one client: another one can do nothing with it", async () => {
    const first = await signedIn();
    expect((await refresh(first, { client_id: "souk-cli" })).body).toMatchObject({ error: "invalid_grant" });
    expect((await refresh(first)).status).toBe(200);
  });

  test("gives no more scopes than were granted, and fewer where fewer are asked for", async () => {
    const first = await signedIn({ scope: "openid orders:read" });
    expect((await refresh(first, { scope: "orders:read orders:write" })).body).toMatchObject({
      error: "invalid_scope",
    });
    expect((await refresh(first, { scope: "orders:read" })).body.scope).toBe("orders:read");
  });

  test("ends with the session in the browser, unless the client was to go on while they are away", async () => {
    const browser = app.browse();
    const { code, verifier } = await signIn(browser);
    const web = (await app.token(exchange(code, verifier))).body;
    const away = await signIn(browser, {
      ...cli,
      scope: "openid orders:read offline_access",
      prompt: "consent",
    });
    const offline = (await app.token(exchange(away.code, away.verifier, cli))).body;
    expect(offline.scope).toContain("offline_access");
    await browser.open("/session/end");
    await browser.submit("/session/end/confirm", {}, "logout");
    expect((await refresh(web)).body).toMatchObject({ error: "invalid_grant" });
    expect((await refresh(offline, { client_id: "souk-cli" })).status).toBe(200);
  });
});

describe("a code", () => {
  test("used twice gives nothing, and what it gave before holds no longer", async () => {
    const { code, verifier } = await signIn(app.browse());
    const first = await app.token(exchange(code, verifier));
    expect(first.status).toBe(200);
    expect((await app.token(exchange(code, verifier))).body).toMatchObject({ error: "invalid_grant" });
    expect((await refresh(first.body)).body).toMatchObject({ error: "invalid_grant" });
  });

  test("used by two at the same moment leaves nobody with anything that lasts", async () => {
    const { code, verifier } = await signIn(app.browse());
    const answers = await Promise.all([1, 2, 3, 4].map(() => app.token(exchange(code, verifier))));
    const won = answers.filter(({ status }) => status === 200);
    expect(won.length).toBeLessThanOrEqual(1);
    for (const { body } of won) expect((await refresh(body)).body).toMatchObject({ error: "invalid_grant" });
  });
});

const form = (body: Record<string, string>, headers: Record<string, string> = {}) => ({
  method: "POST",
  body: new URLSearchParams(body).toString(),
  headers: { "content-type": "application/x-www-form-urlencoded", ...headers },
});

describe("revocation", () => {
  test("of a refresh token ends all that came of the same sign-in", async () => {
    const first = await signedIn();
    const second = (await refresh(first)).body;
    const asked = form({ token: second.refresh_token, client_id: "souk-web" });
    expect((await app.request("/token/revocation", asked)).status).toBe(200);
    expect((await refresh(second)).body).toMatchObject({ error: "invalid_grant" });
  });

  test("of another client's token does nothing", async () => {
    const first = await signedIn();
    const asked = form({ token: first.refresh_token, client_id: "souk-cli" });
    await app.request("/token/revocation", asked);
    expect((await refresh(first)).status).toBe(200);
  });
});

describe("clients that prove who they are", async () => {
  const { privateKey, publicKey } = await generateKeyPair("ES256", { extractable: true });
  const key = { ...(await exportJWK(publicKey)), kid: "w-1", alg: "ES256", use: "sig" };
  const machine = {
    auth: "private_key_jwt" as const,
    type: "web" as const,
    grants: ["client_credentials" as const],
    redirectUris: [],
    postLogoutRedirectUris: [],
  };
  beforeAll(() =>
    app.commit({
      writes: [
        app.store.saveClient({
          id: "warehouse",
          name: "Warehouse",
          secretDigest: "",
          scopes: ["inventory:write"],
          settings: { ...machine, keys: [key] },
        }),
      ],
    }),
  );

  const assertion = (over: Record<string, unknown> = {}): Promise<string> =>
    new SignJWT({
      iss: "warehouse",
      sub: "warehouse",
      aud: origin,
      jti: crypto.randomUUID(),
      iat: Math.floor(Date.now() / 1_000),
      exp: Math.floor(Date.now() / 1_000) + 60,
      ...over,
    })
      .setProtectedHeader({ alg: "ES256", kid: "w-1" })
      .sign(privateKey);
  const shown = (client_assertion: string) => ({
    client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    client_assertion,
  });
  const asMachine = (client_assertion: string) =>
    app.token({ grant_type: "client_credentials", ...shown(client_assertion) });

  test("by a key get a token, each assertion once, also when shown twice at the same moment", async () => {
    const once = await assertion();
    const { status, body } = await asMachine(once);
    expect(body).toMatchObject({ scope: "inventory:write", token_type: "Bearer" });
    expect(status).toBe(200);
    expect((await asMachine(once)).body).toMatchObject({ error: "invalid_client" });
    const twice = await assertion();
    const answers = await Promise.all([1, 2, 3].map(() => asMachine(twice)));
    expect(answers.filter((answer) => answer.status === 200)).toHaveLength(1);
  });

  test.each([
    ["for another audience", { aud: "https://else.example" }],
    ["in another's name", { iss: "development", sub: "development" }],
    ["that has expired", { exp: Math.floor(Date.now() / 1_000) - 60 }],
  ])("by an assertion %s get none", async (_, over) => {
    expect((await asMachine(await assertion(over))).body).toMatchObject({ error: "invalid_client" });
  });

  test("may ask whether a token holds; public ones may not", async () => {
    const { access_token } = await signedIn();
    const confidential = { token: access_token, ...shown(await assertion()) };
    const said = await (await app.request("/token/introspection", form(confidential))).json();
    expect(said).toMatchObject({ active: true, client_id: "souk-web", aud: "souk", token_type: "Bearer" });
    const unknown = { token: `${access_token.slice(0, -4)}AAAA`, ...shown(await assertion()) };
    expect(await (await app.request("/token/introspection", form(unknown))).json()).toEqual({
      active: false,
    });
    const open = { token: access_token, client_id: "souk-web" };
    expect(await (await app.request("/token/introspection", form(open))).json()).toEqual({ active: false });
    const nobody = await app.request("/token/introspection", form({ token: access_token }));
    expect(nobody.status).toBe(400);
  });

  test("do not learn of others' refresh tokens", async () => {
    const { refresh_token } = await signedIn();
    const asked = form({ token: refresh_token, ...shown(await assertion()) });
    expect(await (await app.request("/token/introspection", asked)).json()).toEqual({ active: false });
  });

  test("are told that a token is of somebody who is gone", async () => {
    const { id } = await app.register({ email: "gone@shop.test" });
    const who = { email: "gone@shop.test", password: ada.password };
    const { code, verifier } = await signIn(app.browse(), {}, who);
    const { body } = await app.token(exchange(code, verifier));
    await app.staff(`/users/${id}`, { method: "DELETE" });
    const asked = form({ token: body.access_token, ...shown(await assertion()) });
    expect(await (await app.request("/token/introspection", asked)).json()).toEqual({ active: false });
    expect((await refresh(body)).body).toMatchObject({ error: "invalid_grant" });
  });
});

describe("what is kept", () => {
  test("for a machine with a secret is nothing", async () => {
    const { digest } = await import("./secret.ts");
    const secret = "s".repeat(43);
    await app.commit({
      writes: [app.store.saveClient({ id: "m", name: "M", secretDigest: digest(secret), scopes: ["ops"] })],
    });
    const before = await app.rows("provider_state");
    const { status } = await app.token({
      grant_type: "client_credentials",
      client_id: "m",
      client_secret: secret,
    });
    expect(status).toBe(200);
    expect(await app.rows("provider_state")).toBe(before);
  });

  test("of a person who is erased is nothing", async () => {
    const { id } = await app.register({ email: "tess@shop.test" });
    const browser = app.browse();
    await signIn(browser, {}, { email: "tess@shop.test", password: ada.password });
    await browser.open(authorise(pkce().challenge, { ...cli, prompt: "consent" }));
    expect(await app.kept()).toContain(`"account":"${id}"`);
    await app.staff(`/users/${id}`, { method: "DELETE" });
    expect(await app.kept()).not.toContain(`"account":"${id}"`);
  });

  test("opens nothing for who reads the database: digests and sealed text", async () => {
    const browser = app.browse();
    const { code, verifier } = await signIn(browser);
    const { body } = await app.token(exchange(code, verifier));
    const rows = await app.kept();
    expect(await app.rows("provider_state")).toBeGreaterThan(4);
    const session = [...browser.cookies].find(([name]) => name.startsWith("_session "))?.[1].value;
    for (const secret of [code, body.refresh_token, session ?? "", ada.email]) {
      expect(secret.length).toBeGreaterThan(8);
      expect(rows).not.toContain(secret);
    }
  });
});
