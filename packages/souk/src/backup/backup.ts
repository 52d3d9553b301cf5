import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import manifestOfSouk from "../../package.json" with { type: "json" };
import { type Home, redisPassword, writePrivate } from "../home.ts";
import type { Reporter } from "../obtain/index.ts";
import { identify, isAlive } from "../processes.ts";
import { type Project, readProject } from "../project.ts";
import { readRun } from "../run.ts";
import { pack } from "./archive.ts";
import { copyNow, cut, inspect } from "./cut.ts";
import { BackupError, type Entry, entryOf, FORMAT, MANIFEST, type Manifest } from "./manifest.ts";
import { saveState } from "./state.ts";

/** Databases that stand for systems of somebody else: they are not rolled back with ours. */
export const outside = ["test-provider"];

export interface BackupOptions {
  /** The checkout that the shop runs from. */
  root: string;
  home: Home;
  /** The new file. Default: `souk-backup-<time>.tar.gz` in the current folder. */
  file?: string;
  /** Seals the backup. */
  passphrase?: string;
  report?: Reporter;
  /** Aborting it ends the backup, and leaves nothing. */
  signal?: AbortSignal;
}

export interface Backup {
  file: string;
  /** Bytes. */
  size: number;
  manifest: Manifest;
}

/**
 * Backs up a running shop: all databases as they were at one moment, the state store, and the installation's secrets.
 * Either there is a whole file in the end, or none.
 * @throws {BackupError}
 */
export async function backup({
  root,
  home,
  file,
  passphrase,
  report,
  signal,
}: BackupOptions): Promise<Backup> {
  const project = readProject(root);
  const run = readRun(home);
  if (run?.state !== "ready")
    throw new BackupError(
      `There is no shop running in ${home.dir}, and a backup is taken of a running one: npm start. (Of one that is stopped, a copy of the folder is a backup.)`,
    );
  const stores = storesOf(project, home);
  const target = resolve(
    file ?? `souk-backup-${stamp(new Date())}.tar.gz${passphrase === undefined ? "" : ".sealed"}`,
  );
  if (existsSync(target)) throw new BackupError(`${target} exists already: name another file`);
  const draft = join(dirname(target), `.${basename(target)}.${process.pid}.partial`);
  removeLeft(home);
  const folder = join(home.dir, `backup-${process.pid}.partial`);
  try {
    for (const dir of [folder, ...["data", "outside", "secrets"].map((name) => join(folder, name))])
      mkdirSync(dir, { mode: 0o700 });
    const manifest = await gather(project, home, stores, folder, run.redis.port, report, signal);
    const files = [MANIFEST, ...manifest.files.map(({ path }) => path)];
    report?.step(`packing ${files.length} files`);
    await pack(folder, files, draft, { passphrase, signal });
    renameSync(draft, target);
    return { file: target, size: statSync(target).size, manifest };
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    rmSync(draft, { force: true });
    rmSync(folder, { recursive: true, force: true });
  }
}

/** SQLite's, where nobody says otherwise. */
const pageBytes = 4_096;

/** What backups that were killed have left. */
function removeLeft({ dir }: Home): void {
  for (const name of readdirSync(dir)) {
    const pid = Number(/^backup-(\d+)\.partial$/.exec(name)?.[1]);
    if (pid && (pid === process.pid || !isAlive(identify(pid))))
      rmSync(join(dir, name), { recursive: true, force: true });
  }
}

/** The databases in a shop's folder, by name. */
function storesOf(project: Project, home: Home): string[] {
  const elsewhere = project.apps.find(
    ({ id, dir, env }) =>
      existsSync(join(dir, "migrations")) && (env.DATABASE_URL || !existsSync(join(home.data, `${id}.db`))),
  );
  if (elsewhere || process.env.SOUK_DATABASE_URL)
    throw new BackupError(
      `${elsewhere?.id ?? "This shop"} keeps its data in PostgreSQL: use the tools of that server (docs/backup.md says how)`,
    );
  return databases(home.data).filter((name) => !outside.includes(name));
}

export function databases(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.endsWith(".db"))
    .map((name) => name.slice(0, -".db".length))
    .sort();
}

async function gather(
  project: Project,
  home: Home,
  stores: string[],
  folder: string,
  redisPort: number,
  report: Reporter | undefined,
  signal: AbortSignal | undefined,
): Promise<Manifest> {
  const taken: Manifest["stores"] = {};
  const moment = await cut(stores.map((name) => join(home.data, `${name}.db`)));
  try {
    report?.step(
      `${stores.length} databases are of one moment; nobody could write for ${moment.heldMs.toFixed(1)} ms`,
    );
    for (const name of stores) {
      signal?.throwIfAborted();
      const copy = join(folder, "data", `${name}.db`);
      await moment.copy(join(home.data, `${name}.db`), copy, (done, total) =>
        report?.progress(done * pageBytes, total * pageBytes, "bytes"),
      );
      taken[name] = inspect(copy, `${name}.db`);
    }
  } finally {
    moment.close();
  }
  // After the moment: somebody else's books may know more than ours, and never less.
  for (const name of outside) {
    const path = join(home.data, `${name}.db`);
    if (!existsSync(path)) continue;
    await copyNow(path, join(folder, "outside", `${name}.db`));
    inspect(join(folder, "outside", `${name}.db`), `${name}.db`);
  }
  const stateKeys = await saveState(
    { port: redisPort, password: redisPassword(home) },
    project.apps.map(({ id }) => id),
    join(folder, "state.ndjson"),
  );
  // What Sentry goes by is made anew at each start.
  for (const name of ["redis-password", ...project.apps.map(({ id }) => `${id}.json`)])
    copyFileSync(join(home.secrets, name), join(folder, "secrets", name));
  if (existsSync(home.devClient)) copyFileSync(home.devClient, join(folder, "dev-client.json"));

  const files: Entry[] = [];
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    files.push(await entryOf(folder, join(entry.parentPath, entry.name).slice(folder.length + 1)));
  }
  const manifest: Manifest = {
    format: FORMAT,
    souk: manifestOfSouk.version,
    takenAt: moment.takenAt,
    heldMs: Math.round(moment.heldMs * 10) / 10,
    stores: taken,
    stateKeys,
    files: files.sort((a, b) => (a.path < b.path ? -1 : 1)),
  };
  writePrivate(join(folder, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`);
  return manifest;
}

/** For names of files: `20260729T101500Z`. */
export const stamp = (time: Date): string => `${time.toISOString().slice(0, 19).replace(/[-:]/g, "")}Z`;
