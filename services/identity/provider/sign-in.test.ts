import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from "jose";
import {
  ada,
  authorise,
  callback,
  cli,
  exchange,
  loopback,
  pkce,
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

const sorted = (scope: string | null): string[] => (scope ?? "").split(" ").sort();

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
    const keys = createLocalJWKSet((await (await app.request("/jwks")).json()) as JSONWebKeySet);
    const access = await jwtVerify(body.access_token, keys, {
      issuer: "http://shop.test",
      audience: "souk",
      typ: "at+jwt",
    });
    expect(access.payload).toMatchObject({ sub: userId, client_id: "souk-web", scope: body.scope });
    const id = await jwtVerify(body.id_token, keys, { issuer: "http://shop.test", audience: "souk-web" });
    expect(id.payload).toMatchObject({ sub: userId, nonce: "n-1", email: ada.email, name: ada.name });
  });

  test("once for a browser: the next request needs no password, unless the client wants one", async () => {
    const browser = app.browse();
    await signIn(browser);
    await browser.open(authorise(pkce().challenge));
    expect(browser.at.searchParams.get("code")).toBeString();
    await browser.open(authorise(pkce().challenge, { prompt: "login" }));
    expect(browser.text).toContain('name="password"');
    await browser.submit("/sign-in", { email: ada.email, password: ada.password });
    expect(browser.at.searchParams.get("code")).toBeString();
  });

  test("not at all where the client wants to know only whether somebody is signed in", async () => {
    const browser = await app.browse().open(authorise(pkce().challenge, { prompt: "none" }));
    expect(browser.at.origin + browser.at.pathname).toBe(callback);
    expect(browser.at.searchParams.get("error")).toBe("login_required");
  });

  test("may not want to: the client hears access_denied", async () => {
    const browser = await app.browse().open(authorise(pkce().challenge));
    await browser.submit("/abort");
    expect(browser.at.searchParams.get("error")).toBe("access_denied");
    expect(browser.at.searchParams.get("state")).toBe("s-1");
  });

  test("a wrong password is said in words, what was typed stays, the password does not", async () => {
    const browser = await app.browse().open(authorise(pkce().challenge));
    const wrong = { email: ada.email, password: "not the one, not at all" };
    await browser.submit("/sign-in", wrong);
    expect(browser.status).toBe(422);
    expect(browser.text).toContain('role="alert"');
    expect(browser.form("/sign-in").fields.email).toBe(ada.email);
    expect(browser.text).not.toContain(wrong.password);
    await browser.submit("/sign-in", { password: ada.password });
    expect(browser.at.searchParams.get("code")).toBeString();
  });

  test("after too many wrong ones they have to wait, and are told how long", async () => {
    await app.register({ email: "eve@shop.test" });
    const browser = await app.browse().open(authorise(pkce().challenge));
    for (let tries = 0; tries < 5; tries++)
      await browser.submit("/sign-in", { email: "eve@shop.test", password: "wrong and wrong again" });
    await browser.submit("/sign-in", { email: "eve@shop.test", password: ada.password });
    expect(browser.status).toBe(429);
    expect(Number(browser.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(browser.text).toContain("too many wrong passwords");
  });
});

describe("consent", () => {
  test("is asked for by who the program is and what it wants, and no more is given", async () => {
    const browser = app.browse();
    const { verifier, challenge } = pkce();
    await browser.open(authorise(challenge, { ...cli, scope: "openid orders:read" }));
    await browser.submit("/sign-in", { email: ada.email, password: ada.password });
    expect(browser.text).toContain("Souk command line");
    expect(browser.text).toContain("See your orders");
    expect(browser.text).not.toContain("Place and cancel orders");
    await browser.submit("/consent");
    expect(browser.at.origin).toBe("http://127.0.0.1:51234");
    const code = browser.at.searchParams.get("code") ?? "";
    const { body } = await app.token(exchange(code, verifier, { ...cli }));
    expect(sorted(body.scope)).toEqual(["openid", "orders:read"]);
  });

  test("is asked for again by a program on the device, whoever it says it is", async () => {
    const browser = app.browse();
    await signIn(browser, cli);
    await browser.open(authorise(pkce().challenge, cli));
    expect(browser.text).toContain("/consent");
  });

  test("may be refused", async () => {
    const browser = await app.browse().open(authorise(pkce().challenge, cli));
    await browser.submit("/sign-in", { email: ada.email, password: ada.password });
    await browser.submit("/abort");
    expect(browser.at.href).toStartWith(loopback);
    expect(browser.at.searchParams.get("error")).toBe("access_denied");
  });

  test("given twice, by pressing the button twice, is given once", async () => {
    const browser = await app.browse().open(authorise(pkce().challenge, cli));
    await browser.submit("/sign-in", { email: ada.email, password: ada.password });
    const { action, fields } = browser.form("/consent");
    const cookie = browser.cookiesFor(action);
    const press = (): Promise<Response> =>
      app.request(action, {
        method: "POST",
        body: new URLSearchParams(fields).toString(),
        headers: { "content-type": "application/x-www-form-urlencoded", cookie },
      });
    const both = await Promise.all([press(), press()]);
    expect(both.map(({ status }) => status)).toEqual([303, 303]);
    await browser.open(both[1]?.headers.get("location") ?? "");
    expect(browser.at.searchParams.get("code")).toBeString();
  });
});

describe("scopes", () => {
  const wanted = "openid orders:read orders:manage catalog:write users:manage ops";

  test("are those of the person's role, however much the client asks for", async () => {
    const { code, verifier } = await signIn(app.browse(), { scope: wanted });
    const { body } = await app.token(exchange(code, verifier));
    expect(sorted(body.scope)).toEqual(["openid", "orders:read"]);
  });

  test("grow and shrink with the role, and what was signed in before the change holds no longer", async () => {
    const { id } = await app.register({ email: "grace@shop.test" });
    await app.staff(`/users/${id}`, { method: "PATCH", body: { role: "staff" } });
    const who = { email: "grace@shop.test", password: ada.password };
    const browser = app.browse();
    const { code, verifier } = await signIn(browser, { scope: wanted }, who);
    const { body } = await app.token(exchange(code, verifier));
    expect(sorted(body.scope)).toEqual(["catalog:write", "openid", "orders:manage", "orders:read"]);
    await app.staff(`/users/${id}`, { method: "PATCH", body: { role: "customer" } });
    const refresh = { grant_type: "refresh_token", client_id: "souk-web", refresh_token: body.refresh_token };
    expect((await app.token(refresh)).body.error).toBe("invalid_grant");
    await browser.open(authorise(pkce().challenge));
    expect(browser.text).toContain('name="password"');
  });
});
