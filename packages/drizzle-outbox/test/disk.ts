import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A small disk of a test's own: a file system in memory. Who may mount one gets one. */
export interface Disk {
  path: string;
  /** Makes it so many MB. */
  resize(megabytes: number): void;
  readOnly(yes: boolean): void;
  remove(): void;
}

/**
 * @param path where it is mounted: a temporary folder when absent
 * @returns undefined where this user may not mount anything
 */
export function smallDisk(
  megabytes: number,
  path = mkdtempSync(join(tmpdir(), "small-disk-")),
): Disk | undefined {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const mount = (...options: string[]) => spawnSync("mount", [...options, path]).status === 0;
  if (process.getuid?.() !== 0 || !mount("-t", "tmpfs", "-o", `size=${megabytes}m,mode=700`, "tmpfs")) {
    rmSync(path, { recursive: true });
    return undefined;
  }
  const must = (...options: string[]) => {
    if (!mount(...options)) throw new Error(`mount ${options.join(" ")} ${path} failed`);
  };
  return {
    path,
    resize: (size) => must("-o", `remount,size=${size}m`),
    readOnly: (yes) => must("-o", `remount,${yes ? "ro" : "rw"}`),
    remove() {
      spawnSync("umount", ["-l", path]);
      rmSync(path, { recursive: true, force: true });
    },
  };
}

/** A folder that can be made read-only; to root only a mounted one is. */
export function lockableFolder(): Disk | undefined {
  const mounted = smallDisk(8);
  if (mounted || process.getuid?.() === 0) return mounted;
  const path = mkdtempSync(join(tmpdir(), "lockable-"));
  return {
    path,
    resize: () => {},
    readOnly: (yes) => chmodSync(path, yes ? 0o500 : 0o700),
    remove() {
      chmodSync(path, 0o700);
      rmSync(path, { recursive: true, force: true });
    },
  };
}
