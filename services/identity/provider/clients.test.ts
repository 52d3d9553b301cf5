import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { exportJWK, generateKeyPair } from "jose";
import { ada, exchange, type Shop, shop, signIn } from "./sign-in.fixture.ts";

let app: Shop;
beforeAll(async () => {
  app = await shop();
  await app.register();
});
afterAll(() => app.stop());

const all = ["users:manage", "inventory:write", "ops"];
const register = (body: Record<string, unknown>, scopes = all, headers: Record<string, string> = {}) =>
  app.request("/clients", { method: "POST", body, scopes, headers });

interface Created {
  id: string;
  secret: string;
}
const machine = { name: "Warehouse", scopes: ["inventory:write"] };

describe("a client that is registered", () => {
  test("as a machine gets tokens with its secret, which is shown once, until it is removed", async () => {
    const answer = await register(machine);
    expect(answer.status).toBe(201);
    const { id, secret } = (await answer.json()) as Created;
    expect(answer.headers.get("location")).toBe(`/api/clients/${id}`);
    const ask = () => app.token({ grant_type: "client_credentials", client_id: id, client_secret: secret });
    expect((await ask()).body).toMatchObject({ scope: "inventory:write" });
    const seen = await app.request(`/clients/${id}`, { scopes: all });
    expect(await seen.json()).toEqual({
      id,
      ...machine,
      auth: "client_secret",
      redirectUris: [],
      postLogoutRedirectUris: [],
    });
    expect(await app.kept()).not.toContain(secret);
    expect((await app.request(`/clients/${id}`, { method: "DELETE", scopes: all })).status).toBe(204);
    expect((await ask()).body).toMatchObject({ error: "invalid_client" });
    expect((await app.request(`/clients/${id}`, { scopes: all })).status).toBe(404);
  });

  test("is registered once under one Idempotency-Key", async () => {
    const key = { "idempotency-key": "one" };
    const [first, second] = [await register(machine, all, key), await register(machine, all, key)];
    expect(await second.json()).toEqual(await first.json());
  });

  test("as a program of people's signs them in, with what they may do", async () => {
    const redirect_uri = "https://app.example/callback";
    const answer = await register({
      name: "An app",
      scopes: ["openid", "orders:read", "orders:manage"],
      auth: "none",
      redirectUris: [redirect_uri],
    });
    expect(answer.status).toBe(201);
    const { id, secret } = (await answer.json()) as Created;
    expect(secret).toBeUndefined();
    const over = { client_id: id, redirect_uri };
    const { code, verifier } = await signIn(
      app.browse(),
      { ...over, scope: "openid orders:read orders:manage" },
      ada,
    );
    const { body } = await app.token(exchange(code, verifier, over));
    expect(body.scope.split(" ").sort()).toEqual(["openid", "orders:read"]);
  });

  test("is listed, page by page", async () => {
    const seen: string[] = [];
    let cursor: string | null = "";
    while (cursor !== null) {
      const query: string = cursor === "" ? "?limit=2" : `?limit=2&cursor=${cursor}`;
      const answer = await app.request(`/clients${query}`, { scopes: all });
      const listed = (await answer.json()) as { items: { id: string }[]; nextCursor: string | null };
      seen.push(...listed.items.map(({ id }) => id));
      cursor = listed.nextCursor;
    }
    expect(seen).toContain("souk-web");
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen.length).toBeGreaterThan(3);
  });
});

describe("a client is not registered", async () => {
  const { privateKey } = await generateKeyPair("ES256", { extractable: true });
  const secretKey = { ...(await exportJWK(privateKey)), kid: "k", alg: "ES256", use: "sig" };
  const web = { name: "App", scopes: ["openid"], auth: "none" };

  test.each([
    ["with a scope that does not exist", { ...machine, scopes: ["everything"] }],
    ["with a member that nobody knows", { ...machine, firstParty: true }],
  ])("%s: its schema says so", async (_, body) => {
    const answer = await register(body);
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ code: "invalid-body" });
  });

  test.each([
    ["as a machine with a person's scopes", { ...machine, scopes: ["openid"] }],
    ["as a machine that shows nothing", { ...machine, auth: "none" }],
    ["with a private key", { ...machine, auth: "private_key_jwt", keys: [secretKey] }],
    ["with private_key_jwt and no key", { ...machine, auth: "private_key_jwt" }],
    ["with an address that is none", { ...web, redirectUris: ["not an address"] }],
    ["with a fragment in its address", { ...web, redirectUris: ["https://app.example/#x"] }],
    [
      "as a native program on another machine",
      { ...web, native: true, redirectUris: ["http://app.example/cb"] },
    ],
  ])("%s: no schema can say that", async (_, body) => {
    const answer = await register(body);
    expect(answer.status).toBe(422);
    expect(await answer.json()).toMatchObject({ code: "client-refused" });
  });

  test("with more than who registers it has, as a machine", async () => {
    const answer = await register({ ...machine, scopes: ["payments:manage"] });
    expect(answer.status).toBe(403);
    expect(await answer.json()).toMatchObject({ code: "insufficient-scope" });
  });

  test("or removed by others than those who manage users; nor one that the shop needs itself", async () => {
    expect((await register(machine, ["ops"])).status).toBe(403);
    expect((await app.request("/clients")).status).toBe(401);
    const own = await app.request("/clients/souk-web", { method: "DELETE", scopes: all });
    expect(own.status).toBe(409);
  });
});
