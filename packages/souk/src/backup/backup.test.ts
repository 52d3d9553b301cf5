import { Database } from "bun:sqlite";
import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { migrate, openSqlite, outbox } from "drizzle-outbox";
import { type Home, homeOf, prepare } from "../home.ts";
import { lock } from "../lock.ts";
import { type Project, readProject } from "../project.ts";
import { pack, unpack } from "./archive.ts";
import { backup } from "./backup.ts";
import { cut, inspect } from "./cut.ts";
import { entryOf, FORMAT, type Manifest } from "./manifest.ts";
import { finishRestore, putInPlace } from "./place.ts";
import { restore } from "./restore.ts";
import { writeAppendOnlyFile } from "./state.ts";
import { verify } from "./verify.ts";

const root = resolve(import.meta.dir, "../../../..");
const takenAt = Date.now() - 60_000;
// A passphrase is slow to try, on purpose.
setDefaultTimeout(30_000);

let folder: string;
let home: Home;
let project: Project;
const at = (...path: string[]) => join(folder, ...path);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "souk-backup-"));
  home = homeOf(root, at("home"));
  project = readProject(root);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function create(path: string, sql: string): void {
  const db = new Database(path);
  db.exec(sql);
  db.close();
}

/** A backup of one service, made by hand; `change` has it otherwise. */
async function archive(
  change: (manifest: Manifest, dir: string) => void = () => {},
  passphrase?: string,
): Promise<string> {
  const dir = mkdtempSync(at("made-"));
  for (const name of ["data", "outside", "secrets"]) mkdirSync(join(dir, name));
  const db = await openSqlite(join(dir, "data/identity.db"));
  await migrate(db, join(root, "services/identity/migrations"));
  await outbox(db, { send: async () => {} }).commit({
    events: [{ topic: "identity", type: "x", key: "k", data: null }],
  });
  await db.close();
  create(join(dir, "outside/test-provider.db"), "create table operations (payment text)");
  writeFileSync(join(dir, "secrets/identity.json"), '{"key":"k"}');
  writeFileSync(join(dir, "dev-client.json"), "{}");
  writeFileSync(join(dir, "state.ndjson"), "");
  const { migrations } = inspect(join(dir, "data/identity.db"), "identity.db");
  const paths = [
    "data/identity.db",
    "dev-client.json",
    "outside/test-provider.db",
    "secrets/identity.json",
    "state.ndjson",
  ];
  const manifest: Manifest = {
    format: FORMAT,
    souk: "0.1.0",
    takenAt,
    heldMs: 1,
    stores: { identity: { migrations } },
    stateKeys: 0,
    files: await Promise.all(paths.map((path) => entryOf(dir, path))),
  };
  change(manifest, dir);
  writeFileSync(join(dir, "manifest.json"), JSON.stringify(manifest));
  const file = `${dir}.tar.gz`;
  await pack(dir, ["manifest.json", ...manifest.files.map(({ path }) => path)], file, { passphrase });
  return file;
}

const into = (file: string, more: Partial<Parameters<typeof restore>[0]> = {}) =>
  restore({ root, home, file, ...more });

describe("a moment of several databases", () => {
  test("has no commit of one that came after the moment of another, whatever is written meanwhile", async () => {
    const paths = ["a", "b", "c"].map((name) => at(`${name}.db`));
    for (const path of paths) {
      const db = new Database(path);
      db.exec("pragma journal_mode = wal; create table numbers (n integer primary key, filler text)");
      db.close();
    }
    // Writes each number to a, then to b, then to c, without a pause.
    const writer = Bun.spawn([
      process.execPath,
      "-e",
      `import { Database } from "bun:sqlite";
       const all = ${JSON.stringify(paths)}.map((path) => new Database(path));
       for (const db of all) db.exec("pragma busy_timeout = 5000; pragma synchronous = normal");
       for (let n = 1; ; n++) for (const db of all) db.run("insert into numbers values (?, ?)", [n, "x".repeat(500)]);`,
    ]);
    try {
      const last = (path: string) => {
        const db = new Database(path, { readonly: true });
        const { n } = db.query("select coalesce(max(n), 0) as n from numbers").get() as { n: number };
        db.close();
        return n;
      };
      while (last(paths[2] ?? "") < 300) await Bun.sleep(5);
      for (let round = 0; round < 8; round++) {
        const moment = await cut(paths);
        const copies = paths.map((path) => `${path}.${round}`);
        for (const [index, path] of paths.entries()) await moment.copy(path, copies[index] ?? "");
        moment.close();
        const [a = 0, b = 0, c = 0] = copies.map((copy) => {
          inspect(copy, copy);
          return last(copy);
        });
        expect([a, b, c]).toEqual([a, Math.min(b, a), Math.min(c, b)]);
        expect(a - c).toBeLessThanOrEqual(1);
        expect(statSync(copies[0] ?? "").mode & 0o777).toBe(0o600);
      }
      const before = last(paths[2] ?? "");
      while (last(paths[2] ?? "") < before + 50) await Bun.sleep(5);
    } finally {
      writer.kill("SIGKILL");
      await writer.exited;
    }
  }, 30_000);

  test("is not had while somebody writes for ever, and nobody is held up by the attempt", async () => {
    for (const name of ["a", "b"]) create(at(`${name}.db`), "create table t (n)");
    const busy = new Database(at("b.db"));
    busy.exec("begin immediate");
    const tried = cut([at("a.db"), at("b.db")]);
    await Bun.sleep(700);
    const other = new Database(at("a.db"));
    other.exec("pragma busy_timeout = 2000; insert into t values (1)");
    busy.exec("rollback");
    (await tried).close();
    for (const db of [busy, other]) db.close();
  }, 30_000);
});

describe("a backup is refused", () => {
  test("when it is cut off, wherever", async () => {
    const file = await archive();
    const { size } = statSync(file);
    for (const share of [0.02, 0.3, 0.7, 0.99]) {
      const part = at(`part-${share}`);
      copyFileSync(file, part);
      truncateSync(part, Math.floor(size * share));
      await expect(verify(part, project)).rejects.toThrow(/damaged or cut off|cannot be used/);
    }
    truncateSync(file, 0);
    await expect(verify(file, project)).rejects.toThrow("is not a backup of Souk");
    await expect(verify(at("nothing"), project)).rejects.toThrow(`There is no ${at("nothing")}`);
  });

  test("when a byte of it is another one", async () => {
    const file = await archive();
    const bytes = readFileSync(file);
    for (let n = 0; n < 20; n++) {
      const damaged = Buffer.from(bytes);
      const where = 20 + Math.floor(((bytes.length - 40) * n) / 20);
      damaged[where] = (damaged[where] ?? 0) ^ 0x10;
      writeFileSync(at("damaged"), damaged);
      await expect(verify(at("damaged"), project)).rejects.toThrow(/damaged or cut off|cannot be used/);
    }
  });

  test("when a file in it is not what the manifest says", async () => {
    const changed = await archive((_, dir) =>
      writeFileSync(join(dir, "secrets/identity.json"), '{"key":"x"}'),
    );
    await expect(verify(changed, project)).rejects.toThrow("secrets/identity.json is damaged: its SHA-256");
    const longer = await archive((_, dir) => writeFileSync(join(dir, "dev-client.json"), "{} "));
    await expect(verify(longer, project)).rejects.toThrow("has 3 bytes and should have 2");
    const missing = await archive((manifest) => {
      manifest.files.push({ ...manifest.files[0], path: "data/orders.db" } as Manifest["files"][0]);
      manifest.files.pop();
      manifest.stores.orders = { migrations: [] };
    });
    await expect(verify(missing, project)).rejects.toThrow("data/orders.db is missing");
  });

  test("when a database in it is damaged, though its hash is right", async () => {
    const file = await archive((manifest, dir) => {
      const path = join(dir, "data/identity.db");
      const bytes = readFileSync(path);
      bytes.fill(7, 4096, 8192);
      writeFileSync(path, bytes);
      const entry = manifest.files.find((one) => one.path === "data/identity.db");
      if (entry) entry.sha256 = new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
    });
    await expect(verify(file, project)).rejects.toThrow("data/identity.db is damaged");
  });

  test("when it is newer than this checkout", async () => {
    const format = await archive((manifest) => {
      manifest.format = FORMAT + 1;
      manifest.souk = "9.0.0";
    });
    await expect(verify(format, project)).rejects.toThrow("made by a newer Souk (9.0.0");
    const schema = await archive((manifest, dir) => {
      const path = join(dir, "data/identity.db");
      const db = new Database(path);
      db.exec("insert into outbox_migrations values ('9999_later.sql', 'abc', 1)");
      db.close();
      manifest.stores = { identity: inspect(path, "identity.db") };
      const bytes = readFileSync(path);
      const entry = manifest.files.find((one) => one.path === "data/identity.db");
      if (!entry) throw new Error("there is no identity.db");
      entry.size = bytes.length;
      entry.sha256 = new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
    });
    await expect(verify(schema, project)).rejects.toThrow("newer schema (9999_later.sql");
    await expect(into(schema)).rejects.toThrow("update it first");
    expect(readdirSync(home.data)).toEqual([]);
  });

  test("when it wants to write where it should not", async () => {
    const dir = mkdtempSync(at("evil-"));
    writeFileSync(join(dir, "outside.txt"), "x");
    mkdirSync(join(dir, "sub"));
    const tar = await import("tar");
    await tar.create({ file: at("evil.tar.gz"), gzip: true, cwd: join(dir, "sub"), preservePaths: true }, [
      "../outside.txt",
    ]);
    mkdirSync(at("target"));
    await unpack(at("evil.tar.gz"), at("target")).catch(() => {});
    expect(readdirSync(at("target"))).toEqual([]);
    expect(existsSync(at("outside.txt"))).toBe(false);
  });

  test("when it is sealed, and the passphrase is missing or wrong; then nothing of it can be read", async () => {
    const file = await archive(undefined, "right");
    expect(readFileSync(file).includes("identity")).toBe(false);
    await expect(verify(file, project)).rejects.toThrow("is sealed");
    await expect(verify(file, project, "wrong")).rejects.toThrow("does not open");
    truncateSync(file, statSync(file).size - 1);
    await expect(verify(file, project, "right")).rejects.toThrow("does not open");
    expect((await verify(await archive(undefined, "right"), project, "right")).takenAt).toBe(takenAt);
  });
});

describe("a restore", () => {
  test("puts everything in its place, and has the first job of each store say that it was restored", async () => {
    const { aside, manifest, resent } = await into(await archive());
    expect({ aside, resent, takenAt: manifest.takenAt }).toEqual({ aside: undefined, resent: 0, takenAt });
    expect(readdirSync(home.data).sort()).toEqual(["identity.db", "test-provider.db"]);
    expect(readFileSync(join(home.secrets, "identity.json"), "utf8")).toBe('{"key":"k"}');
    expect(statSync(join(home.secrets, "identity.json")).mode & 0o777).toBe(0o600);
    expect(statSync(home.data).mode & 0o777).toBe(0o700);
    const db = new Database(join(home.data, "identity.db"), { readonly: true });
    expect(db.query("select kind, data from outbox_jobs").all()).toEqual([
      { kind: "restored", data: JSON.stringify({ data: { takenAt } }) },
    ]);
    db.close();
    expect(readdirSync(home.dir).filter((name) => /restore/.test(name))).toEqual([]);
  });

  test("leaves a shop with data alone, unless it is told; then it moves the data aside", async () => {
    await into(await archive());
    writeFileSync(join(home.redis, "appendonly.aof"), "events of the old shop");
    const mark = () => statSync(join(home.data, "identity.db")).ino;
    const before = mark();
    await expect(into(await archive())).rejects.toThrow("has data (identity)");
    expect(mark()).toBe(before);
    const { aside = "" } = await into(await archive(), { force: true });
    expect(statSync(join(aside, "data/identity.db")).ino).toBe(before);
    expect(readFileSync(join(aside, "redis/appendonly.aof"), "utf8")).toBe("events of the old shop");
    expect(mark()).not.toBe(before);
    expect(readdirSync(home.redis)).toEqual([]);
  });

  test("leaves the provider's book as it is", async () => {
    prepare(home);
    const book = new Database(join(home.data, "test-provider.db"));
    book.exec(
      "pragma journal_mode = wal; create table operations (payment text); insert into operations values ('later')",
    );
    book.close();
    await into(await archive());
    const kept = new Database(join(home.data, "test-provider.db"), { readonly: true });
    expect(kept.query("select payment from operations").all()).toEqual([{ payment: "later" }]);
    kept.close();
    expect(readdirSync(home.dir).filter((name) => /restore/.test(name))).toEqual([]);
  });

  test("is refused while the shop runs", async () => {
    prepare(home);
    const held = lock(home);
    await expect(into(await archive())).rejects.toThrow(/running|starting/);
    held?.release();
    await expect(backup({ root, home })).rejects.toThrow("There is no shop running");
  });

  test("changes nothing when the backup is damaged", async () => {
    const good = await archive();
    await into(good);
    const before = readdirSync(home.dir, { recursive: true }).sort();
    truncateSync(good, statSync(good).size - 200);
    await expect(into(good, { force: true })).rejects.toThrow("damaged or cut off");
    expect(readdirSync(home.dir, { recursive: true }).sort()).toEqual(before);
  });

  test("that dies while it moves things is finished by the next who comes", async () => {
    for (const dies of [1, 2, 3, 4, 5, 6, 7, 8]) {
      const home = homeOf(root, at(`dies-${dies}`));
      prepare(home);
      writeFileSync(join(home.data, "orders.db"), "old");
      writeFileSync(join(home.secrets, "orders.json"), "old");
      writeFileSync(home.devClient, "old");
      const partial = join(home.dir, "restore.partial");
      for (const part of ["data", "secrets", "redis"]) mkdirSync(join(partial, part), { recursive: true });
      writeFileSync(join(partial, "data/orders.db"), "new");
      writeFileSync(join(partial, "secrets/orders.json"), "new");
      const aside = join(home.dir, "before-restore");
      // The process ends at the n-th rename; the journal is the first.
      const script = `
        import fs from "node:fs";
        import { mock } from "bun:test";
        let left = ${dies};
        const real = { ...fs };
        mock.module("node:fs", () => ({ ...real, default: real, renameSync(...args) {
          if (left-- === 0) process.kill(process.pid, "SIGKILL");
          return real.renameSync(...args);
        } }));
        const { homeOf } = await import(${JSON.stringify(join(dirname(import.meta.dir), "home.ts"))});
        const { putInPlace } = await import(${JSON.stringify(join(import.meta.dir, "place.ts"))});
        putInPlace(homeOf(${JSON.stringify(root)}, ${JSON.stringify(home.dir)}), ${JSON.stringify(aside)});`;
      const child = Bun.spawn([process.execPath, "-e", script], { stderr: "pipe" });
      await child.exited;
      expect(await new Response(child.stderr).text()).toBe("");
      prepare(home);
      finishRestore(home);
      expect({
        dies,
        data: readFileSync(join(home.data, "orders.db"), "utf8"),
        secrets: readFileSync(join(home.secrets, "orders.json"), "utf8"),
        client: existsSync(home.devClient),
        old: readFileSync(join(aside, "data/orders.db"), "utf8"),
        oldSecrets: readFileSync(join(aside, "secrets/orders.json"), "utf8"),
        left: existsSync(partial) || existsSync(join(home.dir, "restore.json")),
      }).toEqual({
        dies,
        data: "new",
        secrets: "new",
        client: false,
        old: "old",
        oldSecrets: "old",
        left: false,
      });
    }
  });

  test("that has begun nothing yet has nothing to finish", () => {
    prepare(home);
    writeFileSync(join(home.data, "orders.db"), "old");
    finishRestore(home);
    expect(readFileSync(join(home.data, "orders.db"), "utf8")).toBe("old");
    mkdirSync(join(home.dir, "restore.partial", "data"), { recursive: true });
    putInPlace(home, at("aside"));
    expect(readFileSync(at("aside", "data", "orders.db"), "utf8")).toBe("old");
  });
});

test("the state store's keys become an append-only file, without those that have expired", () => {
  const lines = [
    {
      key: "identity||a",
      type: "hash",
      values: [btoa("data"), btoa("\xff\x00"), btoa("version"), btoa("1")],
    },
    { key: "identity||gone", type: "string", expiresAt: 999, values: [btoa("x")] },
    { key: "identity||b", type: "string", expiresAt: 5_000, values: [btoa("é")] },
  ];
  writeFileSync(at("state.ndjson"), lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  writeAppendOnlyFile(at("state.ndjson"), at("appendonly.aof"), 1_000);
  expect(readFileSync(at("appendonly.aof"), "latin1")).toBe(
    [
      ...["*2", "$6", "SELECT", "$1", "0"],
      ...[
        "*6",
        "$4",
        "HSET",
        "$11",
        "identity||a",
        "$4",
        "data",
        "$2",
        "\xff\x00",
        "$7",
        "version",
        "$1",
        "1",
      ],
      ...["*3", "$3", "SET", "$11", "identity||b", "$1", "\xe9"],
      ...["*3", "$9", "PEXPIREAT", "$11", "identity||b", "$4", "5000", ""],
    ].join("\r\n"),
  );
});
