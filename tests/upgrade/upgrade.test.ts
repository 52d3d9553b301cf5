import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "drizzle-orm";
import { type Db, migrate, openPostgres, openSqlite } from "drizzle-outbox";
import { server } from "../../packages/drizzle-outbox/test/postgres.ts";
import { eventually } from "../e2e/shop.ts";
import {
  type Placed,
  place,
  product,
  type Replica,
  type Store,
  statusAt,
  unpack,
  type Version,
  World,
} from "./versions.ts";

// A version of orders from before and today's, on one database: side by side, and one after the other.

setDefaultTimeout(120_000);

let old: ReturnType<typeof unpack>;
const cleanUp: (() => unknown)[] = [];
beforeAll(() => {
  old = unpack();
});
afterAll(() => old.remove());
afterEach(async () => {
  for (const each of cleanUp.splice(0).reverse()) await each();
});

const world = () => {
  const made = new World(old.folder);
  cleanUp.push(() => made.stop());
  return made;
};

async function store(dialect: "sqlite" | "postgres"): Promise<Store> {
  const folder = mkdtempSync(join(tmpdir(), "upgrade-"));
  cleanUp.push(() => rmSync(folder, { recursive: true, force: true }));
  return dialect === "sqlite" ? { folder } : { folder, url: await (await server()).database() };
}

async function look<T>({ folder, url }: Store, ask: (db: Db) => Promise<T>): Promise<T> {
  const db = url ? await openPostgres(url) : await openSqlite(join(folder, "orders.db"));
  try {
    return await ask(db);
  } finally {
    await db.close();
  }
}

const migrationsOf = (folder: string, dialect: string) =>
  readdirSync(join(folder, "services/orders/migrations", dialect))
    .filter((name) => name.endsWith(".sql"))
    .sort();
const root = join(import.meta.dir, "../..");
const applied = (at: Store) =>
  look(at, async (db) =>
    (await db.query<{ name: string }>(sql`select name from outbox_migrations order by name`)).map(
      ({ name }) => name,
    ),
  );

/** Everything that was placed ends as it should, and was told once. */
async function allEnds(around: World, replicas: Replica[], orders: Placed[], at: Store): Promise<void> {
  const wanted = ({ id }: Placed) => (around.rejected.has(id) ? "rejected" : "confirmed");
  for (const order of orders)
    await eventually(
      `${order.id} is ${wanted(order)}`,
      async () => {
        await around.answer();
        return (await Promise.all(replicas.map((replica) => statusAt(replica, order)))).every(
          (status) => status === wanted(order),
        );
      },
      60_000,
    );
  const told = (type: string) =>
    [...around.published.values()]
      .filter((event) => event.type === type)
      .map(({ data }) => data.orderId)
      .sort();
  const of = (status: string) =>
    orders
      .filter((order) => wanted(order) === status)
      .map(({ id }) => id)
      .sort();
  expect(told("order.placed")).toEqual(orders.map(({ id }) => id).sort());
  expect(told("order.confirmed")).toEqual(of("confirmed"));
  expect(told("order.rejected")).toEqual(of("rejected"));
  await eventually("nothing is left to send or do", () =>
    look(at, async (db) => {
      const [left] = await db.query<{ n: number }>(
        sql`select (select count(*) from outbox_events) + (select count(*) from outbox_jobs) as n`,
      );
      return Number(left?.n) === 0;
    }),
  );
}

test("side by side on one PostgreSQL: both take orders, events and jobs, and old ones may start again", async () => {
  const at = await store("postgres");
  const around = world();
  let before = await around.start("old", at);
  expect(await applied(at)).toEqual(migrationsOf(old.folder, "postgres"));
  await around.deliver(before, "catalog", "product.created", "p-1", product("A"));
  const orders: Placed[] = [];
  const take = async (replicas: Replica[], count: number, silent = false) => {
    for (let i = 0; i < count; i++) {
      const key = `key-${orders.length}`;
      // The same request to all, as of a client that is not sure: one order.
      const answers = await Promise.all(replicas.map((replica) => place(replica, "A", key)));
      const [order] = answers;
      if (!order) throw new Error("nobody was asked");
      expect(new Set(answers.map(({ id }) => id)).size).toBe(1);
      if (silent) around.silentFor.add(order.id);
      orders.push(order);
      if (i % 3 === 0) await around.answer();
    }
  };
  await take([before], 5);

  let now = await around.start("new", at);
  expect(await applied(at)).toEqual(migrationsOf(root, "postgres"));
  await take([before, now], 10);
  await take([now, before], 10);
  // What one wrote, both can read.
  expect(await statusAt(before, orders[24] as Placed)).toBe(await statusAt(now, orders[24] as Placed));
  // The old one knows nothing of a dead letter's status; the new one finds it undecided.
  expect(await around.deliver(before, "orders-dead", "stock.reserved", "dead-1", { orderId: "gone" })).toBe(
    "SUCCESS",
  );

  await before.kill();
  await take([now], 5);
  before = await around.start("old", at);
  await take([before, now], 10);
  await allEnds(around, [before, now], orders, at);

  // Who is not answered is given up by its deadline: a job that either version may have set, and either may find.
  await Promise.all([before.kill(), now.kill()]);
  const env = { CHECKOUT_DEADLINE_MS: "500" };
  [before, now] = await Promise.all([around.start("old", at, env), around.start("new", at, env)]);
  await take([before, now], 4, true);
  await take([now, before], 4, true);
  await eventually("who was not answered is given up", async () => {
    const aborting = [...around.published.values()].filter(({ type }) => type === "order.aborting");
    return new Set(aborting.map(({ data }) => data.orderId)).size === around.silentFor.size;
  });
  const silent = [...around.silentFor];
  around.silentFor.clear();
  around.rejected = new Set(silent);
  await allEnds(around, [before, now], orders, at);
  const letters = await look(at, (db) => db.query(sql`select id, status, version from outbox_dead_letters`));
  expect(letters).toEqual([{ id: "dead-1", status: "dead", version: 1 }]);
});

test("one after the other on one SQLite file, forth and back, each killed in the middle", async () => {
  const at = await store("sqlite");
  const around = world();
  const orders: Placed[] = [];
  let running: Replica | undefined;
  for (const [turn, version] of (["old", "new", "old", "new", "old", "new"] as Version[]).entries()) {
    running = await around.start(version, at);
    if (turn === 0) await around.deliver(running, "catalog", "product.created", "p-1", product("A"));
    // What the one before was asked, and may have answered, is asked again.
    if (turn > 0) {
      const last = orders.at(-1) as Placed;
      expect((await place(running, "A", `key-${orders.length - 1}`)).id).toBe(last.id);
    }
    for (let i = 0; i < 10; i++) {
      orders.push(await place(running, "A", `key-${orders.length}`));
      if (i === 5) await around.answer();
    }
    if (turn < 5) await running.kill();
  }
  expect(await applied(at)).toEqual(migrationsOf(root, "sqlite"));
  await allEnds(around, [running as Replica], orders, at);
});

test("when the old version is gone, what it wrote is sealed, and nothing personal is left readable", async () => {
  const at = await store("sqlite");
  const around = world();
  const before = await around.start("old", at);
  await around.deliver(before, "catalog", "product.created", "p-1", product("A"));
  const orders: Placed[] = [];
  for (let i = 0; i < 10; i++) orders.push(await place(before, "A", `key-${i}`));
  await before.stop();

  const now = await around.start("new", at, { SEAL_FIELDS: "yes" });
  await eventually("everything is sealed", () =>
    look(at, async (db) => {
      const [left] = await db.query<{ n: number }>(
        sql`select (select count(*) from orders where sealed_with is null)
          + (select count(*) from idempotency where sealed_with is null) as n`,
      );
      return Number(left?.n) === 0;
    }),
  );
  const rows = await look(at, (db) =>
    db.query(sql`select state, email from orders union all select body, headers from idempotency`),
  );
  expect(rows).toHaveLength(20);
  expect(JSON.stringify(rows)).not.toMatch(/ada@example|Main Street/);
  for (const [i, order] of orders.entries()) expect(await place(now, "A", `key-${i}`)).toEqual(order);
  await allEnds(around, [now], orders, at);
});

describe("replicas of the new version that start at the same time migrate once", () => {
  test.each(["an empty database", "one of the old version"])("on %s", async (what) => {
    const at = await store("postgres");
    const around = world();
    let before: Placed | undefined;
    if (what !== "an empty database") {
      const first = await around.start("old", at);
      await around.deliver(first, "catalog", "product.created", "p-1", product("A"));
      before = await place(first, "A", "before");
      await first.stop();
    }
    const replicas = await Promise.all([0, 1, 2].map(() => around.start("new", at)));
    expect(await applied(at)).toEqual(migrationsOf(root, "postgres"));
    await around.deliver(replicas[0] as Replica, "catalog", "product.created", "p-2", product("B"));
    const orders = await Promise.all(replicas.map((replica, i) => place(replica, "B", `key-${i}`)));
    await allEnds(around, replicas, before ? [before, ...orders] : orders, at);
  });
});

test("an old version that a contraction has taken something from says so, and does not start", async () => {
  const at = await store("sqlite");
  const around = world();
  await (await around.start("old", at)).stop();
  await look(at, async (db) => {
    await db.query(
      sql`insert into outbox_migrations (name, hash, at) values ('0009_less.contract.sql', 'x', 0)`,
    );
  });
  await expect(around.start("old", at)).rejects.toThrow("old ended with 1");
  // Nor does today's: it does not know it either.
  await expect(look(at, (db) => migrate(db, join(root, "services/orders/migrations")))).rejects.toThrow(
    "run that version, or restore a backup",
  );
});
