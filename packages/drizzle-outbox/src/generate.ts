import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import {
  type DrizzleSnapshotJSON,
  type DrizzleSQLiteSnapshotJSON,
  generateDrizzleJson,
  generateMigration,
  generateSQLiteDrizzleJson,
  generateSQLiteMigration,
} from "drizzle-kit/api";
import { contraction, takesAway } from "./migrations.ts";
import type { DialectName, Schema, Tables } from "./schema.ts";

// bun packages/drizzle-outbox/src/generate.ts <service folder> [--name what_it_does] [--contract] [--check]
//
// Writes the next migration of each dialect into <folder>/migrations, from the `tables` that store.ts exports.
// Nothing is written when there is nothing to change; with --check it fails then, and says what is missing.
// A migration that takes something away is written with --contract only: see migrations.ts.

// drizzle-kit adds a method to all arrays, where whoever walks through one finds it: here it is hidden.
if ("random" in Array.prototype) Object.defineProperty(Array.prototype, "random", { enumerable: false });

type Snapshot = DrizzleSQLiteSnapshotJSON | DrizzleSnapshotJSON;

const first = "00000000-0000-0000-0000-000000000000";
const empty: Record<DialectName, Snapshot> = {
  sqlite: {
    version: "6",
    dialect: "sqlite",
    id: first,
    prevId: "",
    tables: {},
    enums: {},
    views: {},
    _meta: { tables: {}, columns: {} },
  } as unknown as Snapshot,
  postgres: { ...generateDrizzleJson({}, ""), id: first },
};

async function next(
  dialect: DialectName,
  tables: Tables,
  before: Snapshot,
): Promise<{ statements: string[]; snapshot: Snapshot }> {
  const prevId = before.id;
  if (dialect === "sqlite") {
    const snapshot = await generateSQLiteDrizzleJson(tables, prevId);
    return {
      snapshot,
      statements: await generateSQLiteMigration(before as DrizzleSQLiteSnapshotJSON, snapshot),
    };
  }
  const snapshot = generateDrizzleJson(tables, prevId);
  return { snapshot, statements: await generateMigration(before as DrizzleSnapshotJSON, snapshot) };
}

/** The same schema gives the same snapshot: its id comes from what is in it. */
function settle(snapshot: Snapshot): Snapshot {
  const hex = createHash("sha256")
    .update(JSON.stringify({ ...snapshot, id: "" }))
    .digest("hex");
  const id = [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20, 32),
  ].join("-");
  return { ...snapshot, id };
}

/**
 * Brings the migrations of a folder with a `store.ts` up to date.
 * @returns the paths of the migrations that were written, or with `check` that are missing
 */
export async function generate(
  folder: string,
  { name = "change", check = false, contract = false } = {},
): Promise<string[]> {
  const { tables } = (await import(pathToFileURL(resolve(folder, "store.ts")).href)) as {
    tables?: Schema<Tables>;
  };
  if (!tables) throw new Error(`${folder}/store.ts exports no \`tables\``);
  const written: string[] = [];
  for (const dialect of ["sqlite", "postgres"] as const) {
    const path = join(folder, "migrations", dialect);
    const meta = join(path, "meta");
    if (!check) await mkdir(meta, { recursive: true });
    const known = await readdir(meta).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return [];
      throw error;
    });
    const snapshots = known.filter((file) => file.endsWith("_snapshot.json")).sort();
    const last = snapshots.at(-1);
    const before: Snapshot = last ? JSON.parse(await readFile(join(meta, last), "utf8")) : empty[dialect];
    const { statements, snapshot } = await next(dialect, tables.for(dialect), before);
    if (statements.length === 0) continue;
    const number = String(snapshots.length).padStart(4, "0");
    const ending = contract ? contraction : ".sql";
    const file = join(path, `${number}_${snapshots.length === 0 ? "init" : name}${ending}`);
    const text = `${statements.map((statement) => statement.trim()).join("\n--> statement-breakpoint\n")}\n`;
    const [first] = contract ? [] : takesAway(text);
    if (first)
      throw new Error(
        `${file} would take something away from the version before: ${first}. Add first, and take away (--contract) in a later version`,
      );
    written.push(file);
    if (check) continue;
    await writeFile(file, text);
    await writeFile(join(meta, `${number}_snapshot.json`), `${JSON.stringify(settle(snapshot), null, 2)}\n`);
  }
  return written;
}

if (import.meta.main) {
  const args = process.argv.slice(2);
  const check = args.includes("--check");
  const at = args.indexOf("--name");
  const name = at < 0 ? undefined : args[at + 1];
  const contract = args.includes("--contract");
  const folders = args.filter((arg, i) => !arg.startsWith("--") && (at < 0 || i !== at + 1));
  if (folders.length === 0)
    throw new Error(
      "Usage: generate.ts <folder with a store.ts>… [--name what_it_does] [--contract] [--check]",
    );
  for (const folder of folders)
    for (const file of await generate(folder, { name, check, contract })) {
      process.stdout.write(`${check ? "missing" : "wrote"} ${file}\n`);
      if (check) process.exitCode = 1;
    }
}
