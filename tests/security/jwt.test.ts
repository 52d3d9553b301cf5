import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { compose } from "../../packages/chassis/src/compose.ts";
import { readConfig } from "../../packages/chassis/src/config.ts";
import type { Service } from "../../packages/chassis/src/service.ts";
import { migrate, openSqlite } from "../../packages/drizzle-outbox/src/index.ts";
import { dapr } from "../../packages/hono-dapr/src/index.ts";
import { at, attacks, issuer, publicJwk, rightClaims, token } from "./tokens.ts";

/** Every service that checks tokens, and a request that its token lets through. */
const doors = [
  { name: "gateway", method: "GET", path: "/api/orders" },
  { name: "catalog", method: "DELETE", path: "/products/none", headers: { "if-match": "*" } },
  { name: "inventory", method: "GET", path: "/stock" },
  { name: "orders", method: "GET", path: "/orders" },
  { name: "payments", method: "GET", path: "/payments/ledger" },
];

const folder = mkdtempSync(join(tmpdir(), "souk-jwt-"));
const stops: (() => Promise<void>)[] = [];
afterAll(async () => {
  for (const stop of stops) await stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Opens a service in this process, with its own verifier, and keys as identity gives them. */
async function open(name: string, env: Record<string, string> = {}) {
  const reached: string[] = [];
  const tokens: string[] = [];
  const sidecar = dapr({
    endpoint: "http://sidecar.test",
    async fetch(input, init) {
      const { pathname } = new URL(new Request(input, init).url);
      if (pathname.endsWith("/jwks")) return Response.json({ keys: [publicJwk] });
      const secret = /^\/v1\.0\/secrets\/secrets\/(.+)$/.exec(pathname)?.[1];
      if (secret) return Response.json({ [secret]: secret === "partner" ? sharedKey : keyring });
      // The gateway's own counts, of requests that it refuses as well, and its flags: nobody is reached by them.
      if (/^\/v1\.0\/(state|configuration)\//.test(pathname)) return new Response(null, { status: 204 });
      reached.push(pathname);
      const credentials = new Request(input, init).headers.get("authorization");
      if (credentials) tokens.push(credentials);
      const [, asked = ""] = /^\/v1\.0\/invoke\/([^/]+)\//.exec(pathname) ?? [];
      return Response.json({}, { headers: { "x-answered-by": asked } });
    },
  });
  const home = join(import.meta.dir, "../../services", name);
  const { default: definition } = (await import(join(home, "service.ts"))) as { default: Service<unknown> };
  const db = definition.store ? await openSqlite(join(folder, `${name}-${stops.length}.db`)) : undefined;
  if (db) await migrate(db, join(home, "migrations"));
  const config = readConfig(name, { PUBLIC_URL: issuer, LOG_LEVEL: "silent", ...env });
  const running = await compose(definition, {
    config,
    sidecar,
    db,
    log: pino({ level: "silent" }),
    now: () => at * 1000,
  });
  stops.push(async () => {
    await running.stop();
    await db?.close();
  });
  const ask = (path: string, init: RequestInit): Promise<Response> => {
    const request = new Request(`${issuer}${path}`, init);
    return running.edge ? running.edge(request) : running.fetch(request);
  };
  return { ask, reached, tokens };
}

const sharedKey = Buffer.alloc(32, 7).toString("base64url");
const keyring = JSON.stringify({ current: "k1", keys: { k1: sharedKey } });

describe.each(doors)("$name", async ({ name, method, path, headers = {} }) => {
  const { ask, reached, tokens } = await open(name);
  const show = async (credentials: string): Promise<Response> =>
    ask(path, { method, headers: { ...headers, authorization: credentials } });

  test("takes a token that holds", async () => {
    const { status } = await show(`Bearer ${await token()}`);
    expect([200, 404]).toContain(status);
  });

  test.each(attacks)("refuses: %s", async (_, forge) => {
    const before = reached.length;
    let response: Response;
    try {
      response = await show(`Bearer ${await forge()}`);
    } catch (error) {
      // What cannot be in a header does not even leave the client.
      expect(String(error)).toMatch(/header/i);
      return;
    }
    expect(response.status).toBe(401);
    expect(response.headers.get("www-authenticate")).toMatch(
      /^Bearer realm="souk", error="invalid_(token|request)"/,
    );
    expect(await response.json()).toMatchObject({ status: 401, code: "invalid-token" });
    expect(reached.slice(before)).toEqual([]);
  });

  test.each([
    ["two tokens in one header", async () => `Bearer ${await token()}, Bearer ${await token()}`],
    ["a token as a password", async () => `Basic ${btoa(`x:${await token()}`)}`],
    ["a token of another scheme", async () => `DPoP ${await token()}`],
    ["the scheme alone", async () => "Bearer "],
    ["nothing", async () => " "],
  ])("refuses: %s", async (_, credentials) => {
    expect((await show(await credentials())).status).toBe(401);
  });

  test("takes no token from the query (RFC 9700 section 4.3.2)", async () => {
    const before = tokens.length;
    const response = await ask(`${path}?access_token=${await token()}`, { method, headers });
    // The gateway leaves the refusal to the service, which hears of no token.
    expect(name === "gateway" ? [200] : [400, 401]).toContain(response.status);
    expect(tokens.slice(before)).toEqual([]);
  });
});

describe("an issuer besides the shop's own", () => {
  const partner = "https://partner.test";
  const shared = (
    claims: object,
    key = Buffer.from(sharedKey, "base64url").toString("latin1"),
  ): Promise<string> =>
    token({
      header: { alg: "HS256", kid: "p-1" },
      claims: { ...rightClaims, iss: partner, ...claims },
      key,
      algorithm: "HS256",
    });
  const opened = open("orders", {
    TRUSTED_ISSUERS: JSON.stringify([{ issuer: partner, algorithm: "HS256", secret: "partner" }]),
  });
  const status = async (text: string): Promise<number> =>
    (await (await opened).ask("/orders", { headers: { authorization: `Bearer ${text}` } })).status;

  test("is believed with its own key and algorithm", async () => {
    expect(await status(await shared({}))).toBe(200);
  });

  test("is not believed with another key, algorithm or name", async () => {
    expect(await status(await shared({}, "another key of at least thirty-two bytes"))).toBe(401);
    expect(await status(await token({ claims: { iss: partner } }))).toBe(401);
    expect(await status(await shared({ iss: issuer }))).toBe(401);
  });

  test("that is described wrongly keeps the service from starting", async () => {
    for (const [value, reason] of [
      ["{", /not JSON/],
      ["{}", /array/],
      ['[{"algorithm":"HS256","secret":"s"}]', /no issuer/],
      [`[{"issuer":"${partner}","algorithm":"none"}]`, /RS256, ES256 or HS256/],
      [`[{"issuer":"${partner}","algorithm":"RS256","jwksUri":"http://partner.test/jwks"}]`, /https/],
      [`[{"issuer":"${issuer}","algorithm":"HS256","secret":"s"}]`, /twice/],
    ] as const) {
      await expect(open("orders", { TRUSTED_ISSUERS: value })).rejects.toThrow(reason);
    }
  });
});
