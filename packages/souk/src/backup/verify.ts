import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { Project } from "../project.ts";
import { unpack } from "./archive.ts";
import { inspect } from "./cut.ts";
import { BackupError, entryOf, MANIFEST, type Manifest, readManifest, understands } from "./manifest.ts";

/**
 * Unpacks a backup into a new folder and checks all of it: every file's size and SHA-256, every database from within,
 * and that this checkout understands them.
 * @throws {BackupError} saying what is wrong with it
 */
export async function unpackVerified(
  archive: string,
  folder: string,
  project: Project,
  passphrase?: string,
): Promise<Manifest> {
  mkdirSync(folder, { mode: 0o700 });
  await unpack(archive, folder, passphrase);
  try {
    const manifest = readManifest(folder);
    await complete(folder, manifest);
    for (const [name, { migrations }] of Object.entries(manifest.stores)) {
      const path = `data/${name}.db`;
      if (!manifest.files.some((file) => file.path === path)) throw new BackupError(`${path} is missing`);
      if (!isDeepStrictEqual(inspect(join(folder, path), path).migrations, migrations))
        throw new BackupError(`${path} is not what its manifest says`);
    }
    understands(project, manifest);
    return manifest;
  } catch (error) {
    if (error instanceof BackupError) throw new BackupError(`${archive} cannot be used. ${error.message}.`);
    throw error;
  }
}

/** Checks a backup, and leaves nothing behind. */
export async function verify(archive: string, project: Project, passphrase?: string): Promise<Manifest> {
  const folder = mkdtempSync(join(tmpdir(), "souk-backup-"));
  try {
    return await unpackVerified(archive, join(folder, "unpacked"), project, passphrase);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function complete(folder: string, { files }: Manifest): Promise<void> {
  const there = new Set(
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name)),
  );
  there.delete(join(folder, MANIFEST));
  for (const { path, size, sha256 } of files) {
    if (!there.delete(join(folder, path))) throw new BackupError(`${path} is missing`);
    chmodSync(join(folder, path), 0o600);
    const found = await entryOf(folder, path);
    if (found.size !== size) throw new BackupError(`${path} has ${found.size} bytes and should have ${size}`);
    if (found.sha256 !== sha256) throw new BackupError(`${path} is damaged: its SHA-256 is another one`);
  }
  const [more] = there;
  if (more) throw new BackupError(`${more.slice(folder.length + 1)} does not belong to it`);
}
