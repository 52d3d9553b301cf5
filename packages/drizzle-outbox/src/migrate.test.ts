import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { sql } from "drizzle-orm";
import { dialects, empty, migrations, shop } from "../test/databases.ts";
import { faults } from "./faults.ts";
import { insert, migrate, outbox } from "./index.ts";

setDefaultTimeout(30_000);

/** The test schema's migrations. */
const known = (dialect: string) =>
  readdirSync(join(migrations, dialect))
    .filter((name) => name.endsWith(".sql"))
    .sort();

const script = join(import.meta.dirname, "..", "test", "migrating.ts");

for (const dialect of dialects)
  describe(`migrate on ${dialect}`, () => {
    const copied = () => {
      const folder = mkdtempSync(join(tmpdir(), "drizzle-outbox-migrations-"));
      cpSync(migrations, folder, { recursive: true });
      return folder;
    };
    const names = async (db: Awaited<ReturnType<Awaited<ReturnType<typeof empty>>["open"]>>) =>
      (await db.query<{ name: string }>(sql`select name from outbox_migrations order by name`)).map(
        ({ name }) => name,
      );

    test("several at once: each migration is applied once", async () => {
      const at = await empty(dialect);
      const dbs = await Promise.all([0, 1, 2, 3].map(() => at.open()));
      await Promise.all(dbs.map((db) => migrate(db, migrations)));
      for (const db of dbs) expect(await names(db)).toEqual(known(dialect));
      await at.remove();
    });

    test("several processes at once too", async () => {
      const at = await empty(dialect);
      const moment = String(Date.now() + 500);
      const ended = await Promise.all(
        [0, 1, 2, 3].map(async () => {
          const child = Bun.spawn([process.execPath, script, dialect, at.address, moment], {
            stderr: "pipe",
          });
          return [await child.exited, await new Response(child.stderr).text()];
        }),
      );
      expect(ended).toEqual([0, 1, 2, 3].map(() => [0, ""]));
      expect(await names(await at.open())).toEqual(known(dialect));
      await at.remove();
    });

    test("what another did between the look and the lock is not done again", async () => {
      const at = await empty(dialect);
      const db = await at.open();
      faults.at = () => {
        faults.at = undefined;
        expect(spawnSync(process.execPath, [script, dialect, at.address, "0"]).status).toBe(0);
      };
      await migrate(db, migrations);
      expect(faults.at).toBeUndefined();
      expect(await names(db)).toEqual(known(dialect));
      await at.remove();
    });

    test("applies what is new, keeps the rows, and takes a URL", async () => {
      const at = await empty(dialect);
      const db = await at.open();
      const folder = copied();
      const { orders, stock } = shop(dialect);
      await migrate(db, pathToFileURL(folder));
      await outbox(db, { send: async () => {} }).commit({
        writes: [
          insert(stock, { sku: "a", onHand: 1 }),
          insert(orders, { id: "1", version: 1, status: "open", total: 1 }),
        ],
      });
      writeFileSync(
        join(folder, dialect, "9000_more.sql"),
        "alter table stock add column more text;\n--> statement-breakpoint\nupdate stock set more = 'x';\n",
      );
      await migrate(db, folder);
      await migrate(db, folder);
      expect(await names(db)).toEqual([...known(dialect), "9000_more.sql"]);
      expect(await db.query(sql`select sku, more from stock`)).toEqual([{ sku: "a", more: "x" }]);
      rmSync(folder, { recursive: true });
      await at.remove();
    });

    test("one that fails changes nothing", async () => {
      const at = await empty(dialect);
      const db = await at.open();
      const folder = copied();
      writeFileSync(
        join(folder, dialect, "9000_half.sql"),
        "create table half (a text);\n--> statement-breakpoint\nnonsense;\n",
      );
      await expect(migrate(db, folder)).rejects.toThrow("nonsense");
      await migrate(db, migrations);
      expect(await names(db)).toEqual(known(dialect));
      rmSync(folder, { recursive: true });
      await at.remove();
    });

    test("what a newer version has added is no obstacle to an older one", async () => {
      const at = await empty(dialect);
      const newer = copied();
      const column = dialect === "sqlite" ? "integer" : "bigint";
      writeFileSync(join(newer, dialect, "9000_more.sql"), `alter table stock add column more ${column};`);
      await migrate(await at.open(), newer);
      const { stock } = shop(dialect);
      const old = await at.open();
      await migrate(old, migrations);
      await outbox(old, { send: async () => {} }).commit({
        writes: [insert(stock, { sku: "a", onHand: 1 })],
      });
      expect(await old.find(stock, { sku: "a" })).toEqual({ sku: "a", onHand: 1 });
      expect(await names(old)).toEqual([...known(dialect), "9000_more.sql"]);
      rmSync(newer, { recursive: true });
      await at.remove();
    });

    test("what it has taken away is", async () => {
      const at = await empty(dialect);
      const newer = copied();
      writeFileSync(join(newer, dialect, "9000_less.contract.sql"), "drop table stock;");
      await migrate(await at.open(), newer);
      await expect(migrate(await at.open(), migrations)).rejects.toThrow("run that version, or restore");
      rmSync(newer, { recursive: true });
      await at.remove();
    });

    test("nothing is taken away without saying so", async () => {
      const at = await empty(dialect);
      const db = await at.open();
      const folder = copied();
      writeFileSync(join(folder, dialect, "9000_less.sql"), "drop table stock;");
      await expect(migrate(db, folder)).rejects.toThrow("9000_less.sql takes something away");
      rmSync(folder, { recursive: true });
      await at.remove();
    });

    test("a database that has gone another way is refused", async () => {
      const at = await empty(dialect);
      const [one, other] = [copied(), copied()];
      writeFileSync(join(one, dialect, "9001_a.sql"), "create table a (a text);");
      writeFileSync(join(one, dialect, "9002_a.sql"), "create table aa (a text);");
      writeFileSync(join(other, dialect, "9001_b.sql"), "create table b (b text);");
      await migrate(await at.open(), one);
      await expect(migrate(await at.open(), other)).rejects.toThrow(
        "9001_a.sql was applied to this database, but has gone",
      );
      rmSync(one, { recursive: true });
      rmSync(other, { recursive: true });
      await at.remove();
    });

    test("one that was changed after it was applied is refused", async () => {
      const at = await empty(dialect);
      const db = await at.open();
      const folder = copied();
      await migrate(db, folder);
      writeFileSync(join(folder, dialect, "0000_init.sql"), "create table other (a text);");
      await expect(migrate(db, folder)).rejects.toThrow(
        "0000_init.sql was applied to this database, but has changed since",
      );
      rmSync(folder, { recursive: true });
      await at.remove();
    });
  });
