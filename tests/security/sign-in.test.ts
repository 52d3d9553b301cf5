import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { exportJWK, generateKeyPair } from "jose";
import * as openid from "openid-client";
import { type Visitor, visitor } from "../../services/identity/provider/visitor.fixture.ts";
import { type TestShop, testShop } from "../e2e/shop.ts";
import { withBrowser } from "./browser.ts";
import { listener } from "./listener.ts";

/** A real OpenID client, and a real browser, sign in at a real shop. */

const who = { name: "Ada Lovelace", email: "ada@shop.test", password: "correct horse battery" };

let it: TestShop;
beforeAll(async () => {
  it = await testShop();
  const { status } = await fetch(`${it.shop.url}/api/users`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(who),
  });
  expect(status).toBe(201);
}, 600_000);
afterAll(() => it?.stop(), 60_000);

const discover = (id: string, auth: openid.ClientAuth = openid.None()): Promise<openid.Configuration> =>
  // Plain http is for loopback only: everywhere else a shop has TLS before it.
  openid.discovery(new URL(it.shop.url), id, undefined, auth, { execute: [openid.allowInsecureRequests] });

const scope = "openid profile email orders:read orders:write offline_access";
const redirect_uri = "http://127.0.0.1:51234/callback";

/** What a program does to sign its person in. */
async function signIn(config: openid.Configuration, browser: Visitor) {
  const pkceCodeVerifier = openid.randomPKCECodeVerifier();
  const [expectedState, expectedNonce] = [openid.randomState(), openid.randomNonce()];
  const address = openid.buildAuthorizationUrl(config, {
    redirect_uri,
    scope,
    prompt: "consent",
    code_challenge: await openid.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: "S256",
    state: expectedState,
    nonce: expectedNonce,
  });
  await browser.open(address.href);
  if (browser.text.includes('name="password"'))
    await browser.submit("/sign-in", { email: who.email, password: who.password });
  await browser.submit("/consent");
  return {
    back: browser.at,
    checks: { pkceCodeVerifier, expectedState, expectedNonce, idTokenExpected: true },
  };
}
const browse = (): Visitor => visitor(it.shop.url, (request) => fetch(request));

/** What a browser says of a request of the shop's own pages. */
const own = { "sec-fetch-site": "same-origin", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty" };
const headersOf = ({ headers }: Request): Record<string, string> => Object.fromEntries(headers);

/** The code of a refusal that the client was given. */
const refused = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "nothing was refused",
    (error: { error?: string; code?: string }) => error.error ?? error.code ?? String(error),
  );

describe("openid-client", () => {
  test("discovers, signs in with code and PKCE, and its token opens the person's own orders", async () => {
    const config = await discover("souk-cli");
    const { back, checks } = await signIn(config, browse());
    const tokens = await openid.authorizationCodeGrant(config, back, checks);
    const claims = tokens.claims();
    expect(claims).toMatchObject({ iss: it.shop.url, aud: "souk-cli", email: who.email });
    const info = await openid.fetchUserInfo(config, tokens.access_token, claims?.sub ?? "");
    expect(info).toMatchObject({ name: who.name, email: who.email, role: "customer" });
    const asked = (path: string) =>
      fetch(`${it.shop.url}${path}`, { headers: { authorization: `Bearer ${tokens.access_token}` } });
    const posted = await fetch(`${it.shop.url}/me`, {
      method: "POST",
      headers: { authorization: `Bearer ${tokens.access_token}` },
    });
    expect(await posted.json()).toEqual(info);
    expect((await asked("/api/orders")).status).toBe(200);
    expect((await asked("/api/dead-letters")).status).toBe(403);
  }, 60_000);

  test("refreshes; a token that is used twice ends the whole family", async () => {
    const config = await discover("souk-cli");
    const { back, checks } = await signIn(config, browse());
    const first = await openid.authorizationCodeGrant(config, back, checks);
    const second = await openid.refreshTokenGrant(config, String(first.refresh_token));
    expect(second.refresh_token).not.toBe(first.refresh_token);
    const third = await openid.refreshTokenGrant(config, String(second.refresh_token));
    expect(await refused(openid.refreshTokenGrant(config, String(first.refresh_token)))).toBe(
      "invalid_grant",
    );
    expect(await refused(openid.refreshTokenGrant(config, String(third.refresh_token)))).toBe(
      "invalid_grant",
    );
  }, 60_000);

  test("revokes; and a confidential client is told which tokens hold", async () => {
    const config = await discover("souk-cli");
    const { back, checks } = await signIn(config, browse());
    const tokens = await openid.authorizationCodeGrant(config, back, checks);
    const { clientId, clientSecret } = JSON.parse(readFileSync(it.shop.home.devClient, "utf8"));
    for (const auth of [openid.ClientSecretBasic(clientSecret), openid.ClientSecretPost(clientSecret)]) {
      const machine = await discover(clientId, auth);
      const said = await openid.tokenIntrospection(machine, tokens.access_token);
      expect(said).toMatchObject({ active: true, client_id: "souk-cli", aud: "souk" });
      const { access_token } = await openid.clientCredentialsGrant(machine, { scope: "ops" });
      expect(await openid.tokenIntrospection(machine, access_token)).toMatchObject({
        active: true,
        scope: "ops",
      });
      expect(await openid.tokenIntrospection(machine, `${access_token}x`)).toEqual({ active: false });
    }
    await openid.tokenRevocation(config, String(tokens.refresh_token));
    expect(await refused(openid.refreshTokenGrant(config, String(tokens.refresh_token)))).toBe(
      "invalid_grant",
    );
  }, 60_000);

  test("gets tokens as a machine with a key of its own, once it is registered", async () => {
    const { privateKey, publicKey } = await generateKeyPair("ES256");
    const key = { ...(await exportJWK(publicKey)), kid: "warehouse-1", alg: "ES256", use: "sig" };
    const body = { name: "Warehouse", scopes: ["inventory:write"], auth: "private_key_jwt", keys: [key] };
    const { id } = (await it.api.call<{ id: string }>("/api/clients", { method: "POST", body })).body;
    const config = await discover(id, openid.PrivateKeyJwt({ key: privateKey, kid: "warehouse-1" }));
    const { access_token, scope } = await openid.clientCredentialsGrant(config);
    expect(scope).toBe("inventory:write");
    const asked = await fetch(`${it.shop.url}/api/stock`, {
      headers: { authorization: `Bearer ${access_token}` },
    });
    expect(asked.status).toBe(200);
    await it.api.call(`/api/clients/${id}`, { method: "DELETE" });
    expect(await refused(openid.clientCredentialsGrant(config))).toBe("invalid_client");
  }, 60_000);

  test("is not taken in: another issuer's answer (mix-up), another state, a code for the second time", async () => {
    const config = await discover("souk-cli");
    const { back, checks } = await signIn(config, browse());
    const elsewhere = new URL(back);
    elsewhere.searchParams.set("iss", "https://evil.example");
    expect(await refused(openid.authorizationCodeGrant(config, elsewhere, checks))).not.toBe(
      "nothing was refused",
    );
    const nameless = new URL(back);
    nameless.searchParams.delete("iss");
    expect(await refused(openid.authorizationCodeGrant(config, nameless, checks))).not.toBe(
      "nothing was refused",
    );
    const other = { ...checks, expectedState: "another" };
    expect(await refused(openid.authorizationCodeGrant(config, back, other))).not.toBe("nothing was refused");
    const tokens = await openid.authorizationCodeGrant(config, back, checks);
    expect(await refused(openid.authorizationCodeGrant(config, back, checks))).toBe("invalid_grant");
    expect(await refused(openid.refreshTokenGrant(config, String(tokens.refresh_token)))).toBe(
      "invalid_grant",
    );
  }, 60_000);

  test("signs out: the session ends, and with it what rests on it", async () => {
    const config = await discover("souk-cli");
    const browser = browse();
    const { back, checks } = await signIn(config, browser);
    const { id_token } = await openid.authorizationCodeGrant(config, back, checks);
    const address = openid.buildEndSessionUrl(config, { id_token_hint: String(id_token) });
    await browser.open(address.href);
    await browser.submit("/session/end/confirm", {}, "logout");
    expect(browser.at.pathname).toBe("/session/end/success");
    await browser.open(
      `/auth?${new URLSearchParams({
        client_id: "souk-cli",
        redirect_uri,
        response_type: "code",
        scope: "openid",
        code_challenge: "x".repeat(43),
        code_challenge_method: "S256",
      })}`,
    );
    expect(browser.text).toContain('name="password"');
  }, 60_000);
});

describe("through the gateway", () => {
  test("a person signs in to a session of the gateway: the browser has no token, and reads what is its own", async () => {
    const ask = (request: Request) =>
      fetch(new Request(request, { headers: { ...own, ...headersOf(request) } }));
    const browser = visitor(it.shop.url, ask, "/nowhere");
    await browser.open("/session/sign-in?return_to=%2Fapi%2Fusers%2Fme");
    expect(browser.text).toContain("to go on to Souk");
    await browser.submit("/sign-in", { email: who.email, password: who.password });
    expect(browser.at.pathname).toBe("/api/users/me");
    expect(JSON.parse(browser.text)).toMatchObject({ email: who.email });
    await browser.open("/session");
    expect(JSON.parse(browser.text)).toMatchObject({ signedIn: true, name: who.name });
    for (const { value } of browser.cookies.values()) expect(value).not.toStartWith("eyJ");
  }, 60_000);

  test("pages carry their own policy, cookies are signed, for servers only and same-site", async () => {
    const browser = await browse().open(
      `/auth?${new URLSearchParams({
        client_id: "souk-web",
        redirect_uri: `${it.shop.url}/session/callback`,
        response_type: "code",
        scope: "openid",
        code_challenge: "x".repeat(43),
        code_challenge_method: "S256",
      })}`,
    );
    expect(browser.headers.get("content-security-policy")).toContain("frame-ancestors 'none'");
    expect(browser.headers.get("content-security-policy")).not.toContain("unsafe");
    expect(browser.headers.get("x-frame-options")).toBe("DENY");
    expect(browser.headers.get("x-content-type-options")).toBe("nosniff");
    expect(browser.headers.get("referrer-policy")).toBe("no-referrer");
    const names = [...browser.cookies.keys()].map((name) => name.split(" ")[0]);
    expect(names).toContain("_interaction");
    expect(names).toContain("_interaction.sig");
    for (const { attributes } of browser.cookies.values()) {
      expect(attributes).toContain("httponly");
      expect(attributes).toMatch(/samesite=(lax|strict)/);
    }
    // A cookie that was changed is none.
    const cookie = browser
      .cookiesFor(browser.at.pathname)
      .replace(/_interaction=[^;]+/, `_interaction=${"x".repeat(43)}`);
    const forged = await fetch(browser.at, { headers: { cookie } });
    expect(forged.status).toBe(400);
  }, 60_000);
});

withBrowser("sign-in in Chromium", (open) => {
  test("registers, signs in, consents and signs out, without scripts, on a screen 320 px wide", async () => {
    const config = await discover("souk-cli");
    const back = await listener();
    const page = await open();
    /** Nothing sticks out to the side, and the browser did not object to anything. */
    const fits = async (): Promise<void> =>
      expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(320);
    try {
      const grace = { name: "Grace Hopper", email: "grace@shop.test", password: "nanoseconds on a wire" };
      const pkceCodeVerifier = openid.randomPKCECodeVerifier();
      const expectedState = openid.randomState();
      const address = openid.buildAuthorizationUrl(config, {
        redirect_uri: back.url,
        scope: "openid email orders:read",
        code_challenge: await openid.calculatePKCECodeChallenge(pkceCodeVerifier),
        code_challenge_method: "S256",
        state: expectedState,
      });
      await page.goto(address.href);
      await fits();
      await page.getByRole("link", { name: "Create an account" }).click();
      await fits();
      await page.getByLabel("Your name").fill(grace.name);
      await page.getByLabel("E-mail address").fill(grace.email);
      await page.getByLabel("New password").fill(grace.password);
      await page.getByRole("button", { name: "Create the account" }).click();
      await page.getByRole("status").waitFor();
      await page.getByLabel("E-mail address").fill(grace.email);
      await page.getByLabel("Password").fill("not this one");
      await page.keyboard.press("Enter");
      expect(await page.getByRole("alert").textContent()).toContain("do not belong together");
      await fits();
      await page.getByLabel("Password").fill(grace.password);
      await page.getByRole("button", { name: "Sign in" }).click();
      await page.getByRole("heading", { name: "May it act for you?" }).waitFor();
      await fits();
      await page.getByRole("button", { name: "Allow" }).click();
      const arrived = await back.arrived;
      await page.getByText("You can close this page").waitFor();
      const tokens = await openid.authorizationCodeGrant(config, arrived, {
        pkceCodeVerifier,
        expectedState,
      });
      expect(tokens.claims()).toMatchObject({ email: grace.email });
      await page.goto(`${it.shop.url}/session/end`);
      await fits();
      await page.getByRole("button", { name: "Sign out" }).click();
      await page.getByRole("heading", { name: "You are signed out" }).waitFor();
      await page.goto(`${it.shop.url}/session/sign-in?return_to=%2Fapi%2Fusers%2Fme`);
      await page.getByLabel("E-mail address").fill(grace.email);
      await page.getByLabel("Password").fill(grace.password);
      await page.getByRole("button", { name: "Sign in" }).click();
      await page.waitForURL(`${it.shop.url}/api/users/me`);
      expect(await page.textContent("body")).toContain(grace.name);
    } finally {
      await back.close();
    }
  }, 120_000);
});
