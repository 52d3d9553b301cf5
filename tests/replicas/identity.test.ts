import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { type Db, openPostgres } from "drizzle-outbox";
import { server } from "../../packages/drizzle-outbox/test/postgres.ts";
import { ada, type People, people, type Seen } from "../../services/identity/users.fixture.ts";

// Two replicas of identity on one PostgreSQL: what one process keeps apart by itself, the database must.

setDefaultTimeout(60_000);

const random = () => randomBytes(32).toString("base64url");
const secrets = { key: random(), index: random(), mail: random() };
const ring = JSON.stringify({ current: "k1", keys: { k1: random() } });

let databases: Db[] = [];
let replicas: People[] = [];
beforeEach(async () => {
  const url = await (await server()).database();
  databases = [await openPostgres(url), await openPostgres(url)];
  replicas = [];
  for (const db of databases)
    replicas.push(await people({ db, secrets: () => secrets, fieldKeys: () => ring }));
});
afterEach(async () => {
  await Promise.all(replicas.map((one) => one.stop()));
  await Promise.all(databases.map((db) => db.close()));
});

const on = (i: number): People => replicas[i % replicas.length] as People;
const all = async (query = ""): Promise<Seen[]> =>
  ((await (await on(0).staff(`/users${query}`)).json()) as { items: Seen[] }).items;

test("one address registered on both at once is one account", async () => {
  const answers = await Promise.all(Array.from({ length: 8 }, (_, i) => on(i).post("/users", ada)));
  expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(201));
  expect(await all()).toHaveLength(1);
  const [{ id = "" } = {}] = await all();
  expect(((await (await on(1).as(id, "/users/me")).json()) as Seen).email).toBe(ada.email);
});

test("a link is used once, wherever it is shown", async () => {
  await on(0).register();
  const { token } = await on(0).lastMail();
  const answers = await Promise.all([0, 1, 2, 3].map((i) => on(i).post("/users/verify-email", { token })));
  expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 422, 422, 422]);
});

test("two admins who are demoted at once do not both go", async () => {
  const ids: string[] = [];
  for (const email of ["one@shop.test", "two@shop.test", "three@shop.test"]) {
    const { id } = await on(0).register({ email });
    ids.push(id);
    await on(1).staff(`/users/${id}`, { method: "PATCH", body: { role: "admin" } });
  }
  const answers = await Promise.all(
    ids.map((id, i) =>
      i === 0
        ? on(i).staff(`/users/${id}`, { method: "DELETE" })
        : on(i).staff(`/users/${id}`, { method: "PATCH", body: { role: "staff" } }),
    ),
  );
  expect(answers.filter(({ status }) => status === 409)).toHaveLength(1);
  expect(await all("?role=admin")).toHaveLength(1);
});

test("wrong passwords are counted together", async () => {
  await on(0).register();
  const tried: string[] = [];
  for (let i = 0; i < 12; i++) {
    const answer = await on(i).signIn(ada.email, "wrong", "203.0.113.9");
    tried.push(answer.ok ? "in" : answer.reason);
  }
  expect(tried).toEqual([...Array(5).fill("wrong"), ...Array(7).fill("locked")]);
});

test("those tried on both at once are as few", async () => {
  await on(0).register();
  const answers = await Promise.all(
    Array.from({ length: 40 }, (_, i) => on(i).signIn(ada.email, "wrong", `203.0.113.${i}`)),
  );
  expect(answers.filter((answer) => !answer.ok && answer.reason === "wrong")).toHaveLength(5);
});
