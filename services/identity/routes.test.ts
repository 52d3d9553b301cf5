import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestService, testService } from "chassis/testing";
import { type Db, openSqlite, outbox } from "drizzle-outbox";
import { createLocalJWKSet, decodeProtectedHeader, type JSONWebKeySet, jwtVerify } from "jose";
import type { Client } from "./provider/clients.ts";
import { staffScopes } from "./provider/scopes.ts";
import service from "./service.ts";
import type { Store } from "./store.ts";

const folder = mkdtempSync(join(tmpdir(), "identity-test-"));
const file = join(folder, ".souk", "dev-client.json");
let secret: string | undefined = "the installation's secret";
let app: TestService<Store>;
let db: Db;
const save = (client: Client): Promise<void> =>
  outbox(db, { send: async () => {} }).commit({ writes: [app.store.saveClient(client)] });
const begin = (): Promise<TestService<Store>> =>
  testService(service, { folder: import.meta.dir, db, env, others });

const env = { DEV_CLIENT_FILE: file, PUBLIC_URL: "http://localhost:8080" };
const others = (request: Request): Response =>
  new URL(request.url).pathname === "/v1.0/secrets/secrets/key" && secret !== undefined
    ? Response.json({ key: secret })
    : Response.json({ errorCode: "ERR_SECRET_GET", message: "no such secret" }, { status: 500 });

interface DevClient {
  issuer: string;
  tokenEndpoint: string;
  clientId: string;
  clientSecret: string;
  scopes: string[];
}
const devClient = (): DevClient => JSON.parse(readFileSync(file, "utf8"));

interface Answer {
  access_token: string;
  token_type: string;
  expires_in: number;
  scope: string;
  error: string;
  error_description: string;
}

function ask(form: Record<string, string>, headers: Record<string, string> = {}): Promise<Response> {
  return app.request("/token", {
    method: "POST",
    body: new URLSearchParams(form).toString(),
    headers: { "content-type": "application/x-www-form-urlencoded", ...headers },
  });
}
const basic = ({ clientId, clientSecret } = devClient()): Record<string, string> => ({
  authorization: `Basic ${btoa(`${clientId}:${clientSecret}`)}`,
});
const machine = { grant_type: "client_credentials" };

async function verified(token: string) {
  const keys = (await (await app.request("/jwks")).json()) as JSONWebKeySet;
  return jwtVerify(token, createLocalJWKSet(keys), {
    issuer: "http://localhost:8080",
    audience: "souk",
    algorithms: ["RS256"],
    typ: "at+jwt",
  });
}

beforeAll(async () => {
  db = await openSqlite(join(folder, "identity.db"));
  app = await begin();
});
afterAll(async () => {
  await app.stop();
  await db.close();
  rmSync(folder, { recursive: true });
});

describe("the token endpoint", () => {
  test("gives a JWT that holds, with client_secret_basic, and all scopes where none are asked for", async () => {
    const response = await ask(machine, basic());
    expect(response.status).toBe(200);
    expect(response.headers.get("cache-control")).toBe("no-store");
    expect(response.headers.get("content-type")).toStartWith("application/json");
    const answer = (await response.json()) as Answer;
    expect(answer).toMatchObject({ token_type: "Bearer", expires_in: 600, scope: staffScopes.join(" ") });
    const { payload, protectedHeader } = await verified(answer.access_token);
    expect(protectedHeader).toMatchObject({ alg: "RS256", typ: "at+jwt" });
    expect(payload).toMatchObject({
      iss: "http://localhost:8080",
      aud: "souk",
      sub: "development",
      client_id: "development",
      scope: staffScopes.join(" "),
    });
    expect(payload.exp).toBe((payload.iat ?? 0) + 600);
    expect(payload.jti).toBeString();
  });

  test("takes client_secret_post as well", async () => {
    const { clientId, clientSecret } = devClient();
    const response = await ask({ ...machine, client_id: clientId, client_secret: clientSecret });
    expect(response.status).toBe(200);
  });

  test("gives the scopes that are asked for, and no more", async () => {
    const response = await ask({ ...machine, scope: "catalog:write ops" }, basic());
    const answer = (await response.json()) as Answer;
    expect(answer.scope).toBe("catalog:write ops");
    expect((await verified(answer.access_token)).payload.scope).toBe("catalog:write ops");
  });

  test("never gives the same token twice", async () => {
    const answers = await Promise.all(
      [1, 2].map(async () => (await (await ask(machine, basic())).json()) as Answer),
    );
    expect(answers[0]?.access_token).not.toBe(answers[1]?.access_token);
  });

  const wrong = basic({ ...({} as DevClient), clientId: "development", clientSecret: "guessed" });
  const nobody = basic({ ...({} as DevClient), clientId: "nobody", clientSecret: "guessed" });
  test.each([
    ["a wrong secret", machine, wrong, 401, "invalid_client"],
    ["a client that does not exist", machine, nobody, 401, "invalid_client"],
    ["no client at all", machine, {}, 400, "invalid_request"],
    ["credentials that are none", machine, { authorization: "Basic !" }, 400, "invalid_request"],
    ["a bearer token", machine, { authorization: "Bearer a.b.c" }, 400, "invalid_request"],
    ["the digest of the secret", machine, "digest", 401, "invalid_client"],
    ["no grant type", {}, "own", 400, "invalid_request"],
    [
      "a password grant",
      { grant_type: "password", username: "a", password: "b" },
      "own",
      400,
      "unsupported_grant_type",
    ],
    [
      "an authorization code of a machine",
      { grant_type: "authorization_code", code: "x" },
      "own",
      400,
      "invalid_request",
    ],
    ["a scope that nobody has", { ...machine, scope: "admin" }, "own", 400, "invalid_scope"],
    [
      "a resource that is not ours",
      { ...machine, resource: "https://else.example" },
      "own",
      400,
      "invalid_target",
    ],
  ])("refuses %s in OAuth's form", async (_what, form, who, status, error) => {
    const stored = await app.store.client("development");
    const headers =
      who === "own"
        ? basic()
        : who === "digest"
          ? basic({ ...devClient(), clientSecret: stored?.secretDigest ?? "" })
          : (who as Record<string, string>);
    const response = await ask(form as Record<string, string>, { accept: "text/html", ...headers });
    expect(response.status).toBe(status);
    expect(response.headers.get("content-type")).toStartWith("application/json");
    const answer = (await response.json()) as Answer;
    expect(answer.error).toBe(error);
    expect(answer.error_description).toBeString();
    if (status === 401) expect(response.headers.get("www-authenticate")).toStartWith("Basic");
  });

  test("refuses a scope that exists, for a client that may not have it", async () => {
    const secretDigest = (await app.store.client("development"))?.secretDigest ?? "";
    await save({ id: "warehouse", name: "Warehouse", secretDigest, scopes: ["inventory:write"] });
    const warehouse = basic({ ...devClient(), clientId: "warehouse" });
    expect(((await (await ask(machine, warehouse)).json()) as Answer).scope).toBe("inventory:write");
    const refused = await ask({ ...machine, scope: "ops" }, warehouse);
    expect(refused.status).toBe(400);
    expect(((await refused.json()) as Answer).error).toBe("invalid_scope");
  });

  test("refuses a body that is no form, and one that is too large", async () => {
    const json = await app.request("/token", { method: "POST", body: machine, headers: basic() });
    expect(json.status).toBe(400);
    expect(((await json.json()) as Answer).error).toBe("invalid_request");
    expect((await ask({ ...machine, state: "x".repeat(60_000) }, basic())).status).toBe(400);
    expect((await ask({ ...machine, state: "x".repeat(2 ** 20) }, basic())).status).toBe(413);
  });
});

describe("what the provider says of itself", () => {
  test("is what it offers, at the addresses that clients use", async () => {
    const response = await app.request("/.well-known/openid-configuration", {
      headers: { host: "evil.example" },
    });
    expect(response.status).toBe(200);
    const at = (path: string): string => `http://localhost:8080${path}`;
    expect(await response.json()).toEqual({
      issuer: "http://localhost:8080",
      authorization_endpoint: at("/auth"),
      token_endpoint: at("/token"),
      userinfo_endpoint: at("/me"),
      revocation_endpoint: at("/token/revocation"),
      introspection_endpoint: at("/token/introspection"),
      end_session_endpoint: at("/session/end"),
      jwks_uri: at("/jwks"),
      grant_types_supported: ["authorization_code", "refresh_token", "client_credentials"],
      response_types_supported: ["code"],
      response_modes_supported: ["query"],
      scopes_supported: ["openid", "profile", "email", "offline_access", ...staffScopes],
      claims_supported: expect.arrayContaining(["sub", "name", "email", "email_verified", "role"]),
      subject_types_supported: ["public"],
      code_challenge_methods_supported: ["S256"],
      authorization_response_iss_parameter_supported: true,
      id_token_signing_alg_values_supported: ["RS256"],
      token_endpoint_auth_methods_supported: [
        "client_secret_basic",
        "client_secret_post",
        "private_key_jwt",
        "none",
      ],
      token_endpoint_auth_signing_alg_values_supported: ["RS256", "PS256", "ES256", "EdDSA"],
    });
    const tag = response.headers.get("etag") ?? "";
    const again = await app.request("/.well-known/openid-configuration", {
      headers: { "if-none-match": tag },
    });
    expect(again.status).toBe(304);
  });

  test("holds public keys only", async () => {
    const { keys } = (await (await app.request("/jwks")).json()) as JSONWebKeySet;
    // The one that signs, and the one that will.
    expect(keys).toHaveLength(2);
    expect(Object.keys(keys[0] ?? {}).sort()).toEqual(["alg", "e", "kid", "kty", "n", "use"]);
    const { access_token } = (await (await ask(machine, basic())).json()) as Answer;
    expect(decodeProtectedHeader(access_token).kid).toBe(keys[0]?.kid);
  });

  test.each(["/reg", "/request", "/device", "/token/revocation", "/.well-known/oauth-authorization-server"])(
    "GET %s is not there",
    async (path) => {
      const response = await app.request(path);
      expect(response.status).toBe(404);
      expect(response.headers.get("content-type")).toBe("application/problem+json");
    },
  );
});

describe("the development client", () => {
  test("is for its owner's eyes only", () => {
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(Object.keys(devClient()).sort()).toEqual([
      "clientId",
      "clientSecret",
      "issuer",
      "scopes",
      "tokenEndpoint",
    ]);
    expect(devClient().clientSecret.length).toBeGreaterThanOrEqual(43);
  });

  test("is kept as a digest", async () => {
    const stored = await app.store.client("development");
    expect(JSON.stringify(stored)).not.toContain(devClient().clientSecret);
  });
});

describe("after a restart", () => {
  const restart = async (): Promise<void> => {
    await app.stop();
    app = await begin();
  };

  test("tokens still hold, and client and secret are the same", async () => {
    const { access_token } = (await (await ask(machine, basic())).json()) as Answer;
    const before = devClient();
    await restart();
    expect(devClient()).toEqual(before);
    expect((await verified(access_token)).payload.client_id).toBe("development");
    expect((await ask(machine, basic())).status).toBe(200);
  });

  test("under another address the file follows, the secret stays", async () => {
    const before = devClient();
    env.PUBLIC_URL = "http://localhost:9090";
    await restart();
    expect(devClient()).toEqual({
      ...before,
      issuer: "http://localhost:9090",
      tokenEndpoint: "http://localhost:9090/token",
    });
    env.PUBLIC_URL = "http://localhost:8080";
    await restart();
  });

  test.each([
    ["is lost", () => rmSync(file)],
    ["is no JSON", () => writeFileSync(file, "{")],
    [
      "is of another installation",
      () => writeFileSync(file, JSON.stringify({ ...devClient(), clientSecret: "other" })),
    ],
  ])("a file that %s is written anew, with a new secret", async (_what, damage) => {
    const before = devClient();
    damage();
    await restart();
    expect(devClient().clientSecret).not.toBe(before.clientSecret);
    expect((await ask(machine, basic(before))).status).toBe(401);
    expect((await ask(machine, basic())).status).toBe(200);
  });

  test("there is no development client outside of development", async () => {
    const credentials = basic();
    rmSync(file);
    Object.assign(env, { NODE_ENV: "production" });
    await restart();
    expect(() => statSync(file)).toThrow();
    expect((await ask(machine, credentials)).status).toBe(401);
    Object.assign(env, { NODE_ENV: "development" });
    await restart();
  });

  test("without the installation's secret it is not ready, and no token is given or checked", async () => {
    secret = undefined;
    await restart();
    expect((await app.request("/ready")).status).toBe(503);
    for (const answer of [await app.request("/jwks"), await ask(machine, basic())]) {
      expect(answer.status).toBe(503);
      expect(answer.headers.get("retry-after")).toBe("2");
      expect(await answer.json()).toMatchObject({ code: "keys-unavailable" });
    }
    secret = "another secret";
    expect((await app.request("/jwks")).status).toBe(503);
    secret = "the installation's secret";
    expect((await app.request("/ready")).status).toBe(200);
    expect((await ask(machine, basic())).status).toBe(200);
  });

  test("keys lie sealed in the database", async () => {
    const [key] = await app.store.signingKeys();
    expect(key?.sealed.split(".")).toHaveLength(5);
    expect(key?.sealed).not.toContain('"d"');
  });
});

test("two replicas that start at once sign with one key", async () => {
  const fresh = await openSqlite(join(folder, "two.db"));
  const both = await Promise.all(
    [1, 2].map(() => testService(service, { folder: import.meta.dir, db: fresh, env, others })),
  );
  const sets = await Promise.all(both.map(async (one) => (await one.request("/jwks")).json()));
  expect(sets[0]).toEqual(sets[1]);
  await Promise.all(both.map((one) => one.stop()));
  await fresh.close();
});
