import { Database } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import {
  ada,
  authorise,
  cli,
  exchange,
  origin,
  pkce,
  refreshing,
  replicas,
  type Shop,
  shop,
  signIn,
} from "./sign-in.fixture.ts";
import type { Visitor } from "./visitor.fixture.ts";

let app: Shop;
beforeAll(async () => {
  app = await shop();
  await app.register();
});
afterAll(() => app.stop());

const { challenge } = pkce();
const toSignIn = () => app.browse().open(authorise(challenge));

describe("every page", () => {
  const pages: [string, () => Promise<Visitor>][] = [
    ["sign in", toSignIn],
    [
      "sign in, after a wrong password",
      async () => (await toSignIn()).submit("/sign-in", { email: "a", password: "b" }),
    ],
    [
      "register on the way",
      async () => {
        const browser = await toSignIn();
        return browser.open(`${browser.at.pathname}/register`);
      },
    ],
    [
      "register, with mistakes",
      async () => (await app.browse().open("/register")).submit("/register", { email: "x" }),
    ],
    ["register", () => app.browse().open("/register")],
    [
      "consent",
      async () => {
        const browser = await app.browse().open(authorise(challenge, cli));
        return browser.submit("/sign-in", { email: ada.email, password: ada.password });
      },
    ],
    ["forgotten password", () => app.browse().open("/forgot-password")],
    ["new password", () => app.browse().open("/reset-password?token=abc")],
    ["verify e-mail", () => app.browse().open("/verify-email?token=abc")],
    ["a refusal", () => app.browse().open(authorise(challenge, { client_id: "nobody" }))],
    ["a page that is over", () => app.browse().open("/interaction/gone")],
    [
      "sign out",
      async () => {
        const browser = app.browse();
        await signIn(browser);
        return browser.open("/session/end");
      },
    ],
    ["sign out, signed out", () => app.browse().open("/session/end")],
    ["signed out", () => app.browse().open("/session/end/success")],
  ];

  test.each(pages)("is safe and plain: %s", async (_, open) => {
    const { text, headers } = await open();
    expect(headers.get("content-type")?.toLowerCase()).toBe("text/html; charset=utf-8");
    const policy = headers.get("content-security-policy") ?? "";
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).toContain("base-uri 'none'");
    expect(policy).not.toContain("unsafe");
    expect(headers.get("cache-control")).toContain("no-store");
    expect(text).not.toMatch(/<script|\son\w+=|style="|javascript:/i);
    const styles = [...text.matchAll(/<style>(.*?)<\/style>/gs)].map(([, style = ""]) => style);
    expect(styles).toHaveLength(1);
    expect(policy).toContain(
      `'sha256-${createHash("sha256")
        .update(styles[0] ?? "")
        .digest("base64")}'`,
    );
  });

  test.each(pages)("can be used by everybody: %s", async (_, open) => {
    const { text } = await open();
    expect(text).toStartWith("<!doctype html>");
    expect(text).toContain('<html lang="en">');
    expect(text).toContain('<meta name="viewport" content="width=device-width, initial-scale=1">');
    expect(text.match(/<h1>/g)).toHaveLength(1);
    expect(text).toMatch(/<title>[^<]{5,} · Souk<\/title>/);
    expect(text).toContain("<main>");
    for (const [, input = ""] of text.matchAll(/<input([^>]*)>/g)) {
      if (input.includes('type="hidden"')) continue;
      const id = /\bid="([^"]+)"/.exec(input)?.[1];
      expect(text).toContain(`<label for="${id}">`);
      expect(input).toMatch(/autocomplete="(username|email|name|current-password|new-password)"/);
      const about = /aria-describedby="([^"]+)"/.exec(input)?.[1];
      if (about) expect(text).toContain(`id="${about}"`);
    }
    const ids = [...text.matchAll(/\bid="([^"]+)"/g)].map(([, id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
    // Nothing is wider than a narrow screen: no width is fixed.
    expect(text).not.toMatch(/[^-]width: *\d{3,}px|min-width: *\d+(rem|px)/);
    for (const [, form = ""] of text.matchAll(/<form[^>]*>(.*?)<\/form>/gs))
      expect(form).toContain("<button");
  });
});

describe("pages and cookies", () => {
  test("are left by 303: a password is not sent on", async () => {
    const browser = await toSignIn();
    await browser.submit("/sign-in", { email: ada.email, password: ada.password });
    expect(browser.way.length).toBeGreaterThan(1);
    for (const { status } of browser.way) expect(status).toBe(303);
  });

  test("are secure where the shop is reached over https", async () => {
    const several = await replicas();
    try {
      const app = await several.start({ PUBLIC_URL: "https://shop.test" });
      const browser = await app
        .browse()
        .open(authorise(challenge, { redirect_uri: "https://shop.test/session/callback" }));
      expect(browser.cookies.size).toBeGreaterThan(2);
      const forms = await app.browse().open("/register");
      expect([...forms.cookies.keys()]).toEqual(["__Host-forms /"]);
      for (const { attributes } of [...browser.cookies.values(), ...forms.cookies.values()])
        expect(attributes).toMatch(/(^|; )secure(;|$)/);
    } finally {
      await several.stop();
    }
  });
});

test("a failure is a page for people and a problem for programs, and says nothing of the inside", async () => {
  const several = await replicas();
  try {
    const app = await several.start();
    const browser = await app.browse().open(authorise(challenge));
    const database = new Database(several.file);
    database.run("drop table provider_state");
    database.close();
    for (const address of [browser.at.pathname, authorise(challenge)]) {
      await browser.open(address);
      expect(browser.status).toBe(500);
      expect(browser.text).toContain("That did not work");
      expect(browser.text).not.toContain("provider_state");
    }
    const answer = await app.token(refreshing("x".repeat(43)));
    expect(answer).toMatchObject({ status: 503, body: { code: "unavailable" } });
    expect(JSON.stringify(answer.body)).not.toContain("provider_state");
  } finally {
    await several.stop();
  }
});

describe("an account", () => {
  test("is made on the way, and the person goes on where they were", async () => {
    const browser = await toSignIn();
    const base = browser.at.pathname;
    await browser.open(`${base}/register`);
    const mary = { name: "Mary <Jackson>", email: "mary@shop.test", password: "wind tunnel 1951" };
    await browser.submit("/register", mary);
    expect(browser.at.pathname).toBe(base);
    expect(browser.text).toContain("We have sent you a mail");
    await browser.submit("/sign-in", { email: mary.email, password: mary.password });
    expect(browser.at.searchParams.get("code")).toBeString();
    expect(await app.lastMail()).toMatchObject({ template: "verify-email", to: mary.email });
  });

  test("is made once although the button was pressed twice: one account, one mail", async () => {
    const browser = await app.browse().open("/register");
    const { fields } = browser.form("/register");
    const typed = { ...fields, name: "Kay", email: "kay@shop.test", password: "two at the same time" };
    const before = (await app.mails()).length;
    const press = () =>
      app.request("/register", {
        method: "POST",
        body: new URLSearchParams(typed).toString(),
        headers: {
          "content-type": "application/x-www-form-urlencoded",
          cookie: browser.cookiesFor("/register"),
        },
      });
    const both = await Promise.all([press(), press()]);
    expect(both.map(({ status }) => status)).toEqual([200, 200]);
    expect(await app.mails()).toHaveLength(before + 1);
  });

  test("of an address that has one already looks the same to whoever asks", async () => {
    const page = async (email: string) => {
      const browser = await app.browse().open("/register");
      await browser.submit("/register", { name: "Ada", email, password: "correct horse battery" });
      return { status: browser.status, text: browser.text };
    };
    expect(await page(ada.email)).toEqual(await page("nobody-yet@shop.test"));
  });

  test("is not made with a password that is easily guessed, and the page says why by the field", async () => {
    const browser = await app.browse().open("/register");
    await browser.submit("/register", {
      name: "<i>Sue</i>",
      email: "sue@shop.test",
      password: "password123",
    });
    expect(browser.status).toBe(422);
    expect(browser.text).toContain('aria-invalid="true"');
    expect(browser.text).toContain('value="&lt;i&gt;Sue&lt;/i&gt;"');
    expect(browser.text).not.toContain("password123");
  });

  test("is confirmed by the link in the mail, once, by a button and not by opening it", async () => {
    await app.register({ email: "vera@shop.test" });
    const { link } = await app.lastMail();
    const browser = await app.browse().open(link.replace(/^https?:\/\/[^/]+/, origin));
    await app.browse().open(link.replace(/^https?:\/\/[^/]+/, origin));
    await browser.submit("/verify-email");
    expect(browser.text).toContain("is confirmed");
    const again = await app.browse().open(link.replace(/^https?:\/\/[^/]+/, origin));
    await again.submit("/verify-email");
    expect(again.status).toBe(422);
  });

  test("gets a new password by mail, and whatever was signed in is no more", async () => {
    const who = { email: "lena@shop.test", password: ada.password };
    await app.register({ email: who.email });
    const browser = app.browse();
    const { code, verifier } = await signIn(browser, {}, who);
    const { body } = await app.token(exchange(code, verifier));
    const forgot = await app.browse().open("/forgot-password");
    await forgot.submit("/forgot-password", { email: who.email });
    expect(forgot.text).toContain("a link is on its way");
    const { link, template } = await app.lastMail();
    expect(template).toBe("reset-password");
    const reset = await app.browse().open(link.replace(/^https?:\/\/[^/]+/, origin));
    await reset.submit("/reset-password", { password: "another one entirely" });
    expect(reset.text).toContain("Your new password is saved");

    expect((await app.token(refreshing(body.refresh_token))).body).toMatchObject({ error: "invalid_grant" });
    await browser.open(authorise(challenge));
    await browser.submit("/sign-in", { email: who.email, password: who.password });
    expect(browser.status).toBe(422);
    await browser.submit("/sign-in", { email: who.email, password: "another one entirely" });
    expect(browser.at.searchParams.get("code")).toBeString();
  });
});

describe("signing out", () => {
  test("ends the session, and leads back to the client", async () => {
    const browser = app.browse();
    const { code, verifier } = await signIn(browser);
    const { body } = await app.token(exchange(code, verifier));
    const asked = { id_token_hint: body.id_token, post_logout_redirect_uri: `${origin}/`, state: "bye" };
    await browser.open(`/session/end?${new URLSearchParams(asked)}`);
    expect(browser.text).toContain("Sign out?");
    await browser.submit("/session/end/confirm", {}, "logout");
    expect(browser.way[0]?.headers.get("location")).toBe(`${origin}/?state=bye`);
    await browser.open(authorise(challenge));
    expect(browser.text).toContain('name="password"');
    expect((await app.token(refreshing(body.refresh_token))).body).toMatchObject({ error: "invalid_grant" });
  });

  test("may be thought better of", async () => {
    const browser = app.browse();
    await signIn(browser);
    await browser.open("/session/end");
    await browser.submit("/session/end/confirm");
    await browser.open(authorise(challenge));
    expect(browser.at.searchParams.get("code")).toBeString();
  });

  test("of who is signed out already needs a button and no script", async () => {
    const asked = new URLSearchParams({ client_id: "souk-web", post_logout_redirect_uri: `${origin}/` });
    const browser = await app.browse().open(`/session/end?${asked}`);
    await browser.submit("/session/end/confirm", {}, "logout");
    expect(browser.way[0]?.headers.get("location")).toBe(`${origin}/`);
  });

  test("happens first when somebody else signs in in the same browser", async () => {
    await app.register({ email: "joan@shop.test" });
    const browser = app.browse();
    await signIn(browser);
    await browser.open(authorise(challenge, { prompt: "login" }));
    await browser.submit("/sign-in", { email: "joan@shop.test", password: ada.password });
    expect(browser.text).not.toContain("<script");
    await browser.submit("/session/end/confirm", {}, "logout");
    expect(browser.at.searchParams.get("code")).toBeString();
  });
});

describe("/me", () => {
  test("says who the token is for, as far as its scopes go", async () => {
    const { id } = await app.register({ email: "me@shop.test" });
    const asked = (scopes: string[], method = "GET") => app.as(id, "/me", { scopes, method });
    expect(await (await asked(["openid"])).json()).toEqual({ sub: id });
    expect(await (await asked(["openid", "email", "profile"], "POST")).json()).toEqual({
      sub: id,
      name: ada.name,
      locale: "en",
      role: "customer",
      email: "me@shop.test",
      email_verified: false,
    });
    expect((await asked(["orders:read"])).status).toBe(403);
    expect((await app.request("/me")).status).toBe(401);
    expect((await app.request("/me", { scopes: ["openid"], caller: "a-machine" })).status).toBe(401);
    await app.staff(`/users/${id}`, { method: "DELETE" });
    expect((await asked(["openid"])).status).toBe(401);
  });
});
