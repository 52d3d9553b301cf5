import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** A package of the lockfile that comes from outside the repository. */
export interface Locked {
  /** Where it is installed: `node_modules/…`. */
  place: string;
  name: string;
  version: string;
  /** SHA-512 of its archive (Subresource Integrity). */
  integrity: string | undefined;
  /** SPDX. */
  license: string | undefined;
  hasInstallScript: boolean;
}

interface Entry {
  name?: string;
  version?: string;
  integrity?: string;
  license?: string;
  link?: boolean;
  hasInstallScript?: boolean;
}

/** What the lockfile of a checkout pins. */
export function readLockfile(root: string): Locked[] {
  const { packages } = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as {
    packages: Record<string, Entry>;
  };
  return Object.entries(packages).flatMap(([place, entry]) => {
    if (!place.includes("node_modules/") || entry.link) return [];
    const name = entry.name ?? place.slice(place.lastIndexOf("node_modules/") + "node_modules/".length);
    const { version = "", integrity, license, hasInstallScript = false } = entry;
    return [{ place, name, version, integrity, license, hasInstallScript }];
  });
}

/** A Go module that the runtime is built from. */
export interface GoModule {
  path: string;
  version: string;
}

/** The modules that `dapr/runtime/go.mod` pins, replaced ones as what replaces them. */
export function readGoModules(root: string): GoModule[] {
  const text = readFileSync(join(root, "dapr/runtime/go.mod"), "utf8");
  const replaced = new Map(
    [...text.matchAll(/^\s*(?:replace )?(\S+)(?: v\S+)? => (\S+) (v\S+)$/gm)].map(
      ([, from = "", path = "", version = ""]) => [from, { path, version }],
    ),
  );
  return [
    ...text.matchAll(/^\s*(?:require )?([\w.-]+\.[\w.-]+\/\S+|[\w-]+\.[\w.-]+) (v\S+)(?: \/\/ indirect)?$/gm),
  ].map(([, path = "", version = ""]) => replaced.get(path) ?? { path, version });
}

/** A file of somebody else's that lies in the repository. */
export interface Vendored {
  /** npm package that it was taken out of. */
  name: string;
  version: string;
  /** SPDX. */
  license: string;
  /** SHA-512 of the file (Subresource Integrity). */
  integrity: string;
  /** Where it lies. */
  place: string;
}

/** What services keep in `vendor/`, each with a note that says what it is. */
export function readVendored(root: string): Vendored[] {
  return globSync("services/*/vendor/*/vendored.json", { cwd: root })
    .toSorted()
    .map((place) => ({
      ...(JSON.parse(readFileSync(join(root, place), "utf8")) as Omit<Vendored, "place">),
      place,
    }));
}
