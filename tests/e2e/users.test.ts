import { Database } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { createHmac } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { compactDecrypt } from "jose";
import type { Answer, CallOptions } from "../../packages/souk/src/api-client.ts";
import { foreignProvider } from "./foreign-provider.ts";
import { eventually, type TestShop, testShop } from "./shop.ts";

setDefaultTimeout(120_000);

// What is tested is what users may do, not how they sign in.
const provider = await foreignProvider();

let it: TestShop;
beforeAll(async () => {
  it = await testShop({ ...provider.env, ARGON2_MEMORY_KIB: "8", ARGON2_TIME: "1" });
}, 600_000);
afterAll(async () => {
  await it?.stop();
  await provider.stop();
}, 60_000);

interface User {
  id: string;
  email: string;
  emailVerified: boolean;
  name: string;
  role: string;
}

const tokenFor = (id: string): Promise<string> => provider.tokenOf(id, "openid");

const as = async <T = User>(id: string, path: string, options: CallOptions = {}): Promise<Answer<T>> =>
  it.api.call<T>(path, {
    ...options,
    guest: true,
    headers: { authorization: `Bearer ${await tokenFor(id)}`, ...options.headers },
  });
const refusedAs = async (id: string, path: string, options: CallOptions = {}) =>
  it.refusal(path, { ...options, guest: true, headers: { authorization: `Bearer ${await tokenFor(id)}` } });
const guest = <T = User>(path: string, body: unknown, headers = {}): Promise<Answer<T>> =>
  it.api.call<T>(path, { method: "POST", body, guest: true, headers });

const ada = { email: "ada@people.test", password: "correct horse battery", name: "Ada Lovelace" };

interface Sent {
  type: string;
  data: Record<string, string>;
}

/** What identity has published, in order. */
function published(): Sent[] {
  const db = new Database(join(it.shop.home.data, "identity.db"), { readonly: true });
  try {
    const rows = db
      .query<{ type: string; data: string }, []>("select type, data from outbox_sent order by seq")
      .all();
    return rows.map(({ type, data }) => ({ type, data: JSON.parse(data) }));
  } finally {
    db.close();
  }
}

/** The newest mail of a kind, opened with the secret that the mailer has. */
async function mail(template: string): Promise<{ to: string; token: string }> {
  const wanted = () =>
    published().findLast(({ type, data }) => type === "user.mail-requested" && data.template === template);
  await eventually(`a mail ${template} is asked for`, async () => wanted() !== undefined);
  const secret = Buffer.from(readFileSync(join(it.shop.home.secrets, "mail"), "utf8").trim(), "base64url");
  const open = async (sealed = "") =>
    new TextDecoder().decode((await compactDecrypt(sealed, secret)).plaintext);
  const data = wanted()?.data ?? {};
  return { to: await open(data.to), token: new URL(await open(data.link)).searchParams.get("token") ?? "" };
}

describe("a customer", () => {
  let user: User;

  test("registers, once for a key, and shows whose the address is", async () => {
    const key = { "idempotency-key": "ada" };
    const first = await guest("/api/users", ada, key);
    expect(first.status).toBe(201);
    expect((await guest("/api/users", ada, key)).body).toEqual(first.body);
    user = first.body;
    expect(first.headers.get("location")).toBe(`/api/users/${user.id}`);
    expect(user).toMatchObject({ email: ada.email, role: "customer", emailVerified: false });
    const { to, token } = await mail("verify-email");
    expect(to).toBe(ada.email);
    expect((await guest("/api/users/verify-email", { token })).body).toMatchObject({ emailVerified: true });
  });

  test("is not given away by registering the same address", async () => {
    const again = await guest("/api/users", { ...ada, name: "Mallory" });
    expect(again.status).toBe(201);
    expect(Object.keys(again.body)).toEqual(Object.keys(user));
    expect(again.body.id).not.toBe(user.id);
    expect((await mail("already-registered")).to).toBe(ada.email);
    const { body } = await it.api.call<{ items: User[] }>(
      `/api/users?email=${encodeURIComponent(ada.email)}`,
    );
    expect(body.items.map(({ id, name }) => ({ id, name }))).toEqual([{ id: user.id, name: ada.name }]);
  });

  test("reads, changes and exports the account, and no other", async () => {
    const me = await as(user.id, "/api/users/me");
    expect(me.body).toMatchObject({ id: user.id, emailVerified: true });
    const etag = me.headers.get("etag") ?? "";
    const changed = await as(user.id, `/api/users/${user.id}`, {
      method: "PATCH",
      body: { name: "Ada King" },
      headers: { "if-match": etag },
    });
    expect(changed.body.name).toBe("Ada King");
    const exported = await as<{ user: User }>(user.id, "/api/users/me/export");
    expect(exported.body.user.name).toBe("Ada King");
    const other = (await guest("/api/users", { ...ada, email: "grace@people.test" })).body;
    expect(await refusedAs(user.id, `/api/users/${other.id}`)).toEqual({ status: 404, code: "not-found" });
    expect(await refusedAs(user.id, "/api/users")).toEqual({ status: 403, code: "insufficient-scope" });
    expect(await it.refusal("/api/users/me", { guest: true })).toEqual({
      status: 401,
      code: "unauthenticated",
    });
  });

  test("forgets the password, and chooses another one by mail", async () => {
    await guest("/api/users/forgot-password", { email: ada.email });
    const { token } = await mail("reset-password");
    const fresh = "a door with two locks";
    await guest("/api/users/reset-password", { token, password: fresh });
    const change = { method: "PATCH", body: { password: ada.password, currentPassword: ada.password } };
    expect(await refusedAs(user.id, "/api/users/me", change)).toEqual({
      status: 403,
      code: "wrong-password",
    });
    const right = { method: "PATCH", body: { password: ada.password, currentPassword: fresh } };
    expect((await as(user.id, "/api/users/me", right)).status).toBe(200);
  });

  test("is locked after five wrong passwords, with the wait in the answer", async () => {
    const guess = { method: "PATCH", body: { password: "a new password", currentPassword: "guessed" } };
    for (let i = 0; i < 5; i++)
      expect(await refusedAs(user.id, "/api/users/me", guess)).toEqual({
        status: 403,
        code: "wrong-password",
      });
    expect(await refusedAs(user.id, "/api/users/me", guess)).toEqual({ status: 429, code: "locked" });
  });

  test("is counted by the address that the gateway saw, of which only a keyed digest is kept", async () => {
    const index = readFileSync(join(it.shop.home.secrets, "index"), "utf8").trim();
    const digest = createHmac("sha256", Buffer.from(index, "base64url"))
      .update("address\n127.0.0.1")
      .digest("base64url");
    const db = new Database(join(it.shop.home.data, "identity.db"), { readonly: true });
    const kept = db.query<{ key: string; times: string }, []>("select key, times from tallies").all();
    db.close();
    const [address, ...others] = kept.filter(({ key }) => key.startsWith("address "));
    expect(others).toEqual([]);
    expect(address?.key).toBe(`address ${digest}`);
    expect(JSON.parse(address?.times ?? "")).toHaveLength(6);
  });

  test("lies in the database unreadable, and is gone after erasing", async () => {
    const files = () =>
      readdirSync(it.shop.home.data)
        .filter((name) => name.startsWith("identity.db"))
        .map((name) => readFileSync(join(it.shop.home.data, name), "latin1"))
        .join("");
    for (const secret of [ada.email, "Ada King", ada.password, "Mallory", "grace@people.test"])
      expect(files().includes(secret), secret).toBe(false);
    expect((await as(user.id, "/api/users/me", { method: "DELETE" })).status).toBe(204);
    expect(await refusedAs(user.id, "/api/users/me")).toEqual({ status: 404, code: "not-found" });
    await eventually("the others are told", async () =>
      published().some(({ type, data }) => type === "user.erased" && data.userId === user.id),
    );
    const { body } = await it.api.call<{ items: User[] }>(
      `/api/users?email=${encodeURIComponent(ada.email)}`,
    );
    expect(body.items).toEqual([]);
  });
});

test("in development there is an admin, whose password is for the owner's eyes only", async () => {
  const file = it.shop.home.devAdmin;
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const { email, password } = JSON.parse(readFileSync(file, "utf8"));
  expect(password.length).toBeGreaterThanOrEqual(24);
  const { body } = await it.api.call<{ items: User[] }>("/api/users?role=admin");
  expect(body.items).toMatchObject([{ email, role: "admin", emailVerified: true }]);
  const last = { method: "PATCH", body: { role: "customer" } };
  expect(await it.refusal(`/api/users/${body.items[0]?.id}`, last)).toEqual({
    status: 409,
    code: "last-admin",
  });
});
