import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { migrate, openSqlite, restored } from "drizzle-outbox";
import { type Home, prepare } from "../home.ts";
import type { Reporter } from "../obtain/index.ts";
import { end, processesOf } from "../processes.ts";
import { type Project, readProject } from "../project.ts";
import { claim, leftovers } from "../run.ts";
import { AlreadyRunning } from "../shop.ts";
import { databases, outside, stamp } from "./backup.ts";
import { copyNow } from "./cut.ts";
import { BackupError, MANIFEST, type Manifest } from "./manifest.ts";
import { finishRestore, isUnderWay, PARTIAL, putInPlace, removeEmpty } from "./place.ts";
import { writeAppendOnlyFile } from "./state.ts";
import { unpackVerified } from "./verify.ts";

export interface RestoreOptions {
  root: string;
  home: Home;
  file: string;
  passphrase?: string;
  /** Also into a shop that has data: that is moved aside, not deleted. */
  force?: boolean;
  report?: Reporter;
  /** Aborting it ends the restore, as long as nothing has been put in its place. */
  signal?: AbortSignal;
}

export interface Restored {
  manifest: Manifest;
  /** Events that will be sent again. */
  resent: number;
  /** Where what was there before lies now, if there was anything. */
  aside?: string;
}

/**
 * Restores a backup into a shop that is not running. All of it is checked before anything is touched; then it takes
 * the place of what is there, wholly or not at all, whatever dies in between.
 * @throws {BackupError | AlreadyRunning}
 */
export async function restore({
  root,
  home,
  file,
  passphrase,
  force,
  report,
  signal,
}: RestoreOptions): Promise<Restored> {
  const project = readProject(root);
  prepare(home);
  const held = claim(home);
  if (!held) throw new AlreadyRunning(home);
  const partial = join(home.dir, PARTIAL);
  try {
    // What a runner that was killed has left may still have the databases open.
    await end(leftovers(home, processesOf(home.dir)), 2_000);
    finishRestore(home);
    const there = databases(home.data).filter((name) => !outside.includes(name));
    const aside = join(home.dir, `before-restore-${stamp(new Date())}`);
    if (there.length > 0 && !force)
      throw new BackupError(
        `The shop in ${home.dir} has data (${there.join(", ")}). Restore into an empty one (--home <folder>), or say --force: then what is there is moved to ${aside}, and nothing of it is deleted.`,
      );
    rmSync(partial, { recursive: true, force: true });
    report?.step(`checking ${file}`);
    const manifest = await unpackVerified(file, partial, project, passphrase);
    signal?.throwIfAborted();
    const resent = await makeReady(partial, project, home, manifest, report);
    signal?.throwIfAborted();
    putInPlace(home, aside);
    if (there.length === 0) {
      // A book that was here alone is in its new place.
      for (const name of outside)
        for (const suffix of ["", "-wal", "-shm"])
          rmSync(join(aside, "data", `${name}.db${suffix}`), { force: true });
      if (existsSync(aside)) removeEmpty(aside);
    }
    return { manifest, resent, ...(existsSync(aside) ? { aside } : {}) };
  } finally {
    if (!isUnderWay(home)) rmSync(partial, { recursive: true, force: true });
    held.release();
  }
}

/** Makes of what was unpacked a folder as a shop has it. */
async function makeReady(
  partial: string,
  project: Project,
  home: Home,
  { takenAt, stores }: Manifest,
  report: Reporter | undefined,
): Promise<number> {
  let resent = 0;
  for (const [name, { migrations }] of Object.entries(stores)) {
    if (migrations.length === 0) continue;
    report?.step(`preparing ${name}`);
    const db = await openSqlite(join(partial, "data", `${name}.db`));
    try {
      const app = project.apps.find(({ id }) => id === name);
      if (app) await migrate(db, join(app.dir, "migrations"));
      // The chassis wraps a job's data, to carry a trace beside it.
      const job = { kind: "restored", key: "", at: Date.now(), data: { data: { takenAt } } };
      resent += (await restored(db, { takenAt, jobs: [job] })).resent;
    } finally {
      await db.close();
    }
  }
  mkdirSync(join(partial, "redis"), { mode: 0o700 });
  writeAppendOnlyFile(join(partial, "state.ndjson"), join(partial, "redis", "appendonly.aof"));
  for (const name of outside) {
    const book = join(home.data, `${name}.db`);
    const target = join(partial, "data", `${name}.db`);
    const saved = join(partial, "outside", `${name}.db`);
    // Somebody else's system is as it is; only where there is none, as on another machine, its copy helps.
    if (existsSync(book)) await copyNow(book, target);
    else if (existsSync(saved)) renameSync(saved, target);
  }
  for (const name of ["outside", "state.ndjson", MANIFEST])
    rmSync(join(partial, name), { recursive: true, force: true });
  return resent;
}
