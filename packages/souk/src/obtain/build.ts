import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { mkdir, statfs } from "node:fs/promises";
import { join, relative } from "node:path";
import { onPath, run } from "./exec.ts";
import { PassedOver } from "./passed-over.ts";
import type { DaprProgram, Environment, Reporter } from "./types.ts";
import { within } from "./versions.ts";

/** What a build takes on disk while it runs (measured: 3.7 GB), with some room. */
const ROOM = 4.5e9;
const VERSION_VARIABLE = "github.com/dapr/dapr/pkg/buildinfo.version";

/** The Go module in dapr/runtime: which Dapr it is for, the Go it wants, and a name for this state of it. */
export interface Source {
  folder: string;
  /** e.g. "1.18.2" */
  version: string;
  go: string;
  hash: string;
}

export function readSource(folder: string): Source {
  const mod = readFileSync(join(folder, "go.mod"), "utf8");
  const version = /^\s*(?:require\s+)?github\.com\/dapr\/dapr\s+v(\S+)/m.exec(mod)?.[1];
  const go = /^go\s+(\S+)/m.exec(mod)?.[1];
  if (!version || !go) throw new Error(`${folder}/go.mod does not say which Dapr or which Go`);
  const hash = createHash("sha256");
  for (const file of sourceFiles(folder)) {
    const text = readFileSync(file);
    hash.update(`${relative(folder, file)}\n${text.length}\n`).update(text);
  }
  return { folder, version, go, hash: hash.digest("hex").slice(0, 12) };
}

function sourceFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".go") || name === "go.mod" || name === "go.sum")
    .sort()
    .map((name) => join(folder, name));
}

export interface BuildOptions {
  /** An empty folder; the caches of the build are made in it, and go with it. */
  work: string;
  env: Environment;
  report: Reporter;
  signal?: AbortSignal;
}

/** Builds programs from the Go module. Returns the folder that holds them. */
export async function buildPrograms(
  names: readonly DaprProgram[],
  source: Source,
  options: BuildOptions,
): Promise<string> {
  const { work, report } = options;
  const go = await findGo(source, options);
  await checkRoom(work);
  const started = Date.now();
  const elapsed = () => duration(Date.now() - started);
  const what = `${names.join(" and ")} ${source.version}`;
  report.step(
    `${what}: building from the Go module, with ${go.path} (${go.version}). The first time only: 3 to 5 minutes on ` +
      `2 cores, and 4 GB in ${work} until it is done`,
  );

  const [bin, ...folders] = ["bin", "modules", "cache", "tmp", "path"].map((name) => join(work, name));
  for (const folder of [bin, ...folders] as string[]) await mkdir(folder, { recursive: true });
  const env = {
    ...options.env,
    ...{ GOMODCACHE: folders[0], GOCACHE: folders[1], GOTMPDIR: folders[2], GOPATH: folders[3] },
    // Everything by go.sum and nothing else; and a module cache that can be removed without root.
    ...{ GOFLAGS: "-mod=readonly -modcacherw", GOWORK: "off", GO111MODULE: "on", CGO_ENABLED: "0" },
    ...{ GOOS: undefined, GOARCH: undefined, GOTOOLCHAIN: go.toolchain },
  };
  const stopping = () => report.step(`${what}: stopped; removing what the build has made so far`);
  const inGo = async (args: string[], onLine?: (line: string) => undefined) => {
    options.signal?.addEventListener("abort", stopping, { once: true });
    const done = await run(go.path, args, { ...options, env, cwd: source.folder, noteIn: work, onLine });
    options.signal?.removeEventListener("abort", stopping);
    if (done.code !== 0) throw new PassedOver(`go ${args[0]} failed: ${lastLines(done.stderr)}`);
    return done.stdout;
  };

  const packages = names.map((name) => `./${name}`);
  let modules = 0;
  const listed = await inGo(["list", "-deps", ...packages], (line) => {
    if (line.startsWith("go: downloading")) report.progress(++modules, 0, "modules");
  });
  const total = new Set(listed.split("\n").filter(Boolean)).size;
  report.step(`${what}: ${modules} modules are here and checked against go.sum (${elapsed()}); compiling`);

  let compiled = 0;
  // No DWARF: -s drops it from the programs anyway, and making it takes a sixth of the time and a fifth of the disk.
  const flags = [
    "-v",
    "-trimpath",
    "-gcflags=all=-dwarf=false",
    "-ldflags",
    `-s -w -X ${VERSION_VARIABLE}=${source.version}`,
  ];
  await inGo(["build", ...flags, "-o", `${bin}/`, ...packages], (line) => {
    if (!line.startsWith("go: ")) report.progress(Math.min(++compiled, total), total, "packages");
  });
  report.progress(total, total, "packages");
  report.step(`${what}: built in ${elapsed()}`);
  return bin as string;
}

/** Go on PATH, new enough, or able to fetch the toolchain that the module wants by itself. */
export async function findGo(source: Pick<Source, "go">, options: BuildOptions) {
  const { env } = options;
  const path = onPath("go", env)[0];
  if (!path) throw new PassedOver("there is no go on PATH");
  // Outside any module, and with no wish to fetch another Go just to say its version.
  const asked = await run(path, ["version"], {
    ...options,
    env: { ...env, GOTOOLCHAIN: "local" },
    cwd: options.work,
  });
  const version = /\bgo(\d+\.\d+(?:\.\d+)?)\b/.exec(asked.stdout)?.[1] ?? "unknown";
  if (within(version, source.go)) return { path, version, toolchain: "local" };
  if (within(version, "1.21")) return { path, version, toolchain: `go${source.go}+auto` };
  throw new PassedOver(
    `${path} is Go ${version}; ${source.go} is needed, or any from 1.21, which fetches it`,
  );
}

async function checkRoom(folder: string): Promise<void> {
  const disk = await statfs(folder);
  const free = disk.bavail * disk.bsize;
  if (free < ROOM) {
    throw new PassedOver(
      `a build needs ${gigabytes(ROOM)} GB free in ${folder}, and there are ${gigabytes(free)}`,
    );
  }
}

const gigabytes = (bytes: number) => (bytes / 1e9).toFixed(1);

function duration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

const lastLines = (text: string) =>
  text
    .split("\n")
    .filter((line) => line.trim() && !line.startsWith("go: downloading"))
    .slice(-5)
    .join(" / ");
