/** What a backup says of itself. */
import { createHash } from "node:crypto";
import { createReadStream, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Project } from "../project.ts";

/** Something that a person can do something about: its message is enough. */
export class BackupError extends Error {
  override name = "BackupError";
}

/** Counts up when an older Souk could not read it any more. */
export const FORMAT = 1;

/** One migration that a store has had; `hash` is the SHA-256 of its text. */
export interface Applied {
  name: string;
  hash: string;
}

export interface Entry {
  /** In the archive. */
  path: string;
  /** Bytes. */
  size: number;
  sha256: string;
}

export interface Manifest {
  format: number;
  /** The version that made it. */
  souk: string;
  /** The moment that it is of, in milliseconds since the epoch. */
  takenAt: number;
  /** For so long nothing could be written, in milliseconds. */
  heldMs: number;
  /** The databases, by file name without `.db`. */
  stores: Record<string, { migrations: Applied[] }>;
  /** Keys of the state store. */
  stateKeys: number;
  /** Everything else in the archive. */
  files: Entry[];
}

export const MANIFEST = "manifest.json";

/** What may be in an archive: anything else is not ours. */
export const ours = /^(manifest\.json|state\.ndjson|dev-client\.json|(data|outside|secrets)\/\w[\w.-]*)$/;

export async function entryOf(folder: string, path: string): Promise<Entry> {
  const file = join(folder, path);
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  return { path, size: statSync(file).size, sha256: hash.digest("hex") };
}

/** @throws {BackupError} when it is not a manifest, or one of a format that is not known here */
export function readManifest(folder: string): Manifest {
  const manifest = parse(join(folder, MANIFEST));
  if (typeof manifest?.format !== "number")
    throw new BackupError("There is no manifest in it that says what it is");
  if (manifest.format > FORMAT)
    throw new BackupError(
      `It was made by a newer Souk (${manifest.souk}; format ${manifest.format}, and ${FORMAT} is the last one known here): update this checkout first`,
    );
  const { takenAt, stores, files } = manifest;
  const whole =
    typeof takenAt === "number" &&
    Array.isArray(files) &&
    files.every((file) => typeof file?.path === "string" && ours.test(file.path)) &&
    typeof stores === "object" &&
    Object.values(stores).every((store) => Array.isArray(store?.migrations));
  if (!whole) throw new BackupError("Its manifest cannot be read");
  return manifest;
}

function parse(path: string): Manifest | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Manifest;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT" || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/**
 * Refuses a backup whose databases this checkout does not understand. One that is older is brought up to date when its
 * service starts.
 */
export function understands(project: Project, { stores, souk }: Manifest): void {
  for (const [name, { migrations }] of Object.entries(stores)) {
    if (migrations.length === 0) continue;
    const app = project.apps.find(({ id }) => id === name);
    if (!app)
      throw new BackupError(
        `It holds data of a service that this checkout does not have: ${name}. It was made by Souk ${souk}: update this checkout first`,
      );
    const known = new Map(migrationsOf(app.dir).map(({ name, hash }) => [name, hash]));
    for (const { name: migration, hash } of migrations) {
      const ours = known.get(migration);
      if (ours === undefined)
        throw new BackupError(
          `The data of ${name} is of a newer schema (${migration}, Souk ${souk}) than this checkout knows: update it first`,
        );
      if (ours !== hash)
        throw new BackupError(
          `The migration ${migration} of ${name} is not the one that this backup's data has had: use the checkout that it was made with`,
        );
    }
  }
}

/** The migrations that a service brings for SQLite. */
function migrationsOf(dir: string): Applied[] {
  const folder = join(dir, "migrations", "sqlite");
  return readdirSync(folder)
    .filter((name) => name.endsWith(".sql"))
    .map((name) => ({
      name,
      hash: createHash("sha256")
        .update(readFileSync(join(folder, name), "utf8"))
        .digest("hex"),
    }));
}
