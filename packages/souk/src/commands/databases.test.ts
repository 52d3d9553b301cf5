import { Database } from "bun:sqlite";
import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { homeOf, prepare } from "../home.ts";
import { databases } from "./databases.ts";

const dir = mkdtempSync(join(tmpdir(), "souk-databases-"));
const home = homeOf(dir, dir);
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** A shop's data: each database with rows, used before. */
function data(): string {
  prepare(home);
  for (const name of ["orders", "payments"]) {
    const db = new Database(join(home.data, `${name}.db`), { create: true });
    db.run("create table rows (id integer primary key, text text)");
    for (let i = 0; i < 100; i++) db.run("insert into rows (text) values (?)", ["x".repeat(1_000)]);
    db.close();
    writeFileSync(join(home.data, `${name}.db-owner`), "");
  }
  return join(home.data, "orders.db");
}

test("whole databases are, and a shop without any has nothing wrong", () => {
  expect(databases(home)).toEqual([]);
  data();
  expect(databases(home)).toMatchObject([{ state: "ok", text: expect.stringContaining("2 read through") }]);
});

test.each<[string, (path: string) => void, RegExp]>([
  [
    "overwritten",
    (path) => writeFileSync(path, readFileSync(path).fill(0xa5, 40_000, 60_000)),
    /orders\.db (is damaged|cannot be read)/,
  ],
  ["cut off", (path) => truncateSync(path, 40_960), /orders\.db (is damaged|cannot be read)/],
  ["emptied", (path) => truncateSync(path), /orders\.db is empty/],
  ["removed", (path) => rmSync(path), /orders\.db is gone/],
])("one that was %s is named, with the way out", (_, harm, text) => {
  harm(data());
  const [found, ...rest] = databases(home);
  expect(rest).toEqual([]);
  expect(found).toMatchObject({ state: "wrong", mend: expect.stringContaining("docs/backup.md") });
  expect(found?.text).toMatch(text);
});
