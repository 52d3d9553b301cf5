import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "drizzle-orm";
import pg from "pg";
import { empty, migrations, place, shop, until } from "../test/databases.ts";
import { lockableFolder, smallDisk } from "../test/disk.ts";
import { insert, migrate, openSqlite, outbox, StorageUnavailable } from "./index.ts";

setDefaultTimeout(60_000);

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const each of cleanUp.splice(0).reverse()) await each();
});

const folder = () => {
  const path = mkdtempSync(join(tmpdir(), "drizzle-outbox-storage-"));
  cleanUp.push(() => rmSync(path, { recursive: true, force: true }));
  return path;
};

const refusal = async (work: Promise<unknown>): Promise<StorageUnavailable> => {
  const error = await work.then(
    () => new Error("it was taken"),
    (caught: unknown) => caught,
  );
  if (!(error instanceof StorageUnavailable)) throw error;
  return error;
};

const { orders, stock } = shop("sqlite");
const big = (id: string) => ({
  id,
  version: 1,
  status: "open" as const,
  total: 1,
  lines: [{ sku: "x".repeat(4_000), quantity: 1 }],
});

describe("a full disk", () => {
  /** How room is taken away and given: a real disk, or where nothing can be mounted SQLite's own limit. */
  async function narrow() {
    const disk = smallDisk(1);
    const path = disk?.path ?? folder();
    if (disk) cleanUp.push(disk.remove);
    else process.stdout.write("a full disk is tried by SQLite's own limit: this user may not mount one\n");
    const db = await openSqlite(join(path, "shop.db"));
    cleanUp.push(() => db.close());
    await migrate(db, migrations);
    if (!disk) await db.query(sql`pragma max_page_count = 150`);
    return { db, room: async () => (disk ? disk.resize(16) : db.query(sql`pragma max_page_count = 100000`)) };
  }

  test("refuses what cannot be stored, keeps what was, and goes on by itself", async () => {
    const { db, room } = await narrow();
    const said: (string | undefined)[] = [];
    const sent = new Set<string>();
    const box = outbox(db, {
      async send(events) {
        for (const { key } of events) sent.add(key);
      },
      onStorage: (trouble) => said.push(trouble?.reason),
      onError: () => {},
    });
    const relay = box.relay();
    await box.stores();
    const kept: string[] = [];
    const commit = async (id: string) => {
      await box.commit({
        writes: [insert(orders, big(id))],
        events: [{ topic: "orders", type: "made", key: id, data: null }],
      });
      kept.push(id);
    };
    // Several at once share a transaction: each is told for itself.
    const refused: StorageUnavailable[] = [];
    for (let i = 0; refused.length === 0; i++) {
      const results = await Promise.allSettled([0, 1, 2].map((j) => commit(`${i}-${j}`)));
      for (const result of results) if (result.status === "rejected") refused.push(result.reason);
    }
    for (const error of refused) expect(error).toMatchObject({ name: "StorageUnavailable", reason: "full" });
    expect((await refusal(box.once("e-1", "c", { writes: [insert(orders, big("by event"))] }))).reason).toBe(
      "full",
    );
    expect(said).toEqual(["full"]);

    // A small one may still find room: what matters is that it is told the truth.
    const small = await box.commit({ writes: [insert(stock, { sku: "s", onHand: 1 })] }).then(
      () => true,
      () => false,
    );
    expect((await db.find(stock, { sku: "s" })) !== undefined).toBe(small);
    expect((await db.findAll(orders, sql`true`)).map(({ id }) => id).sort()).toEqual(kept.toSorted());

    await room();
    await box.stores();
    expect(said.at(-1)).toBeUndefined();
    expect(await box.once("e-1", "c", { writes: [insert(orders, big("by event"))] })).toBe("applied");
    await commit("later");
    await box.drain();
    expect([...sent].sort()).toEqual(kept.toSorted());
    await relay.stop();
  });

  test("is found by who asks, without a commit", async () => {
    const { db, room } = await narrow();
    const box = outbox(db, { send: async () => {}, onError: () => {} });
    // Until not even the smallest change finds room.
    for (let n = 0; ; n++) {
      const row = { sku: `s-${n}`, onHand: 1 };
      const error = await box.commit({ writes: [insert(stock, row)] }).catch((caught: unknown) => caught);
      if (error) break;
    }
    expect((await refusal(box.stores())).reason).toBe("full");
    await room();
    await box.stores();
  });
});

describe("a read-only disk", () => {
  test("is refused with what is wrong, and the file is as it was", async () => {
    const disk = lockableFolder();
    if (!disk) {
      process.stdout.write(
        "not run: a read-only disk (this root may not mount one, and chmod does not stop it)\n",
      );
      return;
    }
    cleanUp.push(disk.remove);
    const path = join(disk.path, "shop.db");
    const db = await openSqlite(path);
    await migrate(db, migrations);
    await db.close();
    const before = readFileSync(path);
    disk.readOnly(true);
    const error = await refusal(openSqlite(path));
    expect(error.reason).toBe("read-only");
    expect(error.message).toMatch(/shop\.db cannot be written: .*(EROFS|EACCES)/);
    expect(readFileSync(path).equals(before)).toBe(true);
    disk.readOnly(false);
    await (await openSqlite(path)).close();
  });

  test("of a server that takes no writes: said while it lasts, and no longer", async () => {
    const at = await place("postgres");
    cleanUp.push(() => at.remove());
    const said: (string | undefined)[] = [];
    const box = outbox(await at.open(), {
      send: async () => {},
      onStorage: (trouble) => said.push(trouble?.reason),
      onError: () => {},
    });
    await box.stores();
    const admin = new pg.Client(at.address);
    await admin.connect();
    const name = new URL(at.address).pathname.slice(1);
    const readOnly = async (value: string) => {
      await admin.query("set default_transaction_read_only = off");
      await admin.query(`alter database ${name} set default_transaction_read_only = ${value}`);
      await admin.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
      );
    };
    await readOnly("on");
    const row = { sku: "s", onHand: 1 };
    const postgresStock = shop("postgres").stock;
    await until(
      async () =>
        (await refusal(box.commit({ writes: [insert(postgresStock, row)] }))).reason === "read-only",
    );
    expect((await refusal(box.stores())).reason).toBe("read-only");
    await readOnly("off");
    await until(() =>
      box.stores().then(
        () => true,
        () => false,
      ),
    );
    await box.commit({ writes: [insert(postgresStock, row)] });
    expect(said).toContain("read-only");
    expect(said.at(-1)).toBeUndefined();
    await admin.end();
  });

  test("a server that is gone is said to be", async () => {
    const at = await empty("postgres");
    cleanUp.push(() => at.remove());
    const url = new URL(at.address);
    url.port = "1";
    const { openPostgres } = await import("./postgres.ts");
    const db = await openPostgres(url.href);
    cleanUp.push(() => db.close());
    expect((await refusal(migrate(db, migrations))).reason).toBe("unreachable");
    expect((await refusal(outbox(db, { send: async () => {} }).stores())).reason).toBe("unreachable");
  });
});

test("a read through Drizzle's builders says, too, that the server cannot be reached", async () => {
  const { openPostgres } = await import("./postgres.ts");
  const db = await openPostgres("postgres://nobody@127.0.0.1:1/nowhere");
  cleanUp.push(() => db.close());
  const error = await db
    .select()
    .from(shop("postgres").orders)
    .then(
      () => undefined,
      (caught: unknown) => caught,
    );
  expect(StorageUnavailable.of(error)?.reason).toBe("unreachable");
  expect(StorageUnavailable.of(new Error("else", { cause: new Error("unlike it") }))).toBeUndefined();
});

describe("a damaged file", () => {
  /** A file with a few hundred KB in it, closed. */
  async function filled(): Promise<string> {
    const path = join(folder(), "shop.db");
    const db = await openSqlite(path);
    await migrate(db, migrations);
    const box = outbox(db, { send: async () => {} });
    await box.commit({
      writes: [
        insert(
          orders,
          Array.from({ length: 200 }, (_, i) => big(`o-${i}`)),
        ),
      ],
    });
    const relay = box.relay();
    await box.drain();
    await relay.stop();
    await db.close();
    return path;
  }
  const overwrite = (path: string, from: number, length: number) => {
    const bytes = readFileSync(path);
    bytes.fill(0xa5, from, from + length);
    writeFileSync(path, bytes);
  };

  test.each<[string, (path: string) => void, RegExp]>([
    ["overwritten in the middle", (path) => overwrite(path, statSync(path).size >> 1, 65_536), /is damaged/],
    ["cut off", (path) => truncateSync(path, statSync(path).size >> 1), /is damaged/],
    ["without its head", (path) => overwrite(path, 0, 100), /is damaged/],
    ["emptied", (path) => truncateSync(path, 0), /is empty, although it was in use/],
    ["removed", (path) => rmSync(path), /is gone, although it was in use/],
  ])("that was %s is not opened, nor changed, and said to be so", async (_, damage, message) => {
    const path = await filled();
    damage(path);
    const before = existsSync(path) ? readFileSync(path) : undefined;
    const error = await refusal(openSqlite(path));
    expect(error.message).toContain(path);
    expect(error.message).toMatch(message);
    expect(existsSync(path) ? readFileSync(path) : undefined).toEqual(before);
  });

  test("a log that a crash cut short is no damage: what was committed before is there", async () => {
    const path = join(folder(), "shop.db");
    const db = await openSqlite(path);
    await migrate(db, migrations);
    const box = outbox(db, { send: async () => {} });
    await box.commit({ writes: [insert(stock, { sku: "first", onHand: 1 })] });
    const whole = statSync(`${path}-wal`).size;
    await box.commit({ writes: [insert(stock, { sku: "second", onHand: 1 })] });
    const copy = join(folder(), "shop.db");
    for (const ending of ["", "-wal"]) copyFileSync(`${path}${ending}`, `${copy}${ending}`);
    await db.close();
    truncateSync(`${copy}-wal`, whole + 100);
    const again = await openSqlite(copy);
    expect(await again.find(stock, { sku: "first" })).toBeDefined();
    expect(await again.find(stock, { sku: "second" })).toBeUndefined();
    await again.close();
  });

  test("that is found so while it is open takes nothing any more, until it is opened anew", async () => {
    const path = await filled();
    const db = await openSqlite(path);
    cleanUp.push(() => db.close().catch(() => {}));
    const said: (string | undefined)[] = [];
    const box = outbox(db, {
      send: async () => {},
      onStorage: (trouble) => said.push(trouble?.reason),
      onError: () => {},
    });
    await box.stores();
    await db.query(sql`pragma wal_checkpoint(truncate)`);
    overwrite(path, 8_192, statSync(path).size - 8_192);
    // SQLite reads pages again that it does not remember.
    await db.query(sql`pragma cache_size = 0`);
    await db.query(sql`pragma shrink_memory`);
    expect((await refusal(db.findAll(orders, sql`total > 0`))).reason).toBe("corrupt");
    expect((await refusal(box.stores())).reason).toBe("corrupt");
    expect((await refusal(box.commit({ writes: [insert(stock, { sku: "s", onHand: 1 })] }))).reason).toBe(
      "corrupt",
    );
    expect((await refusal(box.once("e-1", "c", {}))).reason).toBe("corrupt");
    expect(said).toEqual(["corrupt"]);
  });
});
