import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { ada, grace, json, type People, people, refused, type Seen } from "./users.fixture.ts";

setDefaultTimeout(60_000);

let now: number;
let app: People;
beforeEach(async () => {
  now = Date.parse("2026-03-01T12:00:00Z");
  app = await people({ now: () => now });
});
afterEach(() => app.stop());

const types = async (): Promise<string[]> => (await app.published()).map(({ type }) => type);

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
