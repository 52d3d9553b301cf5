import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { mkdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { findGo } from "./build.ts";
import { Cache, cacheFolder } from "./cache.ts";
import { run } from "./exec.ts";
import { PassedOver } from "./passed-over.ts";
import { CannotObtain, type ObtainOptions } from "./types.ts";

/** A program that is built from a Go module, pinned by the go.mod and go.sum of a folder. */
export interface GoProgram {
  /** What its executable is called. */
  name: string;
  /** The package to build: `./` or one of the modules that go.mod names. */
  package: string;
  folder: string;
}

/**
 * Builds a program once for all checkouts of a user, with caches of its own that go when it is done: nothing of the
 * user's Go is touched. What is built is what go.sum says.
 * @returns the path of the executable
 * @throws {CannotObtain} without Go, or when a module cannot be had
 */
export async function obtainGoProgram(program: GoProgram, options: ObtainOptions): Promise<string> {
  const { name } = program;
  const env = options.env ?? process.env;
  const cache = new Cache(cacheFolder(env));
  const key = `${name}-${process.platform}-${process.arch}-${digest(program)}`;
  const inCache = async () => {
    const entry = await cache.entry(key);
    return entry && join(entry.folder, name);
  };
  const there = await inCache();
  if (there) return there;
  return cache.alone(key, { ...options, what: name }, async (work) => {
    // Whoever had the lock before may have put it there.
    const since = await inCache();
    if (since) return since;
    try {
      const built = await build(program, work, { ...options, env });
      const finished = join(work, "finished");
      await mkdir(finished);
      await rename(built, join(finished, name));
      const entry = await cache.publish(key, finished, { package: program.package });
      return join(entry.folder, name);
    } catch (error) {
      if (error instanceof PassedOver) throw new CannotObtain(`${name}: ${error.message}`);
      throw error;
    }
  });
}

async function build(
  { name, package: wanted, folder }: GoProgram,
  work: string,
  options: ObtainOptions & { env: NonNullable<ObtainOptions["env"]> },
): Promise<string> {
  const go = /^go\s+(\S+)/m.exec(readFileSync(join(folder, "go.mod"), "utf8"))?.[1];
  if (go === undefined) throw new Error(`${folder}/go.mod does not say which Go`);
  const found = await findGo({ go }, { ...options, work });
  options.report.step(`${name}: building from its Go module, with ${found.path} (${found.version})`);
  const [modules, compiled, tmp, path] = ["modules", "cache", "tmp", "path"].map((each) => join(work, each));
  for (const each of [modules, compiled, tmp, path] as string[]) await mkdir(each, { recursive: true });
  const out = join(work, name);
  const { code, stderr } = await run(found.path, ["build", "-trimpath", "-o", out, wanted], {
    ...options,
    cwd: folder,
    noteIn: work,
    env: {
      ...options.env,
      ...{ GOMODCACHE: modules, GOCACHE: compiled, GOTMPDIR: tmp, GOPATH: path },
      // By go.sum and nothing else; and a module cache that can be removed without root.
      ...{ GOFLAGS: "-mod=readonly -modcacherw", GOWORK: "off", GO111MODULE: "on", CGO_ENABLED: "0" },
      ...{ GOOS: undefined, GOARCH: undefined, GOTOOLCHAIN: found.toolchain },
    },
  });
  if (code !== 0) throw new PassedOver(`go build failed: ${stderr.trim().split("\n").slice(-3).join(" / ")}`);
  return out;
}

function digest({ folder, package: wanted }: GoProgram): string {
  const hash = createHash("sha256").update(wanted);
  const files = readdirSync(folder).filter((file) => /\.(go|mod|sum)$/.test(file));
  for (const file of files.sort()) hash.update(file).update(readFileSync(join(folder, file)));
  return hash.digest("hex").slice(0, 12);
}
