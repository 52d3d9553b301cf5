import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { createHash } from "node:crypto";
import { ada, grace, json, type People, people, refused, type Seen } from "./users.fixture.ts";

setDefaultTimeout(60_000);

let now: number;
let app: People;
beforeEach(async () => {
  now = Date.parse("2026-03-01T12:00:00Z");
  app = await people({ now: () => now });
});
afterEach(() => app.stop());

const hour = 3_600_000;
const types = async (): Promise<string[]> => (await app.published()).map(({ type }) => type);

describe("registering", () => {
  test("answers with the account, and mails a link to its address", async () => {
    const answer = await app.post("/users", { ...ada, language: "en-GB" });
    expect(answer.status).toBe(201);
    const user = await json<Seen>(answer);
    expect(user).toEqual({
      id: expect.stringMatching(/^u_[0-9a-f-]{36}$/),
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
