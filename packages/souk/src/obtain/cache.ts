import { randomBytes } from "node:crypto";
import { statSync } from "node:fs";
import { mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { isAbsolute, join, relative, resolve } from "node:path";
import { endNoted } from "./exec.ts";
import { withLock } from "./lock.ts";
import type { Environment, Reporter } from "./types.ts";

/** The folder that all checkouts of a user share: SOUK_CACHE, else `souk` in the system's place for caches. */
export function cacheFolder(env: Environment = process.env, platform: string = process.platform): string {
  if (env.SOUK_CACHE) return resolve(env.SOUK_CACHE);
  const home = env.HOME || homedir();
  const xdg = env.XDG_CACHE_HOME;
  if (xdg && isAbsolute(xdg)) return join(xdg, "souk");
  return platform === "darwin" ? join(home, "Library", "Caches", "souk") : join(home, ".cache", "souk");
}

/** What is written beside the files of an entry, last: an entry without it, or that differs from it, is none. */
interface Manifest {
  files: Record<string, number>;
  info: Record<string, string>;
}

export interface Entry {
  folder: string;
  info: Record<string, string>;
}

const MANIFEST = "souk.json";

/** A folder of finished things, each put there whole or not at all. */
export class Cache {
  constructor(readonly folder: string) {}

  /** A finished entry, or null when there is none or something of it is missing. */
  async entry(key: string): Promise<Entry | null> {
    const folder = join(this.folder, key);
    const text = await readFile(join(folder, MANIFEST), "utf8").catch(() => null);
    if (text === null) return null;
    const manifest = parse(text);
    if (!manifest) return null;
    for (const [name, size] of Object.entries(manifest.files)) {
      if (statSync(join(folder, name), { throwIfNoEntry: false })?.size !== size) return null;
    }
    return { folder, info: manifest.info };
  }

  /** Makes a finished folder the entry of that key. It is on disk before it can be seen. */
  async publish(key: string, finished: string, info: Record<string, string>): Promise<Entry> {
    const files: Record<string, number> = {};
    for (const path of await filesIn(finished)) {
      files[relative(finished, path)] = (await stat(path)).size;
      await sync(path);
    }
    const manifest: Manifest = { files, info };
    await writeFile(join(finished, MANIFEST), JSON.stringify(manifest, null, 2));
    await sync(join(finished, MANIFEST));
    const folder = join(this.folder, key);
    await mkdir(this.folder, { recursive: true });
    await rm(folder, { recursive: true, force: true });
    await rename(finished, folder);
    return { folder, info };
  }

  /** Where a download is kept until it is whole, so that the next attempt goes on with it. */
  async partFile(name: string): Promise<string> {
    const folder = join(this.folder, "downloads");
    await mkdir(folder, { recursive: true });
    return join(folder, `${name}.part`);
  }

  /**
   * Runs `body` alone on this machine, with an empty folder to work in (on the same disk as the entries) that is
   * removed afterwards. What attempts that died left behind is removed first.
   */
  async alone<T>(
    name: string,
    options: { report: Reporter; signal?: AbortSignal; what: string },
    body: (work: string) => Promise<T>,
  ): Promise<T> {
    const works = join(this.folder, "work");
    return withLock(join(this.folder, "locks", name), options, async () => {
      await mkdir(works, { recursive: true });
      for (const left of await readdir(works)) {
        if (!left.startsWith(`${name}-`)) continue;
        await endNoted(join(works, left));
        await rm(join(works, left), { recursive: true, force: true, maxRetries: 5 });
      }
      await this.#dropOldDownloads();
      const work = join(works, `${name}-${process.pid}-${randomBytes(4).toString("hex")}`);
      await mkdir(work);
      try {
        return await body(work);
      } finally {
        await rm(work, { recursive: true, force: true, maxRetries: 5 });
      }
    });
  }

  async #dropOldDownloads(): Promise<void> {
    const folder = join(this.folder, "downloads");
    const week = 7 * 24 * 3600 * 1000;
    for (const name of await readdir(folder).catch(() => [])) {
      const found = statSync(join(folder, name), { throwIfNoEntry: false });
      if (found && Date.now() - found.mtimeMs > week) await rm(join(folder, name), { force: true });
    }
  }
}

function parse(text: string): Manifest | null {
  try {
    return JSON.parse(text) as Manifest;
  } catch {
    // Cut off: not an entry.
    return null;
  }
}

async function filesIn(folder: string): Promise<string[]> {
  const found = await readdir(folder, { recursive: true, withFileTypes: true });
  return found.filter((item) => item.isFile()).map((item) => join(item.parentPath, item.name));
}

async function sync(path: string): Promise<void> {
  const file = await open(path, "r");
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
