import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  ada,
  authorise,
  callback,
  cli,
  exchange,
  origin,
  pkce,
  type Shop,
  shop,
  signIn,
} from "./sign-in.fixture.ts";

let app: Shop;
beforeAll(async () => {
  app = await shop();
  await app.register();
});
afterAll(() => app.stop());

const { challenge } = pkce();

describe("a request to sign in", () => {
  test.each([
    ["an address that is not registered", "https://evil.example/"],
    ["one that begins alike", `${callback}.evil.example/`],
    ["one with a path more", `${callback}/more`],
    ["one with a query more", `${callback}?next=https://evil.example`],
    ["one with a fragment", `${callback}#x`],
    ["one with a user", "http://shop.test@evil.example/session/callback"],
    ["one in other letters", callback.toUpperCase()],
    ["one with a step up", `${origin}/session/x/../callback`],
    ["another port", "http://shop.test:81/session/callback"],
    ["another scheme", callback.replace("http:", "https:")],
    ["a script", "javascript:alert(1)"],
    ["none at all", undefined],
  ])("that would lead to %s is refused here, and leads nowhere", async (_, redirect_uri) => {
    const browser = await app.browse().open(authorise(challenge, { redirect_uri }));
    expect(browser.status).toBe(400);
    expect(browser.at.pathname).toBe("/auth");
    expect(browser.headers.get("location")).toBeNull();
    expect(browser.text).toContain("That did not work");
  });

  test("of a client that does not exist is refused here", async () => {
    const browser = await app.browse().open(authorise(challenge, { client_id: "<b>nobody</b>" }));
    expect(browser.status).toBe(400);
    expect(browser.headers.get("location")).toBeNull();
    expect(browser.text).not.toContain("<b>nobody</b>");
  });

  test.each([
    ["without PKCE", { code_challenge: undefined, code_challenge_method: undefined }, "invalid_request"],
    ["with a plain challenge", { code_challenge_method: "plain" }, "invalid_request"],
    ["with a challenge without its method", { code_challenge_method: undefined }, "invalid_request"],
    ["for an access token (implicit)", { response_type: "token" }, "invalid_request"],
    ["for an ID token (implicit)", { response_type: "id_token" }, "invalid_request"],
    ["for both a code and a token", { response_type: "code token" }, "invalid_request"],
    ["with a request object", { request: "e30.e30." }, "request_not_supported"],
    ["for a scope that the client may not have", { scope: "openid admin:everything" }, undefined],
    ["for another resource", { resource: "https://else.example" }, "invalid_target"],
  ])("%s is refused to the client, with the issuer's name", async (_, over, error) => {
    const browser = await app.browse().open(authorise(challenge, over));
    if (error === undefined) {
      // A scope that nobody knows is not given, which is all there is to it.
      expect(browser.text).toContain('name="password"');
      return;
    }
    expect(browser.at.href).toStartWith(callback);
    const said = browser.at.href.includes("#")
      ? new URLSearchParams(browser.at.hash.slice(1))
      : browser.at.searchParams;
    expect(said.get("error")).toBe(error);
    expect(said.get("iss")).toBe(origin);
    expect(said.get("code")).toBeNull();
  });

  test.each(["form_post", "fragment", "web_message"])("by %s is refused here", async (response_mode) => {
    const browser = await app.browse().open(authorise(challenge, { response_mode }));
    expect(browser.status).toBe(400);
    expect(browser.text).not.toContain("<script");
  });

  test("answered with a code names the issuer as well (RFC 9207)", async () => {
    const { at } = await signIn(app.browse());
    expect(at.searchParams.get("iss")).toBe(origin);
  });

  test("is not taken by POST: nothing but a page of ours sends a form here", async () => {
    const answer = await app.request("/auth", { method: "POST", body: "client_id=souk-web" });
    expect(answer.status).toBe(404);
  });
});

describe("a code", () => {
  test.each([
    ["without the verifier", { code_verifier: undefined }],
    ["with another verifier", { code_verifier: pkce().verifier }],
    ["with the challenge in the place of the verifier", { code_verifier: "challenge" }],
    ["by another client", { client_id: "souk-cli" }],
    ["for another redirect URI", { redirect_uri: `${callback}/` }],
    ["without the redirect URI", { redirect_uri: undefined }],
  ])("is worth nothing %s", async (_, over) => {
    const browser = app.browse();
    const { verifier, challenge } = pkce();
    await browser.open(authorise(challenge));
    await browser.submit("/sign-in", { email: ada.email, password: ada.password });
    const code = browser.at.searchParams.get("code") ?? "";
    const changed: Record<string, string | undefined> = { ...exchange(code, verifier), ...over };
    if (changed.code_verifier === "challenge") changed.code_verifier = challenge;
    const sent = Object.entries(changed).filter((entry): entry is [string, string] => entry[1] !== undefined);
    const { status, body } = await app.token(Object.fromEntries(sent));
    expect(status).toBe(400);
    expect(["invalid_grant", "invalid_request"]).toContain(body.error ?? "");
    expect(body.access_token).toBeUndefined();
  });
});

describe("a form", () => {
  const arrived = async () => {
    const browser = await app.browse().open(authorise(challenge));
    const { action, fields } = browser.form("/sign-in");
    return { browser, action, fields: { ...fields, email: ada.email, password: ada.password } };
  };

  test.each([
    ["without its token", { token: "" }, {}],
    ["with the token of another form", { token: "x".repeat(43) }, {}],
    ["sent by another site", {}, { "sec-fetch-site": "cross-site" }],
    ["sent by a neighbour", {}, { "sec-fetch-site": "same-site" }],
  ])("%s signs nobody in", async (_, over, headers) => {
    const { browser, action, fields } = await arrived();
    await browser.post(action, { ...fields, ...over }, headers);
    expect(browser.status).toBe(403);
    expect(browser.at.searchParams.get("code")).toBeNull();
  });

  test("that was begun in another browser signs nobody in: no session is forced on anybody", async () => {
    const { action, fields } = await arrived();
    const victim = await app.browse().post(action, fields);
    expect(victim.status).toBe(400);
    expect([...victim.cookies.keys()].filter((name) => name.startsWith("_session"))).toEqual([]);
  });

  test.each(["/register", "/forgot-password", "/reset-password", "/verify-email"])(
    "of %s counts only with the cookie and the token of its page",
    async (path) => {
      const typed = { email: ada.email, password: ada.password, name: "Ada", link: "x".repeat(43) };
      const before = (await app.mails()).length;
      expect((await app.browse().post(path, typed)).status).toBe(403);
      const browser = await app.browse().open(path);
      const { fields } = browser.form(path);
      expect((await app.browse().post(path, { ...fields, ...typed })).status).toBe(403);
      const other = await app.browse().open(path === "/register" ? "/forgot-password" : "/register");
      const foreign = other.form(path === "/register" ? "/forgot-password" : "/register").fields;
      expect((await browser.post(path, { ...typed, ...foreign })).status).toBe(403);
      expect(await app.mails()).toHaveLength(before);
    },
  );

  test("does not lead on to another client's address", async () => {
    const browser = await app.browse().open(authorise(challenge, cli));
    expect(browser.headers.get("content-security-policy")).toContain(
      "form-action 'self' http://127.0.0.1:51234;",
    );
    await browser.open(authorise(challenge));
    expect(browser.headers.get("content-security-policy")).toContain(`form-action 'self' ${origin};`);
  });
});

describe("signing out", () => {
  test.each([
    ["an address that is not registered", "https://evil.example/"],
    ["the address of signing in", callback],
  ])(
    "leads nowhere but to what the client has registered: not to %s",
    async (_, post_logout_redirect_uri) => {
      const asked = new URLSearchParams({ client_id: "souk-web", post_logout_redirect_uri });
      const browser = await app.browse().open(`/session/end?${asked}`);
      expect(browser.status).toBe(400);
      expect(browser.headers.get("location")).toBeNull();
    },
  );

  test("leads nowhere where no client is named", async () => {
    const browser = app.browse();
    await signIn(browser);
    await browser.open(
      `/session/end?${new URLSearchParams({ post_logout_redirect_uri: "https://evil.example/" })}`,
    );
    await browser.submit("/session/end/confirm", {}, "logout");
    expect(browser.at.href).toBe(`${origin}/session/end/success`);
  });

  test("happens only when the person says so: another site cannot sign anybody out", async () => {
    const browser = app.browse();
    await signIn(browser);
    await browser.post("/session/end/confirm", { logout: "yes", xsrf: "guessed" });
    expect(browser.status).toBe(400);
    await browser.open(authorise(challenge));
    expect(browser.at.searchParams.get("code")).toBeString();
  });
});
