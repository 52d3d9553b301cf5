import { afterEach, describe, expect, test } from "bun:test";
import { type RequestOptions, type TestService, testService } from "chassis/testing";
import type { Memory } from "./edge.ts";
import { accessToken, fakeIdentity } from "./identity.fixture.ts";
import service from "./service.ts";
import { sharedState } from "./state.fixture.ts";

const started: TestService<Memory>[] = [];
afterEach(async () => {
  for (const one of started.splice(0)) await one.stop();
});

/** A keyring with these keys, the last of which is in use. */
const ring = (...ids: string[]): string =>
  JSON.stringify({
    current: ids.at(-1),
    keys: Object.fromEntries(ids.map((id) => [id, Buffer.alloc(32, id).toString("base64url")])),
  });

/** Gateways with one state store and one identity, and what reaches the services behind them. */
async function shop({ gateways = 1, publicUrl = "http://shop.test" } = {}) {
  let ahead = 0;
  let keys = ring("k1");
  const now = () => Date.now() + ahead;
  const identity = fakeIdentity(now);
  const state = sharedState();
  const reached: { path: string; authorization: string | null; cookie: string | null }[] = [];
  const others = async (request: Request): Promise<Response> => {
    const { pathname } = new URL(request.url);
    if (pathname.startsWith("/v1.0/state/")) return state.answer(request);
    const said = await identity.answer(request);
    if (said) return said;
    const { headers } = request;
    reached.push({
      path: pathname.replace(/^.*\/method/, ""),
      authorization: headers.get("authorization"),
      cookie: headers.get("cookie"),
    });
    return Response.json({ ok: true });
  };
  const start = async () => {
    const env = { RATE_LIMIT_SHARED_EVERY_MS: "0", PUBLIC_URL: publicUrl };
    const one = await testService(service, {
      folder: import.meta.dir,
      others,
      env,
      now,
      fieldKeys: () => keys,
    });
    started.push(one);
    return one;
  };
  const all: TestService<Memory>[] = [];
  for (let i = 0; i < gateways; i++) all.push(await start());
  const [first] = all as [TestService<Memory>];
  return {
    all: all as [TestService<Memory>, TestService<Memory>],
    first,
    start,
    identity,
    state,
    reached,
    last: () => reached.at(-1),
    rotate: (...ids: string[]) => {
      keys = ring(...ids);
    },
    later: (ms: number) => {
      ahead += ms;
    },
  };
}

/** A browser, as far as cookies go. */
function browser(one: () => TestService<Memory>) {
  const jar = new Map<string, string>();
  const flags: string[] = [];
  return {
    jar,
    flags,
    async open(path: string, { headers = {}, ...rest }: RequestOptions = {}): Promise<Response> {
      const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join("; ");
      const response = await one().edge(path, {
        ...rest,
        headers: { ...(cookie ? { cookie } : {}), ...headers },
      });
      for (const line of response.headers.getSetCookie()) {
        flags.push(line);
        const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
        if (/Max-Age=0/.test(line)) jar.delete(name);
        else jar.set(name, value);
      }
      return response;
    },
  };
}
type Browser = ReturnType<typeof browser>;
type Place = Awaited<ReturnType<typeof shop>>;

async function signIn({ open }: Browser, { identity }: Place, returnTo = "/basket?a=b"): Promise<Response> {
  const begun = await open(`/session/sign-in?return_to=${encodeURIComponent(returnTo)}`);
  expect(begun.status).toBe(302);
  return open(identity.signIn(begun.headers.get("location") ?? ""));
}

async function signedIn(place: Place) {
  const one = browser(() => place.first);
  expect((await signIn(one, place)).status).toBe(303);
  const { csrf } = (await (await one.open("/session")).json()) as { csrf: string };
  const own = { origin: "http://shop.test", "sec-fetch-site": "same-origin", "x-souk-csrf": csrf };
  return { ...one, csrf, own };
}

const codeOf = async (response: Response): Promise<string> =>
  ((await response.json()) as { code: string }).code;

describe("signing in", () => {
  test("leads to identity with PKCE, state and nonce, and back to where one came from", async () => {
    const place = await shop();
    const { open, jar, flags } = browser(() => place.first);
    const begun = await open("/session/sign-in?return_to=/basket%3Fa%3Db");
    const url = new URL(begun.headers.get("location") ?? "");
    expect(url.origin + url.pathname).toBe("http://shop.test/auth");
    const asked = Object.fromEntries(url.searchParams);
    expect(asked).toMatchObject({
      client_id: "souk-web",
      response_type: "code",
      redirect_uri: "http://shop.test/session/callback",
      code_challenge_method: "S256",
      scope: "openid profile orders:read orders:write",
    });
    for (const name of ["state", "nonce", "code_challenge"]) expect(asked[name]?.length).toBeGreaterThan(30);
    const cookie = flags[0] ?? "";
    expect(cookie).toMatch(/^souk-sign-in-[0-9a-f]{8}=.*; Path=\/; Max-Age=3600; HttpOnly; SameSite=Lax$/);
    for (const secret of [asked.nonce, asked.state]) expect(cookie).not.toContain(secret ?? "");

    const back = await open(place.identity.signIn(url.href));
    expect([back.status, back.headers.get("location")]).toEqual([303, "/basket?a=b"]);
    expect([...jar.keys()]).toEqual(["souk-session"]);
    expect(flags.at(-1)).toMatch(
      /^souk-session=[\w-]{43}; Path=\/; Max-Age=2592000; HttpOnly; SameSite=Lax$/,
    );
    expect(await (await open("/session")).json()).toEqual({
      signedIn: true,
      name: "Ada",
      scopes: ["orders:read", "orders:write"],
      csrf: expect.stringMatching(/^[\w-]{43}$/),
    });
  });

  test("over https the cookies are bound to this host and to encrypted connections", async () => {
    const place = await shop({ publicUrl: "https://shop.test" });
    // The provider of this test is http://shop.test: it cannot be used from here, but nothing is said without it.
    expect((await browser(() => place.first).open("/session/sign-in")).status).toBe(503);
    const cookie = "__Host-souk-session=x";
    const { headers } = await place.first.edge("/session", { headers: { cookie } });
    expect(headers.get("strict-transport-security")).toContain("max-age=");
    const flags = (await place.first.edge("/session/sign-out", { method: "POST" })).headers.getSetCookie();
    for (const flag of flags) expect(flag).toMatch(/^__Host-souk-.*; Secure$/);
  });

  test("no token reaches the browser, and none is readable in the store", async () => {
    const place = await shop();
    const one = browser(() => place.first);
    const said: string[] = [];
    const note = async (response: Response) => {
      said.push(JSON.stringify([...response.headers]), await response.text());
    };
    await note(await signIn(one, place));
    for (const path of ["/session", "/api/orders", "/"]) await note(await one.open(path));
    const secrets = [...place.identity.seen.given, "refresh-1", "eyJ"];
    for (const secret of secrets) {
      expect(said.join()).not.toContain(secret);
      expect(place.state.text()).not.toContain(secret);
    }
    const id = one.jar.get("souk-session") ?? "";
    expect(place.state.text()).not.toContain(id);
    expect(place.state.text()).not.toContain("u_ada");
    expect(place.state.keys()).toHaveLength(1);
  });

  test.each([
    "//evil.example/",
    "/\\evil.example",
    "https://evil.example/",
    "javascript:alert(1)",
    "/%0d%0aset-cookie:a=b\r\n",
    "\t//evil.example",
    "basket",
    `/${"a".repeat(3_000)}`,
  ])("does not lead to %j", async (returnTo) => {
    const place = await shop();
    const response = await place.first.edge(`/session/sign-in?return_to=${encodeURIComponent(returnTo)}`);
    expect(response.status).toBe(400);
    expect(await codeOf(response)).toBe("invalid-return");
  });

  test("needs the browser in which it was begun, once", async () => {
    const place = await shop();
    const victim = browser(() => place.first);
    const attacker = browser(() => place.first);
    const begun = await attacker.open("/session/sign-in");
    const back = place.identity.signIn(begun.headers.get("location") ?? "");
    const refused = await victim.open(back);
    expect([refused.status, await codeOf(refused)]).toEqual([400, "sign-in-expired"]);
    expect(victim.jar.size).toBe(0);
    expect((await attacker.open(back)).status).toBe(303);
    expect((await attacker.open(back)).status).toBe(400);
  });

  test.each([
    ["another nonce", { nonce: "another" }],
    ["another audience", { aud: "somebody" }],
    ["another issuer", { iss: "http://evil.example" }],
    ["an ID token that has ended", { exp: 1 }],
  ])("refuses %s", async (_what, claims) => {
    const place = await shop();
    place.identity.settings.claims = claims;
    const one = browser(() => place.first);
    const response = await signIn(one, place);
    expect([response.status, await codeOf(response)]).toEqual([400, "sign-in-failed"]);
    expect(one.jar.has("souk-session")).toBe(false);
    expect(place.state.keys()).toEqual([]);
  });

  test("that was refused says so on a page", async () => {
    const place = await shop();
    const one = browser(() => place.first);
    const begun = await one.open("/session/sign-in");
    const state = new URL(begun.headers.get("location") ?? "").searchParams.get("state");
    const query = `error=access_denied&iss=http%3A%2F%2Fshop.test&state=${state}&error_description=<script>`;
    const response = await one.open(`/session/callback?${query}`, { headers: { accept: "text/html" } });
    expect(response.status).toBe(400);
    expect(response.headers.get("content-type")).toStartWith("text/html");
    expect(response.headers.get("content-security-policy")).not.toContain("unsafe");
    expect(await response.text()).not.toContain("<script>");
    expect(one.jar.size).toBe(0);
  });

  test("again makes a new session and ends the one before", async () => {
    const place = await shop();
    const one = browser(() => place.first);
    await signIn(one, place);
    const before = one.jar.get("souk-session");
    await signIn(one, place);
    expect(one.jar.get("souk-session")).not.toBe(before);
    expect(place.identity.seen.revoked).toEqual(["refresh-1"]);
    const old = await place.first.edge("/session", { headers: { cookie: `souk-session=${before}` } });
    expect(await old.json()).toEqual({ signedIn: false });
  });
});

describe("a request with the session's cookie", () => {
  test("carries the person's token to the service, and no cookie", async () => {
    const place = await shop();
    const { open } = await signedIn(place);
    const response = await open("/api/orders", { headers: { "sec-fetch-site": "same-origin" } });
    expect(response.status).toBe(200);
    const token = accessToken("u_ada", ["orders:read", "orders:write"], 1);
    expect(place.last()).toEqual({ path: "/orders", authorization: `Bearer ${token}`, cookie: null });
    expect(response.headers.get("vary")).toContain("Cookie");
    expect(response.headers.get("ratelimit-policy")).toStartWith('"reads-user"');
  });

  test("that brings a token of its own is that token's", async () => {
    const place = await shop();
    const { open } = await signedIn(place);
    await open("/api/orders", { scopes: ["ops"], caller: "machine" });
    expect(place.last()?.authorization).not.toContain(accessToken("u_ada", [], 1).slice(0, 20));
  });

  test("of another site's page gets what everybody gets", async () => {
    const place = await shop();
    const { open } = await signedIn(place);
    for (const site of ["cross-site", "same-site"]) {
      await open("/api/orders", { headers: { "sec-fetch-site": site } });
      expect(place.last()?.authorization).toBeNull();
      expect(await (await open("/session", { headers: { "sec-fetch-site": site } })).json()).toEqual({
        signedIn: false,
      });
    }
  });

  test("that changes something needs to come from our own page, and to say what only that can know", async () => {
    const place = await shop();
    const { open, own } = await signedIn(place);
    const post = (headers: Record<string, string>) =>
      open("/api/orders", { method: "POST", body: {}, headers });
    expect((await post(own)).status).toBe(200);
    const { origin, "sec-fetch-site": site, "x-souk-csrf": csrf } = own;
    expect((await post({ origin, "x-souk-csrf": csrf })).status).toBe(200);
    expect((await post({ "sec-fetch-site": site, "x-souk-csrf": csrf })).status).toBe(200);
    const reached = place.reached.length;
    for (const headers of [
      { origin, "sec-fetch-site": site },
      { "x-souk-csrf": csrf },
      { ...own, "x-souk-csrf": `${csrf}x` },
      { ...own, "x-souk-csrf": "" },
      { ...own, origin: "http://evil.example" },
      { ...own, origin: "null" },
      { ...own, origin: "https://shop.test" },
      { ...own, "sec-fetch-site": "same-site" },
      { ...own, "sec-fetch-site": "cross-site" },
      { ...own, "sec-fetch-site": "none" },
    ]) {
      const refused = await post(headers as Record<string, string>);
      expect([refused.status, await codeOf(refused)]).toEqual([403, "csrf"]);
    }
    for (const method of ["PUT", "PATCH", "DELETE"])
      expect((await open("/api/products/A", { method, body: {} })).status).toBe(403);
    expect(place.reached.length).toBe(reached);
  });

  test("another session's value does not do", async () => {
    const place = await shop();
    const one = await signedIn(place);
    const other = await signedIn(place);
    expect((await one.open("/api/orders", { method: "POST", body: {}, headers: other.own })).status).toBe(
      403,
    );
  });

  test("that nobody gave is a guest's, and forgotten; who tries many is stopped", async () => {
    const place = await shop();
    const cookie = `souk-session=${"x".repeat(43)}`;
    const response = await place.first.edge("/api/orders", { headers: { cookie } });
    expect(place.last()?.authorization).toBeNull();
    expect(response.headers.getSetCookie()[0]).toStartWith("souk-session=; Path=/; Max-Age=0");
    const tries = Array.from({ length: 599 }, (_, i) => ({
      cookie: `souk-session=${String(i).padEnd(43, "x")}`,
    }));
    for (const headers of tries)
      expect((await place.first.edge("/api/products", { headers })).status).toBe(200);
    expect((await place.first.edge("/api/products", { headers: { cookie } })).status).toBe(429);
  });

  test("is not known when it is there twice", async () => {
    const place = await shop();
    const { jar } = await signedIn(place);
    const cookie = `souk-session=${jar.get("souk-session")}; souk-session=${"x".repeat(43)}`;
    await place.first.edge("/api/orders", { headers: { cookie } });
    expect(place.last()?.authorization).toBeNull();
  });
});

describe("an access token that ends", () => {
  test("is replaced, once, however many ask at the same time and at however many gateways", async () => {
    const place = await shop({ gateways: 2 });
    const { jar } = await signedIn(place);
    const cookie = `souk-session=${jar.get("souk-session")}`;
    place.later(601_000);
    const asked = Array.from({ length: 40 }, (_, i) =>
      (place.all[i % 2] as TestService<Memory>).edge("/api/orders", { headers: { cookie } }),
    );
    expect((await Promise.all(asked)).map(({ status }) => status)).toEqual(Array(40).fill(200));
    expect(place.identity.seen).toMatchObject({ refreshed: 1, reused: 0 });
    const tokens = new Set(place.reached.slice(-40).map(({ authorization }) => authorization));
    expect([...tokens]).toEqual([`Bearer ${place.identity.seen.given[1]}`]);
  });

  test("is replaced again and again, after a restart as well", async () => {
    const place = await shop();
    const { jar } = await signedIn(place);
    const cookie = `souk-session=${jar.get("souk-session")}`;
    for (let round = 2; round <= 4; round++) {
      place.later(601_000);
      const fresh = await place.start();
      expect((await fresh.edge("/api/orders", { headers: { cookie } })).status).toBe(200);
      expect(place.last()?.authorization).toBe(`Bearer ${place.identity.seen.given[round - 1]}`);
    }
  });

  test("while identity does not answer: 503, nobody is signed out by that", async () => {
    const place = await shop();
    const { open } = await signedIn(place);
    place.later(601_000);
    place.identity.settings.token = () => new Response("no", { status: 503 });
    const refused = await open("/api/orders");
    expect([refused.status, await codeOf(refused)]).toEqual([503, "sign-in-unavailable"]);
    place.identity.settings.token = undefined;
    expect((await open("/api/orders")).status).toBe(200);
    expect(place.last()?.authorization).toBe(`Bearer ${place.identity.seen.given[1]}`);
  });

  test("that still holds is used while identity does not answer", async () => {
    const place = await shop();
    const { open } = await signedIn(place);
    place.later(580_000);
    place.identity.settings.token = () => new Response("no", { status: 503 });
    expect((await open("/api/orders")).status).toBe(200);
    expect(place.last()?.authorization).toBe(`Bearer ${place.identity.seen.given[0]}`);
  });

  test("and a refresh token that does not hold: the session is over", async () => {
    const place = await shop();
    const { open, jar } = await signedIn(place);
    place.later(601_000);
    place.identity.settings.token = () => Response.json({ error: "invalid_grant" }, { status: 400 });
    await open("/api/orders");
    expect(place.last()?.authorization).toBeNull();
    expect(jar.has("souk-session")).toBe(false);
    expect(place.state.keys()).toEqual([]);
  });

  test("who signs out while new tokens are got stays signed out, and those are revoked", async () => {
    const place = await shop({ gateways: 2 });
    const { jar, own } = await signedIn(place);
    const headers = { cookie: `souk-session=${jar.get("souk-session")}`, ...own };
    place.later(601_000);
    const { promise, resolve } = Promise.withResolvers<void>();
    const asked = Promise.withResolvers<void>();
    place.identity.settings.slow = () => {
      asked.resolve();
      return promise;
    };
    const read = place.first.edge("/api/orders", { headers });
    await asked.promise;
    expect((await place.all[1].edge("/session/sign-out", { method: "POST", headers })).status).toBe(200);
    resolve();
    await read;
    expect(place.last()?.authorization).toBeNull();
    expect(place.identity.seen.revoked).toContain("refresh-2");
    expect(place.state.keys()).toEqual([]);
  });

  test("a gateway that died while it asked holds up the others for a while only", async () => {
    const place = await shop({ gateways: 2 });
    const { jar } = await signedIn(place);
    const headers = { cookie: `souk-session=${jar.get("souk-session")}` };
    place.later(601_000);
    const asked = Promise.withResolvers<void>();
    place.identity.settings.token = () => {
      asked.resolve();
      return new Promise<Response>(() => {});
    };
    void place.first.edge("/api/orders", { headers }).catch(() => {});
    await asked.promise;
    place.identity.settings.token = undefined;
    const waiting = place.all[1].edge("/api/orders", { headers });
    place.later(16_000);
    expect([200, 503]).toContain((await waiting).status);
    expect((await place.all[1].edge("/api/orders", { headers })).status).toBe(200);
    expect(place.identity.seen.refreshed).toBe(1);
  });
});

describe("signing out", () => {
  test("ends the session here and its tokens at identity, and says where to end identity's own", async () => {
    const place = await shop();
    const { open, own, jar } = await signedIn(place);
    const cookie = `souk-session=${jar.get("souk-session")}`;
    const response = await open("/session/sign-out", { method: "POST", headers: own });
    const { signedIn: still, continueAt } = (await response.json()) as {
      signedIn: boolean;
      continueAt: string;
    };
    expect(still).toBe(false);
    const url = new URL(continueAt);
    expect(url.origin + url.pathname).toBe("http://shop.test/session/end");
    expect(Object.fromEntries(url.searchParams)).toEqual({
      client_id: "souk-web",
      post_logout_redirect_uri: "http://shop.test/",
    });
    expect(jar.size).toBe(0);
    expect(place.identity.seen.revoked).toEqual(["refresh-1"]);
    expect(place.state.keys()).toEqual([]);
    await place.first.edge("/api/orders", { headers: { cookie } });
    expect(place.last()?.authorization).toBeNull();
  });

  test("works from a form of a page without script", async () => {
    const place = await shop();
    const { open, csrf } = await signedIn(place);
    const headers = {
      origin: "http://shop.test",
      "sec-fetch-site": "same-origin",
      "content-type": "application/x-www-form-urlencoded",
    };
    const send = (body: string) => open("/session/sign-out", { method: "POST", body, headers });
    expect((await send("csrf=wrong")).status).toBe(403);
    expect((await send("")).status).toBe(403);
    const response = await send(`csrf=${csrf}`);
    expect([response.status, response.headers.get("location")]).toEqual([
      303,
      expect.stringContaining("http://shop.test/session/end?"),
    ]);
  });

  test("cannot be made by another site", async () => {
    const place = await shop();
    const { open, own } = await signedIn(place);
    const headers = { ...own, origin: "http://evil.example", "sec-fetch-site": "cross-site" };
    expect((await open("/session/sign-out", { method: "POST", headers })).status).toBe(403);
    expect(await (await open("/session")).json()).toMatchObject({ signedIn: true });
  });
});

test("while the store cannot be read nobody is taken for a guest", async () => {
  const place = await shop({ gateways: 2 });
  const { jar } = await signedIn(place);
  place.state.outage(true);
  const headers = { cookie: `souk-session=${jar.get("souk-session")}` };
  const response = await place.all[1].edge("/api/orders", { headers });
  expect([response.status, await codeOf(response)]).toEqual([503, "sessions-unavailable"]);
  place.state.outage(false);
  expect((await place.all[1].edge("/api/orders", { headers })).status).toBe(200);
});

test("what was changed in the store opens nothing", async () => {
  const place = await shop({ gateways: 2 });
  const one = await signedIn(place);
  const other = await signedIn(place);
  place.state.swap();
  for (const { jar } of [one, other]) {
    const headers = { cookie: `souk-session=${jar.get("souk-session")}` };
    await place.all[1].edge("/api/orders", { headers });
    expect(place.last()?.authorization).toBeNull();
  }
});

test("new keys end no session and no sign-in, at gateways that know them already and at others", async () => {
  const place = await shop();
  const begun = browser(() => place.first);
  const url = (await begun.open("/session/sign-in")).headers.get("location") ?? "";
  const { jar } = await signedIn(place);
  const headers = { cookie: `souk-session=${jar.get("souk-session")}` };
  const lastOf = (n: number) => `Bearer ${place.identity.seen.given[n]}`;

  place.rotate("k1", "k2");
  const fresh = await place.start();
  place.later(601_000);
  await fresh.edge("/api/orders", { headers });
  expect(place.last()?.authorization).toBe(lastOf(1));
  expect(place.state.text()).toContain('"k2.');
  // The first one meets a key that it has not heard of, and goes on with it.
  place.later(601_000);
  await place.first.edge("/api/orders", { headers });
  expect(place.last()?.authorization).toBe(lastOf(2));
  expect((await begun.open(place.identity.signIn(url))).status).toBe(303);

  // The fake identity knows the tokens of one sign-in only: the last.
  place.rotate("k2", "k3");
  place.later(601_000);
  await begun.open("/api/orders");
  expect(place.last()?.authorization).toBe(lastOf(4));
  expect(place.state.text()).toContain('"k3.');
});
