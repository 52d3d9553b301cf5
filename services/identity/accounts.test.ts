import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Problem } from "chassis";
import { forgotPassword, register, resetPassword, scopesOf, userOf, verifyEmail } from "./accounts.ts";
import { network } from "./attempts.ts";
import { createPasswords } from "./passwords.ts";
import { roomOf } from "./room.ts";
import { ada, type People, people } from "./users.fixture.ts";

setDefaultTimeout(60_000);

let now: number;
let app: People;
const begin = async (env: Record<string, string> = {}): Promise<void> => {
  await app?.stop();
  app = await people({ now: () => now, env });
};
beforeEach(async () => {
  now = Date.parse("2026-03-01T12:00:00Z");
  await begin();
});
afterEach(() => app.stop());

const hour = 3_600_000;
const computed = () => roomOf(app.kit).passwords.computed;
const admin = { email: "boss@shop.test", name: "Boss", password: "a door with two locks" };

describe("signing in", () => {
  test("gives the account, by whichever way its address is written", async () => {
    const { id } = await app.register();
    expect(await app.signIn("  ADA@Shop.test ", ada.password)).toEqual({
      ok: true,
      user: {
        id,
        email: ada.email,
        emailVerified: false,
        name: ada.name,
        role: "customer",
        roles: ["customer"],
        language: "en",
        validFrom: now / 1_000,
      },
    });
  });

  test("takes the same characters typed otherwise for the same password", async () => {
    await app.register({ password: "caf\u00e9 au lait" });
    expect(await app.signIn(ada.email, "cafe\u0301 au lait")).toMatchObject({ ok: true });
  });

  test("does the same work and gives the same answer whether the account exists or not", async () => {
    await app.register();
    const tried = async (email: string) => {
      const before = computed();
      const answer = await app.signIn(email, "wrong");
      return { answer, hashes: computed() - before };
    };
    for (let i = 0; i < 5; i++) {
      const [real, none] = [await tried(ada.email), await tried("nobody@shop.test")];
      expect(real).toEqual({ answer: { ok: false, reason: "wrong" }, hashes: 1 });
      expect(none).toEqual(real);
    }
    const [real, none] = [await tried(ada.email), await tried("nobody@shop.test")];
    expect(real).toEqual({ answer: { ok: false, reason: "locked", retryAfter: 30 }, hashes: 0 });
    expect(none).toEqual(real);
  });

  test("is shut after five wrong passwords, opens again, and shuts for longer", async () => {
    await app.register();
    for (let i = 0; i < 5; i++) await app.signIn(ada.email, "wrong");
    expect(await app.signIn(ada.email, ada.password)).toMatchObject({ reason: "locked", retryAfter: 30 });
    now += 29_001;
    expect(await app.signIn(ada.email, ada.password)).toMatchObject({ reason: "locked", retryAfter: 1 });
    now += 999;
    expect(await app.signIn(ada.email, "wrong")).toMatchObject({ reason: "wrong" });
    expect(await app.signIn(ada.email, ada.password)).toMatchObject({ reason: "locked", retryAfter: 60 });
    now += 60_000;
    expect(await app.signIn(ada.email, ada.password)).toMatchObject({ ok: true });
    for (let i = 0; i < 5; i++)
      expect(await app.signIn(ada.email, "wrong")).toMatchObject({ reason: "wrong" });
  });

  test("lets no more be tried at once than one after the other", async () => {
    await app.register();
    const answers = await Promise.all(Array.from({ length: 50 }, () => app.signIn(ada.email, "wrong")));
    expect(answers.filter((answer) => !answer.ok && answer.reason === "wrong")).toHaveLength(5);
    expect(answers.filter((answer) => !answer.ok && answer.reason === "locked")).toHaveLength(45);
  });

  test("lets somebody in as often at once as they like", async () => {
    await app.register();
    const answers = await Promise.all(Array.from({ length: 30 }, () => app.signIn(ada.email, ada.password)));
    expect(answers.every(({ ok }) => ok)).toBe(true);
  });

  test("is shut to an address from which a hundred accounts were tried, and to no other", async () => {
    await app.register();
    for (let i = 0; i < 100; i++) await app.signIn(`guess-${i}@shop.test`, "wrong", "203.0.113.9");
    expect(await app.signIn(ada.email, ada.password, "203.0.113.9")).toMatchObject({ retryAfter: 30 });
    expect(await app.signIn(ada.email, ada.password, "203.0.113.10")).toMatchObject({ ok: true });
  });

  test("with the right password takes nothing off an address's patience", async () => {
    await app.register();
    for (let i = 0; i < 150; i++)
      expect(await app.signIn(ada.email, ada.password, "203.0.113.9")).toMatchObject({ ok: true });
  });

  test("keeps no network address", async () => {
    await app.signIn(ada.email, "wrong", "203.0.113.9");
    const kept = await app.kept();
    expect(kept).not.toContain("203.0.113.9");
    expect(kept).not.toContain(ada.email);
  });

  test("counts nothing when no password was compared", async () => {
    const { passwords, vault } = roomOf(app.kit);
    const busy = new Problem(503, { code: "busy" });
    roomOf(app.kit).passwords = { ...passwords, matches: () => Promise.reject(busy) };
    for (let i = 0; i < 6; i++)
      expect(await app.signIn(ada.email, "wrong", "203.0.113.9").catch((error) => error)).toBe(busy);
    const kept = ["account", "address"].map(async (kind) => {
      const key = kind === "account" ? vault.emailKey(ada.email) : vault.lookup("address", "203.0.113.9");
      return (await app.store.tally(`${kind} ${await key}`)).times;
    });
    expect(await Promise.all(kept)).toEqual([[], []]);
  });

  test("hashes a password anew when the parameters have changed", async () => {
    const { id } = await app.register();
    const old = (await app.store.user(id))?.passwordHash ?? "";
    const env = { ...app.kit.config.env, ARGON2_TIME: "2" };
    roomOf(app.kit).passwords = createPasswords({ ...app.kit.config, env });
    expect(await app.signIn(ada.email, ada.password)).toMatchObject({ ok: true });
    const fresh = (await app.store.user(id))?.passwordHash ?? "";
    expect(fresh).not.toBe(old);
    expect(fresh).toStartWith("$argon2id$v=19$m=8,t=2,p=1$");
    expect(await app.signIn(ada.email, ada.password)).toMatchObject({ ok: true });
    expect((await app.store.user(id))?.passwordHash).toBe(fresh);
  });
});

describe("outside of development", () => {
  const strict = { NODE_ENV: "production", ARGON2_MEMORY_KIB: "19456", ARGON2_TIME: "2" };

  test("whoever has not shown that the address is theirs is told nothing else than a guesser", async () => {
    await begin(strict);
    await app.register();
    expect(await app.signIn(ada.email, ada.password)).toEqual({ ok: false, reason: "wrong" });
    await verifyEmail(app.kit, (await app.lastMail()).token);
    expect(await app.signIn(ada.email, ada.password)).toMatchObject({ ok: true });
  });

  test("passwords are not hashed for less than OWASP's minimum", async () => {
    await expect(people({ env: { ...strict, ARGON2_MEMORY_KIB: "19455" } })).rejects.toThrow(
      "ARGON2_MEMORY_KIB must be at least 19456",
    );
    await expect(people({ env: { ...strict, ARGON2_TIME: "1" } })).rejects.toThrow("ARGON2_TIME 2");
  });

  test("the first admin is whoever verifies the address that is configured, and nobody after that", async () => {
    await begin({ ...strict, FIRST_ADMIN_EMAIL: "Boss@shop.test" });
    await app.register();
    expect((await verifyEmail(app.kit, (await app.lastMail()).token)).role).toBe("customer");
    await app.register(admin);
    expect((await verifyEmail(app.kit, (await app.lastMail()).token)).role).toBe("admin");
    const boss = await app.register({ ...admin, email: "second@shop.test" });
    await verifyEmail(app.kit, (await app.lastMail()).token);
    expect((await userOf(app.kit, boss.id))?.role).toBe("customer");
  });
});

describe("hashing", () => {
  const made = (atOnce: number, waiting: number) => {
    const env = { ...app.kit.config.env, HASHES_AT_ONCE: String(atOnce), HASHES_WAITING: String(waiting) };
    return createPasswords({ ...app.kit.config, env });
  };

  test("does a few at a time, keeps a few waiting, and refuses the rest", async () => {
    const passwords = made(2, 3);
    const kept = await passwords.hash(ada.password);
    const asked = await Promise.allSettled(
      Array.from({ length: 9 }, () => passwords.matches(ada.password, kept)),
    );
    expect(asked.filter((one) => one.status === "fulfilled" && one.value)).toHaveLength(5);
    const refused = asked.flatMap((one) => (one.status === "rejected" ? [one.reason] : []));
    expect(refused).toHaveLength(4);
    expect(refused[0]).toMatchObject({ status: 503, code: "busy", headers: { "retry-after": "1" } });
    expect(passwords.computed).toBe(6);
    expect(await passwords.matches(ada.password, kept)).toBe(true);
  });

  test("compares with nothing as it does with something, and says no", async () => {
    const passwords = made(1, 0);
    expect(await passwords.matches(ada.password, undefined)).toBe(false);
    expect(passwords.computed).toBe(1);
  });
});

describe("the pages", () => {
  test("register, verify, forget and reset by the same functions as the API", async () => {
    await register(app.kit, ada);
    const { token, userId } = await app.lastMail();
    expect(await verifyEmail(app.kit, token)).toMatchObject({ id: userId, emailVerified: true });
    await register(app.kit, { ...ada, name: "Mallory" });
    expect((await app.lastMail()).template).toBe("already-registered");
    await forgotPassword(app.kit, ada.email);
    await forgotPassword(app.kit, "nobody@shop.test");
    const mail = await app.lastMail();
    expect(mail.to).toBe(ada.email);
    now += 2_000;
    expect(await resetPassword(app.kit, mail.token, admin.password)).toMatchObject({
      id: userId,
      validFrom: now / 1_000,
    });
    expect(await userOf(app.kit, "u_nobody")).toBeUndefined();
  });

  test("give each role its scopes", () => {
    expect(scopesOf("customer")).toEqual(["orders:read", "orders:write"]);
    expect(scopesOf("staff")).toEqual([
      "orders:read",
      "orders:write",
      "orders:manage",
      "catalog:write",
      "inventory:write",
      "payments:manage",
    ]);
    expect(scopesOf("admin")).toEqual([...scopesOf("staff"), "users:manage", "ops"]);
  });
});

describe("the admin of development", () => {
  const folder = mkdtempSync(join(tmpdir(), "dev-admin-"));
  const file = join(folder, "dev-admin.json");
  const read = (): { email: string; password: string } => JSON.parse(readFileSync(file, "utf8"));
  const ready = async () => (await app.request("/ready")).json() as Promise<{ dependencies: object }>;
  afterEach(() => rmSync(file, { force: true }));

  test("can sign in with what the file says, which is for its owner's eyes only", async () => {
    await begin({ DEV_ADMIN_FILE: file });
    expect(await ready()).toMatchObject({ dependencies: { "development admin": { status: "up" } } });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const { email, password } = read();
    expect(email).toBe("admin@souk.example");
    expect(password.length).toBeGreaterThanOrEqual(24);
    expect(await app.kept()).not.toContain(password);
    expect(await app.signIn(email, password)).toMatchObject({ ok: true, user: { role: "admin" } });
    expect(await app.mails()).toEqual([]);
  });

  test("is made once, and follows the file", async () => {
    await begin({ DEV_ADMIN_FILE: file });
    await Promise.all([ready(), ready(), ready()]);
    const { email, password } = read();
    await begin({ DEV_ADMIN_FILE: file });
    await ready();
    expect(read()).toEqual({ email, password });
    expect(await app.signIn(email, password)).toMatchObject({ ok: true });
    const id = "u_development";
    const gone = app.staff(`/users/${id}`, { method: "DELETE" });
    expect((await gone).status).toBe(409);
  });

  test("waits for the secret store, and says so", async () => {
    await app.stop();
    let there = false;
    const secrets = { index: "A".repeat(43), mail: "A".repeat(43), key: "A".repeat(43) };
    app = await people({ secrets: () => (there ? secrets : {}), env: { DEV_ADMIN_FILE: file } });
    expect(await ready()).toMatchObject({ dependencies: { "development admin": { status: "down" } } });
    there = true;
    expect(await ready()).toMatchObject({ dependencies: { "development admin": { status: "up" } } });
  });

  test("opens nothing elsewhere, not even in a database that comes from development", async () => {
    await begin({ DEV_ADMIN_FILE: file });
    await ready();
    const { email, password } = read();
    const { config } = app.kit;
    config.development = false;
    expect(await app.signIn(email, password)).toEqual({ ok: false, reason: "wrong" });
    expect(await userOf(app.kit, "u_development")).toBeUndefined();
  });
});

test("what has expired is forgotten", async () => {
  await app.register();
  await app.signIn(ada.email, "wrong", "203.0.113.9");
  expect(await app.rows("mail_links")).toBe(1);
  expect(await app.rows("tallies")).toBe(3);
  now += 25 * hour;
  await roomOf(app.kit).commit({ writes: app.store.sweep(now) });
  expect(await app.rows("mail_links")).toBe(0);
  expect(await app.rows("tallies")).toBe(0);
});

test.each([
  ["203.0.113.9", "203.0.113.9"],
  ["::ffff:203.0.113.9", "203.0.113.9"],
  ["2001:db8:1:2:3:4:5:6", "2001:0db8:0001:0002::/64"],
  ["2001:db8:1:2::9", "2001:0db8:0001:0002::/64"],
  ["fe80::1%eth0", "fe80:0000:0000:0000::/64"],
])("the address %s stands for the network %s", (ip, expected) => expect(network(ip)).toBe(expected));
