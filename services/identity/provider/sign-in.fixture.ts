import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Commit } from "chassis";
import { type TestService, testService } from "chassis/testing";
import { type Db, openSqlite } from "drizzle-outbox";
import { roomOf } from "../room.ts";
import service from "../service.ts";
import type { Store } from "../store.ts";
import { ada, cheap, type People, people } from "../users.fixture.ts";
import { api } from "./provider.ts";
import { type Visitor, visitor } from "./visitor.fixture.ts";

/** What the tests of the provider share: the whole service in memory, a client with PKCE, and somebody to sign in. */

export const origin = "http://shop.test";
export const callback = `${origin}/session/callback`;
export const loopback = "http://127.0.0.1:51234/callback";

/** What souk-cli says of itself. */
export const cli = { client_id: "souk-cli", redirect_uri: loopback };

export interface Pkce {
  verifier: string;
  challenge: string;
}

export function pkce(): Pkce {
  const verifier = randomBytes(32).toString("base64url");
  return { verifier, challenge: createHash("sha256").update(verifier).digest("base64url") };
}

export interface Tokens {
  access_token: string;
  refresh_token: string;
  id_token: string;
  scope: string;
  token_type: string;
  expires_in: number;
  error?: string;
  error_description?: string;
}

/** What a browser and a client do with an identity service. */
export interface Front {
  browse(): Visitor;
  token(
    form: Record<string, string>,
    headers?: Record<string, string>,
  ): Promise<{ status: number; body: Tokens }>;
}

export interface Shop extends People, Front {
  commit: Commit;
}

export async function shop(options: Parameters<typeof people>[0] = {}): Promise<Shop> {
  const app = await people({ ...options, env: { PUBLIC_URL: origin, ...options.env } });
  return { ...app, ...front(app), commit: roomOf(app.kit).commit };
}

/**
 * Services that share a database and their secrets, as replicas do, and one that is started again.
 * @param given an open, empty database in the place of a SQLite file; closed with the rest
 */
export async function replicas(env: Record<string, string> = {}, given?: Db) {
  const folder = mkdtempSync(join(tmpdir(), "replicas-"));
  const file = join(folder, "identity.db");
  const db = given ?? (await openSqlite(file));
  const secrets = Object.fromEntries(
    ["key", "index", "mail"].map((name) => [name, randomBytes(32).toString("base64url")]),
  );
  const fields = JSON.stringify({ current: "k1", keys: { k1: randomBytes(32).toString("base64url") } });
  const running: TestService<Store>[] = [];
  return {
    /** The database. */
    file,
    async start(more: Record<string, string> = {}): Promise<TestService<Store> & Front> {
      const app = await testService(service, {
        folder: dirname(import.meta.dir),
        db,
        env: { PUBLIC_URL: origin, ...cheap, ...env, ...more },
        fieldKeys: () => fields,
        others(request) {
          const name = new URL(request.url).pathname.split("/").at(-1) ?? "";
          return Response.json({ [name]: secrets[name] });
        },
      });
      running.push(app);
      return { ...app, ...front(app) };
    },
    async stop(): Promise<void> {
      for (const app of running) await app.stop();
      await db.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function front(app: TestService<Store>): Front {
  const ask = async (request: Request): Promise<Response> => {
    const { pathname, search } = new URL(request.url);
    const body = request.method === "GET" ? undefined : await request.text();
    return app.request(pathname + search, {
      method: request.method,
      headers: Object.fromEntries(request.headers),
      ...(body === undefined ? {} : { body }),
    });
  };
  return {
    browse: () => visitor(origin, ask),
    async token(form, headers = {}) {
      const answer = await app.request("/token", {
        method: "POST",
        body: new URLSearchParams(form).toString(),
        headers: { "content-type": "application/x-www-form-urlencoded", ...headers },
      });
      return { status: answer.status, body: (await answer.json()) as Tokens };
    },
  };
}

/** The address that a client sends a person to. What is `undefined` is left out. */
export function authorise(challenge: string, over: Record<string, string | undefined> = {}): string {
  const params = {
    client_id: "souk-web",
    redirect_uri: callback,
    response_type: "code",
    scope: "openid profile email orders:read orders:write",
    state: "s-1",
    nonce: "n-1",
    code_challenge: challenge,
    code_challenge_method: "S256",
    ...over,
  };
  const given = Object.entries(params).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return `/auth?${new URLSearchParams(given)}`;
}

/** Signs somebody in and gives what came back to the client. */
export async function signIn(
  browser: Visitor,
  over: Record<string, string | undefined> = {},
  who: { email: string; password: string } = ada,
): Promise<{ code: string; verifier: string; at: URL }> {
  const { verifier, challenge } = pkce();
  await browser.open(authorise(challenge, over));
  if (browser.text.includes('name="password"'))
    await browser.submit("/sign-in", { email: who.email, password: who.password });
  if (browser.text.includes("/consent")) await browser.submit("/consent");
  return { code: browser.at.searchParams.get("code") ?? "", verifier, at: browser.at };
}

export const exchange = (code: string, verifier: string, over: Record<string, string> = {}) => ({
  grant_type: "authorization_code",
  client_id: "souk-web",
  redirect_uri: callback,
  code,
  code_verifier: verifier,
  ...over,
});

export const refreshing = (refresh_token: string, over: Record<string, string> = {}) => ({
  grant_type: "refresh_token",
  client_id: "souk-web",
  refresh_token,
  ...over,
});

export { ada, api };
