import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { createHash } from "node:crypto";
import { roomOf } from "./room.ts";
import { ada, type People, people, type Seen } from "./users.fixture.ts";

setDefaultTimeout(60_000);

let now: number;
let app: People;
beforeEach(async () => {
  now = Date.parse("2026-03-01T12:00:00Z");
  app = await people({ now: () => now });
});
afterEach(() => app.stop());

const hour = 3_600_000;
const json = async <T = { code: string }>(answer: unknown): Promise<T> =>
  (await ((await answer) as Response).json()) as T;
const refused = async (asked: Promise<Response>): Promise<string> => {
  const answer = await asked;
  return `${answer.status} ${(await json(answer)).code}`;
};
const types = async (): Promise<string[]> => (await app.published()).map(({ type }) => type);
/** Makes an admin of somebody. */
const promote = async ({ id }: Seen, role = "admin"): Promise<void> => {
  const answer = await app.staff(`/users/${id}`, { method: "PATCH", body: { role } });
  expect(answer.status).toBe(200);
};
const grace = { email: "grace@shop.test", name: "Grace Hopper", password: "nanoseconds of wire" };

describe("registering", () => {
  test("answers with the account, and mails a link to its address", async () => {
    const answer = await app.post("/users", { ...ada, language: "en-GB" });
    expect(answer.status).toBe(201);
    const user = await json<Seen>(answer);
    expect(user).toEqual({
      id: expect.stringMatching(/^u_[A-Za-z0-9_-]{22}$/),
      email: ada.email,
      emailVerified: false,
      name: ada.name,
      role: "customer",
      language: "en-GB",
      createdAt: "2026-03-01T12:00:00.000Z",
    });
    expect(answer.headers.get("location")).toBe(`/api/users/${user.id}`);
    expect(answer.headers.get("etag")).toBe('"1"');
    expect(answer.headers.get("cache-control")).toBe("no-store");
    const { link, ...mail } = await app.lastMail();
    expect(mail).toMatchObject({
      template: "verify-email",
      to: ada.email,
      name: ada.name,
      userId: user.id,
      language: "en-GB",
    });
    expect(link).toStartWith("http://shop.test/verify-email?token=");
    expect(await types()).toEqual(["user.registered", "user.mail-requested"]);
    expect(await json<Seen>(app.as(user.id, "/users/me"))).toEqual(user);
  });

  test("an address that is taken looks just the same; its owner is told by mail", async () => {
    const first = await app.register();
    const again = await app.post("/users", { ...ada, email: "ADA@shop.test", name: "Mallory" });
    const other = await app.post("/users", { ...grace, name: "Mallory" });
    const shape = async (answer: Response) => {
      const { id, email, ...rest } = await json<Seen>(answer);
      const headers = Object.fromEntries(answer.headers);
      return {
        status: answer.status,
        rest,
        form: id.replace(/[\w-]/g, "x"),
        email: email.length > 0,
        headers: { ...headers, location: headers.location?.replace(id, "") },
      };
    };
    const fake = (await json<Seen>(again.clone())).id;
    expect(await shape(again)).toEqual(await shape(other));
    expect(fake).not.toBe(first.id);
    expect((await app.staff(`/users/${fake}`)).status).toBe(404);
    const [, told] = await app.mails();
    expect(told).toMatchObject({
      template: "already-registered",
      to: ada.email,
      name: ada.name,
      userId: first.id,
    });
    expect(told?.link).toStartWith("http://shop.test/reset-password?token=");
    expect((await json<Seen>(app.staff(`/users/${first.id}`))).name).toBe(ada.name);
  });

  test("of one address by many at once makes one account", async () => {
    const ids = await Promise.all(Array.from({ length: 8 }, async () => (await app.register()).id));
    expect(new Set(ids).size).toBe(8);
    const { items } = await json<{ items: Seen[] }>(app.staff("/users"));
    expect(items).toHaveLength(1);
    expect((await types()).filter((type) => type === "user.registered")).toHaveLength(1);
  });

  test("keeps to one answer under one Idempotency-Key, without a digest that a password could be guessed by", async () => {
    const key = { "idempotency-key": "register-1" };
    const first = await app.register({}, key);
    const again = await app.post("/users", ada, key);
    expect(again.headers.get("idempotent-replayed")).toBe("true");
    expect(await json<Seen>(again)).toEqual(first);
    expect(await refused(app.post("/users", { ...ada, name: "Ada L." }, key))).toBe(
      "409 idempotency-key-reused",
    );
    expect(await app.mails()).toHaveLength(1);
    const plain = createHash("sha256").update(JSON.stringify(ada)).digest("base64url");
    expect(await app.kept()).not.toContain(plain);
  });

  test.each([
    ["12345678"],
    ["password1"],
    ["PassWord1"],
    ["aaaaaaaaaa"],
    ["abababababab"],
    ["ada@shop.test"],
    ["Ada Lovelace"],
  ])("refuses the password %s, which would be guessed", async (password) => {
    const answer = await app.post("/users", { ...ada, password });
    expect(answer.status).toBe(422);
    expect(await json(answer)).toMatchObject({ code: "weak-password", errors: [{ pointer: "/password" }] });
    expect(await types()).toEqual([]);
  });

  test.each([
    [{ ...ada, password: "short" }, "/password"],
    [{ ...ada, password: "x".repeat(129) }, "/password"],
    [{ ...ada, email: "no address" }, "/email"],
    [{ ...ada, name: "" }, "/name"],
    [{ ...ada, language: "English" }, "/language"],
    [{ ...ada, role: "admin" }, "/role"],
    [{ email: ada.email, password: ada.password }, "/name"],
  ])("refuses %j, and says where", async (body, pointer) => {
    const answer = await app.post("/users", body);
    expect(answer.status).toBe(400);
    expect(await json(answer)).toMatchObject({ code: "invalid-body", errors: [{ pointer }] });
  });

  test("keeps no password, neither in answers nor in events nor in the database", async () => {
    await app.register();
    expect(JSON.stringify(await app.published())).not.toContain(ada.password);
    const kept = await app.kept();
    expect(kept).not.toContain(ada.password);
    expect(kept).toContain("$argon2id$v=19$m=8,t=1,p=1$");
  });

  test("waits until the secret store can be read", async () => {
    const locked = await people({ secrets: () => ({}) });
    expect(await refused(locked.post("/users", ada))).toBe("503 secrets-unavailable");
    await locked.stop();
  });
});

describe("the link in the mail", () => {
  const open = (token: string) => app.post("/users/verify-email", { token });

  test("shows whose the address is, once", async () => {
    const { id } = await app.register();
    const { token } = await app.lastMail();
    const answer = await open(token);
    expect(answer.status).toBe(200);
    expect(await json<Seen>(answer)).toMatchObject({ id, emailVerified: true });
    expect(await refused(open(token))).toBe("422 invalid-link");
    expect(await types()).toContain("user.changed");
  });

  test("holds for a day", async () => {
    await app.register();
    await app.register(grace);
    const [one, two] = await app.mails();
    now += 24 * hour - 1;
    expect((await open(one?.token ?? "")).status).toBe(200);
    now += 1;
    expect(await refused(open(two?.token ?? ""))).toBe("422 invalid-link");
  });

  test("is for its purpose only, and of nobody who guesses", async () => {
    await app.register();
    const { token } = await app.lastMail();
    expect(await refused(app.post("/users/reset-password", { token, password: grace.password }))).toBe(
      "422 invalid-link",
    );
    expect(await refused(open("A".repeat(43)))).toBe("422 invalid-link");
    expect(await refused(open("guessed"))).toBe("422 invalid-link");
    expect(await app.kept()).not.toContain(token);
  });

  test("is sent again to whoever is signed in and asks, until the address is verified", async () => {
    const { id } = await app.register();
    const again = () => app.as(id, `/users/${id}/verification-mail`, { method: "POST" });
    expect((await again()).status).toBe(204);
    expect(await app.mails()).toHaveLength(2);
    await open((await app.lastMail()).token);
    expect((await again()).status).toBe(204);
    expect(await app.mails()).toHaveLength(2);
  });
});

describe("a forgotten password", () => {
  const forgot = (email: string) => app.post("/users/forgot-password", { email });
  const reset = (token: string, password = grace.password) =>
    app.post("/users/reset-password", { token, password });

  test("is replaced by way of the mailbox, which verifies it", async () => {
    const { id } = await app.register();
    expect((await forgot(ada.email)).status).toBe(204);
    const mail = await app.lastMail();
    expect(mail).toMatchObject({ template: "reset-password", to: ada.email, userId: id });
    const answer = await reset(mail.token);
    expect(answer.status).toBe(200);
    expect(await json<Seen>(answer)).toMatchObject({ id, emailVerified: true });
    expect(await app.signIn(ada.email, grace.password)).toMatchObject({ ok: true });
    expect(await app.signIn(ada.email, ada.password)).toEqual({ ok: false, reason: "wrong" });
  });

  test("of nobody is answered the same, and mailed to nobody", async () => {
    await app.register();
    const [real, none] = [await forgot(ada.email), await forgot("nobody@shop.test")];
    expect(none.status).toBe(real.status);
    expect(Object.fromEntries(none.headers)).toEqual(Object.fromEntries(real.headers));
    expect(await none.text()).toBe(await real.text());
    expect((await app.mails()).map(({ to }) => to)).toEqual([ada.email, ada.email]);
  });

  test("links end with the first that is used, after an hour, and with the address", async () => {
    await app.register();
    await forgot(ada.email);
    await forgot(ada.email);
    const [, one, two] = await app.mails();
    expect((await reset(one?.token ?? "")).status).toBe(200);
    expect(await refused(reset(two?.token ?? ""))).toBe("422 invalid-link");
    await forgot(ada.email);
    const { token } = await app.lastMail();
    now += hour;
    expect(await refused(reset(token))).toBe("422 invalid-link");
  });

  test("is mailed five times an hour at most, whoever asks", async () => {
    await app.register();
    for (let i = 0; i < 9; i++) expect((await forgot(ada.email)).status).toBe(204);
    expect(await app.mails()).toHaveLength(5);
    now += hour;
    await forgot(ada.email);
    expect(await app.mails()).toHaveLength(6);
  });

  test("is not replaced by one that would be guessed", async () => {
    await app.register();
    await forgot(ada.email);
    const { token } = await app.lastMail();
    expect(await refused(reset(token, "password1"))).toBe("422 weak-password");
    expect(await refused(reset(token, ada.name))).toBe("422 weak-password");
    expect((await reset(token)).status).toBe(200);
  });

  test("takes a locked account back into use", async () => {
    await app.register();
    for (let i = 0; i < 5; i++) await app.signIn(ada.email, "wrong");
    expect(await app.signIn(ada.email, ada.password)).toEqual({
      ok: false,
      reason: "locked",
      retryAfter: 30,
    });
    await forgot(ada.email);
    await reset((await app.lastMail()).token);
    expect(await app.signIn(ada.email, grace.password)).toMatchObject({ ok: true });
  });
});

describe("an account", () => {
  test("is read by its owner and by staff, and is not there for anybody else", async () => {
    const { id } = await app.register();
    const other = await app.register(grace);
    expect((await app.as(id, `/users/${id}`)).status).toBe(200);
    expect((await app.staff(`/users/${id}`)).status).toBe(200);
    expect(await refused(app.as(other.id, `/users/${id}`))).toBe("404 not-found");
    expect(await refused(app.as(other.id, "/users/u_nobody"))).toBe("404 not-found");
    expect((await app.request(`/users/${id}`)).status).toBe(401);
    expect((await app.request(`/users/${id}`, { scopes: ["orders:manage"] })).status).toBe(403);
    expect((await app.request("/users/me")).status).toBe(401);
    expect((await app.staff("/users/me")).status).toBe(403);
  });

  test.each([
    ["GET", ""],
    ["PATCH", ""],
    ["DELETE", ""],
    ["GET", "/export"],
    ["POST", "/verification-mail"],
  ])("of others cannot be reached by %s …%s", async (method, rest) => {
    const { id } = await app.register();
    const other = await app.register(grace);
    const body = method === "PATCH" ? { name: "Mallory" } : undefined;
    expect(await refused(app.as(other.id, `/users/${id}${rest}`, { method, body }))).toBe("404 not-found");
    expect((await app.request(`/users/${id}${rest}`, { method, body })).status).toBe(401);
    expect((await json<Seen>(app.staff(`/users/${id}`))).name).toBe(ada.name);
  });

  test("has an entity tag, by which it is read and changed", async () => {
    const { id } = await app.register();
    const path = `/users/${id}`;
    const tag = (await app.as(id, path)).headers.get("etag") ?? "";
    expect((await app.as(id, path, { headers: { "if-none-match": tag } })).status).toBe(304);
    const change = (match: string) =>
      app.as(id, path, { method: "PATCH", body: { name: "Ada L." }, headers: { "if-match": match } });
    const changed = await change(tag);
    expect(changed.status).toBe(200);
    expect(changed.headers.get("etag")).not.toBe(tag);
    expect(await refused(change(tag))).toBe("412 precondition-failed");
    const remove = app.as(id, path, { method: "DELETE", headers: { "if-match": tag } });
    expect(await refused(remove)).toBe("412 precondition-failed");
  });

  test("changes its name and language; what is left out stays", async () => {
    const { id } = await app.register();
    const answer = await app.as(id, "/users/me", { method: "PATCH", body: { language: "de" } });
    expect(await json<Seen>(answer)).toMatchObject({ name: ada.name, language: "de" });
    const none = await app.as(id, "/users/me", { method: "PATCH", body: {} });
    expect(none.headers.get("etag")).toBe(answer.headers.get("etag"));
    expect((await types()).filter((type) => type === "user.changed")).toHaveLength(1);
    expect(await refused(app.as(id, "/users/me", { method: "PATCH", body: { admin: true } }))).toBe(
      "400 invalid-body",
    );
  });

  test("changes its address when the new one was shown to be its own", async () => {
    const { id } = await app.register();
    const body = { email: "ada@new.test", currentPassword: ada.password };
    const asked = await json<Seen>(app.as(id, "/users/me", { method: "PATCH", body }));
    expect(asked).toMatchObject({ email: ada.email, pendingEmail: "ada@new.test" });
    const mail = await app.lastMail();
    expect(mail).toMatchObject({ to: "ada@new.test", template: "verify-email", userId: id });
    const after = await json<Seen>(app.post("/users/verify-email", { token: mail.token }));
    expect(after).toMatchObject({ id, email: "ada@new.test", emailVerified: true });
    expect(after.pendingEmail).toBeUndefined();
    expect(await app.signIn("ada@new.test", ada.password)).toMatchObject({ ok: true });
    expect(await app.signIn(ada.email, ada.password)).toEqual({ ok: false, reason: "wrong" });
  });

  test("does not learn that an address is taken; its owner does", async () => {
    const { id } = await app.register();
    await app.register(grace);
    const ask = async (email: string) => {
      const body = { email, currentPassword: ada.password };
      const answer = await app.as(id, "/users/me", { method: "PATCH", body });
      return { status: answer.status, ...(await json<Seen>(answer)), pendingEmail: "" };
    };
    expect(await ask(grace.email)).toEqual(await ask("free@shop.test"));
    const [, , told] = await app.mails();
    expect(told).toMatchObject({ template: "already-registered", to: grace.email, name: grace.name });
  });

  test("does not get an address that somebody else has registered meanwhile", async () => {
    const { id } = await app.register();
    const body = { email: grace.email, currentPassword: ada.password };
    await app.as(id, "/users/me", { method: "PATCH", body });
    const { token } = await app.lastMail();
    await app.register(grace);
    expect(await refused(app.post("/users/verify-email", { token }))).toBe("422 invalid-link");
  });

  test("changes its password by showing the one of now", async () => {
    const { id } = await app.register();
    const change = (body: object) => app.as(id, "/users/me", { method: "PATCH", body });
    const password = grace.password;
    expect(await refused(change({ password }))).toBe("422 current-password-required");
    expect(await refused(change({ password, currentPassword: "wrong" }))).toBe("403 wrong-password");
    expect(await refused(change({ password: "password1", currentPassword: ada.password }))).toBe(
      "422 weak-password",
    );
    expect((await change({ password, currentPassword: ada.password })).status).toBe(200);
    expect(await app.signIn(ada.email, password)).toMatchObject({ ok: true });
  });

  test("is locked to a signed-in guesser as to any other", async () => {
    const { id } = await app.register();
    const change = (currentPassword: string) =>
      app.as(id, "/users/me", { method: "PATCH", body: { password: grace.password, currentPassword } });
    for (let i = 0; i < 5; i++) expect((await change("wrong")).status).toBe(403);
    const locked = await change(ada.password);
    expect(locked.status).toBe(429);
    expect(locked.headers.get("retry-after")).toBe("30");
    expect(await json(locked)).toMatchObject({ code: "locked" });
  });

  test("gives up the address that was asked for with the old password, and its link", async () => {
    const { id } = await app.register();
    const thief = { email: "mallory@shop.test", currentPassword: ada.password };
    await app.as(id, "/users/me", { method: "PATCH", body: thief });
    const { token } = await app.lastMail();
    await app.post("/users/forgot-password", { email: ada.email });
    const mine = (await app.lastMail()).token;
    await app.post("/users/reset-password", { token: mine, password: grace.password });
    expect(await refused(app.post("/users/verify-email", { token }))).toBe("422 invalid-link");
    expect((await json<Seen>(app.as(id, "/users/me"))).pendingEmail).toBeUndefined();
  });

  test("is exported whole, but for the hash of the password", async () => {
    const { id } = await app.register();
    await app.signIn(ada.email, "wrong");
    const answer = await app.as(id, "/users/me/export");
    expect(answer.headers.get("content-disposition")).toBe('attachment; filename="account.json"');
    const all = await answer.text();
    expect(all).not.toContain("argon2");
    expect(JSON.parse(all)).toEqual({
      exportedAt: "2026-03-01T12:00:00.000Z",
      user: {
        ...(await json<Seen>(app.as(id, "/users/me"))),
        version: 1,
        validFrom: "2026-03-01T12:00:00.000Z",
      },
      openLinks: [{ purpose: "verify-email", expiresAt: "2026-03-02T12:00:00.000Z" }],
      wrongPasswords: ["2026-03-01T12:00:00.000Z"],
      elsewhere: [{ what: "orders, with addresses", href: `/api/orders?customer=${id}` }],
    });
  });
});

describe("what is personal", () => {
  const ring = (current: string) => JSON.stringify({ current, keys: { k1: key(1), k2: key(2) } });
  const key = (n: number) => Buffer.alloc(32, n).toString("base64url");

  test("lies sealed, each field for its place", async () => {
    const { id } = await app.register();
    const body = { email: "ada@new.test", currentPassword: ada.password };
    await app.as(id, "/users/me", { method: "PATCH", body });
    const kept = await app.kept();
    for (const text of [ada.email, ada.name, "ada@new.test"]) expect(kept).not.toContain(text);
    const other = await app.register(grace);
    await app.swap("users", "name", id, other.id);
    expect((await app.as(id, "/users/me")).status).toBe(500);
  });

  test("is sealed anew when the keys change, and read all the while", async () => {
    await app.stop();
    let current = "k1";
    app = await people({ now: () => now, fieldKeys: () => ring(current) });
    const { id } = await app.register();
    const body = { email: "ada@new.test", currentPassword: ada.password };
    await app.as(id, "/users/me", { method: "PATCH", body });
    const before = await app.store.user(id);
    current = "k2";
    await app.kit.sealed.refresh();
    expect(await app.store.user(id)).toEqual(before);
    const [row] = await app.store.sealedUsers.next("k1", "", 10);
    expect(row?.id).toBe(id);
    await roomOf(app.kit).commit({ writes: row ? [row.reseal()] : [] });
    expect(await app.store.sealedUsers.count("k1")).toBe(0);
    expect(await app.store.sealedUsers.count("k2")).toBe(1);
    expect(await app.store.user(id)).toEqual(before);
  });
});

describe("erasing", () => {
  test("takes everything of a person, tells the others, and frees the address", async () => {
    const { id } = await app.register({}, { "idempotency-key": "once" });
    expect(await app.rows("idempotency")).toBe(1);
    const { token } = await app.lastMail();
    await app.signIn(ada.email, "wrong");
    expect((await app.as(id, "/users/me", { method: "DELETE" })).status).toBe(204);
    expect((await app.as(id, "/users/me")).status).toBe(404);
    expect((await app.staff(`/users/${id}`)).status).toBe(404);
    expect(await refused(app.post("/users/verify-email", { token }))).toBe("422 invalid-link");
    expect(await app.signIn(ada.email, ada.password)).toEqual({ ok: false, reason: "wrong" });
    const last = (await app.published()).at(-1);
    expect(last).toMatchObject({ type: "user.erased", subject: id, data: { userId: id } });
    expect(await app.rows("users")).toBe(0);
    expect(await app.rows("mail_links")).toBe(0);
    expect(await app.rows("idempotency")).toBe(0);
    expect((await app.register()).id).not.toBe(id);
  });
});

describe("those who manage users", () => {
  test("list them, newest first, page by page, by role and address", async () => {
    const all: string[] = [];
    for (const name of ["Ann", "Bob", "Cid"]) {
      now += 1_000;
      all.unshift((await app.register({ name, email: `${name}@shop.test` })).id);
    }
    const list = (query: string) =>
      json<{ items: Seen[]; nextCursor: string | null }>(app.staff(`/users?${query}`));
    const one = await list("limit=2");
    const two = await list(`limit=2&cursor=${one.nextCursor}`);
    expect([...one.items, ...two.items].map(({ id }) => id)).toEqual(all);
    expect(two.nextCursor).toBeNull();
    expect((await list("email=BOB@shop.test")).items.map(({ name }) => name)).toEqual(["Bob"]);
    await app.staff(`/users/${all[0]}`, { method: "PATCH", body: { role: "staff" } });
    expect((await list("role=staff")).items.map(({ name }) => name)).toEqual(["Cid"]);
    expect((await app.as(all[0] ?? "", "/users")).status).toBe(403);
    expect((await app.request("/users")).status).toBe(401);
    expect(await refused(app.staff("/users?role=king"))).toBe("400 invalid-query");
    expect(await refused(app.staff("/users?cursor=x"))).toBe("400 invalid-query");
  });

  test("change names and roles, and ask for an address, but choose nobody's password", async () => {
    const { id } = await app.register();
    const change = (body: object) => app.staff(`/users/${id}`, { method: "PATCH", body });
    expect(await json<Seen>(change({ name: "Ada K.", role: "staff" }))).toMatchObject({
      name: "Ada K.",
      role: "staff",
    });
    expect(await json<Seen>(change({ email: "ada@new.test" }))).toMatchObject({
      email: ada.email,
      pendingEmail: "ada@new.test",
    });
    expect(await refused(change({ password: grace.password }))).toBe("403 not-yours");
  });

  test("cannot take the last admin away, however many try at once", async () => {
    const [one, two] = [await app.register(), await app.register(grace)];
    await promote(one);
    await promote(two);
    const answers = await Promise.all(
      [one, two].map(({ id }) => app.staff(`/users/${id}`, { method: "PATCH", body: { role: "customer" } })),
    );
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 409]);
    const { items } = await json<{ items: Seen[] }>(app.staff("/users?role=admin"));
    expect(items).toHaveLength(1);
    const last = items[0]?.id ?? "";
    expect(await refused(app.staff(`/users/${last}`, { method: "DELETE" }))).toBe("409 last-admin");
    expect(await refused(app.as(last, "/users/me", { method: "DELETE" }))).toBe("409 last-admin");
  });

  test("are asked for their role of now, whatever their token says", async () => {
    const [boss, other] = [await app.register(), await app.register(grace)];
    const asBoss = (body: object) =>
      app.as(boss.id, `/users/${other.id}`, { method: "PATCH", body, scopes: ["users:manage"] });
    expect(await refused(asBoss({ role: "admin" }))).toBe("403 insufficient-scope");
    await promote(boss);
    expect((await asBoss({ role: "admin" })).status).toBe(200);
    const own = { method: "PATCH", body: { role: "staff" }, scopes: ["users:manage"] };
    expect(await refused(app.as(boss.id, "/users/me", own))).toBe("403 own-role");
    await promote(boss, "customer");
    expect(await refused(asBoss({ role: "customer" }))).toBe("403 insufficient-scope");
    const erase = { method: "DELETE", scopes: ["users:manage"] };
    expect(await refused(app.as(boss.id, `/users/${other.id}`, erase))).toBe("403 insufficient-scope");
  });
});
