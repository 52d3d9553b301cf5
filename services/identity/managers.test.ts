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

/** Makes an admin of somebody. */
const promote = async ({ id }: Seen, role = "admin"): Promise<void> => {
  const answer = await app.staff(`/users/${id}`, { method: "PATCH", body: { role } });
  expect(answer.status).toBe(200);
};

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
