import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { customer, eventually, type TestShop, testShop } from "./shop.ts";

// A browser signs in, buys and signs out, with nothing but cookies and forms.

let it: TestShop;
beforeAll(async () => {
  it = await testShop({ RATE_LIMITS: "on" });
}, 600_000);
afterAll(() => it?.stop(), 60_000);

interface Page {
  status: number;
  url: string;
  text: string;
}

/** A browser as far as this needs one: it keeps cookies, follows redirects, and says which page a request comes from. */
function browser() {
  const jar = new Map<string, string>();
  const received: string[] = [];

  async function once(url: URL, init: RequestInit): Promise<Response> {
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join("; ");
    const headers = { cookie, accept: "text/html", ...(init.headers as Record<string, string>) };
    const response = await fetch(url, { redirect: "manual", ...init, headers });
    received.push(JSON.stringify([...response.headers]));
    for (const line of response.headers.getSetCookie()) {
      const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      const gone = /max-age=0|expires=Thu, 01 Jan 1970/i.test(line);
      if (gone) jar.delete(name);
      else jar.set(name, value);
    }
    return response;
  }

  async function open(path: string, init: RequestInit = {}): Promise<Page> {
    let url = new URL(path, it.shop.url);
    let response = await once(url, init);
    for (let hops = 0; response.headers.has("location") && hops < 20; hops++) {
      url = new URL(response.headers.get("location") ?? "", url);
      expect(url.origin).toBe(it.shop.url);
      response = await once(url, {});
    }
    const text = await response.text();
    received.push(text);
    return { status: response.status, url: url.pathname + url.search, text };
  }

  /** Sends the form of a page, filled in. */
  function submit(page: Page, values: Record<string, string>): Promise<Page> {
    const fields = new URLSearchParams();
    for (const [input] of page.text.matchAll(/<input[^>]*type="hidden"[^>]*>/g)) {
      const attribute = (name: string) => new RegExp(`${name}="([^"]*)"`).exec(input)?.[1] ?? "";
      fields.set(attribute("name"), attribute("value"));
    }
    for (const [name, value] of Object.entries(values)) fields.set(name, value);
    const action = /<form[^>]*action="([^"]*)"/.exec(page.text)?.[1] ?? page.url;
    const headers = { origin: it.shop.url, "sec-fetch-site": "same-origin" };
    return open(action, { method: "POST", body: fields, headers });
  }

  /** As a script of the page would. */
  async function call(path: string, { headers = {}, ...init }: RequestInit = {}) {
    const own = { accept: "application/json", "sec-fetch-site": "same-origin", origin: it.shop.url };
    const response = await once(new URL(path, it.shop.url), {
      ...init,
      headers: { ...own, ...(headers as Record<string, string>) },
    });
    const text = await response.text();
    received.push(text);
    // biome-ignore lint/suspicious/noExplicitAny: whatever was asked for
    return { status: response.status, body: JSON.parse(text || "null") as any };
  }

  return { jar, received, open, submit, call };
}

const admin = (): { email: string; password: string } =>
  JSON.parse(readFileSync(join(it.shop.home.dir, "dev-admin.json"), "utf8")) as {
    email: string;
    password: string;
  };

async function signedIn() {
  const one = browser();
  const page = await one.open("/session/sign-in?return_to=%2Fhealth%3Fa%3Db");
  expect([page.status, page.url]).toEqual([200, expect.stringMatching(/^\/interaction\//)]);
  const back = await one.submit(page, admin());
  expect([back.status, back.url]).toEqual([200, "/health?a=b"]);
  const { body } = await one.call("/session");
  return { ...one, session: body as { signedIn: boolean; name: string; scopes: string[]; csrf: string } };
}

describe("a browser", () => {
  test("signs in, uses the API as the person, and never sees a token", async () => {
    const { call, session, received } = await signedIn();
    expect(session).toMatchObject({ signedIn: true, name: "Admin" });
    expect(session.scopes).toContain("orders:manage");
    expect((await call("/api/orders")).body).toMatchObject({ items: [] });
    expect((await call("/api/users/me")).body).toMatchObject({ name: "Admin", role: "admin" });

    const sku = await it.product();
    const order = { ...customer, lines: [{ sku, quantity: 1 }] };
    const place = (headers: Record<string, string>) =>
      call("/api/orders", {
        method: "POST",
        body: JSON.stringify(order),
        headers: { "content-type": "application/json", ...headers },
      });
    expect(await place({})).toMatchObject({ status: 403, body: { code: "csrf" } });
    expect(
      await place({
        "x-souk-csrf": session.csrf,
        origin: "https://evil.example",
        "sec-fetch-site": "cross-site",
      }),
    ).toMatchObject({ status: 403, body: { code: "csrf" } });
    const placed = await place({ "x-souk-csrf": session.csrf });
    expect(placed.status).toBe(202);
    expect(await it.settled(placed.body)).toMatchObject({ status: "confirmed" });
    // Three parts of base64url with two dots: a JWT, wherever it stands.
    expect(received.join("\n")).not.toMatch(/eyJ[\w-]{10,}\.eyJ[\w-]{10,}\./);
  });

  test("stays signed in when the gateway starts anew, and identity as well", async () => {
    const { call } = await signedIn();
    await it.shop.kill("gateway");
    await it.shop.kill("identity");
    await it.shop.ready(60_000);
    await eventually("the session is there again", async () => {
      const answer = await call("/session").catch(() => undefined);
      return answer?.status === 200 && answer.body.signedIn;
    });
    expect((await call("/api/orders")).status).toBe(200);
  }, 90_000);

  test("signs out here, and at identity on its page; then its cookies open nothing", async () => {
    const { call, open, submit, session, jar } = await signedIn();
    const before = new Map(jar);
    const out = await call("/session/sign-out", { method: "POST", headers: { "x-souk-csrf": session.csrf } });
    expect(out).toMatchObject({ status: 200, body: { signedIn: false } });
    expect(jar.has("souk-session")).toBe(false);
    const asked = await open(out.body.continueAt);
    expect(asked.text).toContain("<form");
    await submit(asked, { logout: "yes" });
    // Nobody is signed in at identity any more: it asks for the password again.
    expect((await open("/session/sign-in")).url).toMatch(/^\/interaction\//);

    const cookie = `souk-session=${before.get("souk-session")}`;
    const old = await fetch(`${it.shop.url}/api/orders`, { headers: { cookie } });
    expect(old.status).toBe(401);
  });

  test("that is signed in at identity does not type its password again", async () => {
    const { open, call, session } = await signedIn();
    await call("/session/sign-out", { method: "POST", headers: { "x-souk-csrf": session.csrf } });
    expect((await open("/session/sign-in?return_to=%2Fhealth")).url).toBe("/health");
    expect((await call("/session")).body).toMatchObject({ signedIn: true });
  });
});
