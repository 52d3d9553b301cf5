import { mkdir, rename } from "node:fs/promises";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { buildPrograms, readSource, type Source } from "./build.ts";
import { Cache, cacheFolder } from "./cache.ts";
import { type Patience, patience } from "./download.ts";
import { findProgram, supportedText } from "./found.ts";
import { attempt, PassedOver } from "./passed-over.ts";
import { askVersion, programNames } from "./programs.ts";
import { fromRelease } from "./release.ts";
import {
  CannotObtain,
  type Dapr,
  type DaprProgram,
  type Environment,
  type ObtainDaprOptions,
  type Origin,
  type Program,
  type Reporter,
} from "./types.ts";

const runtimeModule = fileURLToPath(new URL("../../../../dapr/runtime", import.meta.url));

interface Context {
  cache: Cache;
  source: Source;
  env: Environment;
  patience: Patience;
  report: Reporter;
  signal?: AbortSignal;
  runtimePath?: string;
}

/**
 * The programs of the Dapr runtime: found here, else from the cache, else the official release, else built from the
 * Go module. Each by itself, so that daprd and Sentry may come from different places.
 *
 * Throws CannotObtain when no way is left, ChecksumMismatch when a download is not what it should be, and the
 * signal's reason when it is aborted.
 */
export async function obtainDapr<P extends DaprProgram = DaprProgram>(
  options: ObtainDaprOptions<P> & { patience?: Patience },
): Promise<Dapr<P>> {
  const env = options.env ?? process.env;
  const context: Context = {
    cache: new Cache(cacheFolder(env)),
    source: readSource(resolve(options.source ?? runtimeModule)),
    env,
    patience: options.patience ?? patience,
    report: options.report,
    signal: options.signal,
    runtimePath: options.runtimePath,
  };
  const need = options.need ?? (programNames as readonly DaprProgram[] as readonly P[]);
  const have = new Map<DaprProgram, Program>();

  for (const name of need) {
    const program = (await findProgram(name, context)) ?? (await cached(name, context));
    if (program) have.set(name, program);
  }
  if (missing(need, have).length > 0) {
    const what = `Dapr ${context.source.version}`;
    await context.cache.alone("dapr", { ...options, what }, (work) =>
      fetchMissing(need, have, work, context),
    );
  }

  for (const [name, { version, from }] of have) context.report.step(`${name} ${version}: ${from}`);
  const programs = Object.fromEntries(have) as Record<P, Program>;
  const paths = Object.fromEntries([...have].map(([name, { path }]) => [name, path])) as Record<P, string>;
  const first = have.get("daprd") ?? ([...have.values()][0] as Program);
  return { ...paths, version: first.version, origin: first.origin, programs };
}

const missing = <P extends DaprProgram>(need: readonly P[], have: Map<DaprProgram, Program>) =>
  need.filter((name) => !have.has(name));

async function fetchMissing<P extends DaprProgram>(
  need: readonly P[],
  have: Map<DaprProgram, Program>,
  work: string,
  context: Context,
): Promise<void> {
  const { report, source } = context;
  const reasons = [
    `found: no daprd or sentry of a supported version (${supportedText}) at DAPR_PATH, on PATH or in ~/.dapr/bin`,
  ];
  const say = (text: string) => report.step(text);

  // Whoever had the lock before may have put it there.
  for (const name of missing(need, have)) {
    const program = await cached(name, context);
    if (program) have.set(name, program);
  }
  const lockFile = join(source.folder, "release.lock.json");
  for (const name of missing(need, have)) {
    const program = await attempt("official release", reasons, say, async () => {
      const unpacked = await fromRelease(name, source.version, { ...context, work, lockFile });
      return keep(name, unpacked, "release", work, context);
    });
    if (!program) break; // what is true of the first is true of the others; the build makes all at once
    have.set(name, program);
  }
  const unbuilt = missing(need, have);
  if (unbuilt.length > 0) {
    await attempt("build", reasons, say, async () => {
      const bin = await buildPrograms(unbuilt, source, { ...context, work });
      for (const name of unbuilt) have.set(name, await keep(name, join(bin, name), "build", work, context));
    });
  }
  if (missing(need, have).length > 0) throw new CannotObtain(noWayLeft(missing(need, have), source, reasons));
}

const keyOf = (name: DaprProgram, origin: "release" | "build", source: Source) =>
  `${name}-${source.version}-${process.platform}-${process.arch}-${origin === "build" ? source.hash : "release"}`;

async function cached(name: DaprProgram, { cache, source }: Context): Promise<Program | null> {
  for (const origin of ["release", "build"] as const) {
    const entry = await cache.entry(keyOf(name, origin, source));
    if (entry)
      return program(name, entry.folder, source.version, "cache", `the cache (${entry.folder}, ${origin})`);
  }
  return null;
}

/** Puts a finished program into the cache, once it has shown that it runs here and is what it should be. */
async function keep(
  name: DaprProgram,
  file: string,
  origin: "release" | "build",
  work: string,
  context: Context,
): Promise<Program> {
  const { source } = context;
  const version = await askVersion(name, file, context);
  if (version !== source.version) {
    throw new PassedOver(`${name} of the ${origin} does not run here as ${source.version} (says ${version})`);
  }
  const finished = join(work, `${name}.finished`);
  await mkdir(finished);
  await rename(file, join(finished, name));
  const entry = await context.cache.publish(keyOf(name, origin, source), finished, { version, origin });
  return program(
    name,
    entry.folder,
    version,
    origin,
    origin === "build" ? "built here" : "the official release",
  );
}

const program = (name: string, folder: string, version: string, origin: Origin, from: string): Program => ({
  path: join(folder, name),
  version,
  origin,
  from,
});

const noWayLeft = (names: DaprProgram[], source: Source, reasons: string[]) =>
  `${names.join(" and ")} of Dapr ${source.version} cannot be had here:
${reasons.map((reason) => `  - ${reason}`).join("\n")}
Any one of these will do:
  - a network that reaches github.com, or a mirror of Dapr's releases in SOUK_DAPR_RELEASES
  - Go ${source.go} or newer (https://go.dev/dl) and a network that reaches proxy.golang.org, or your GOPROXY
  - daprd and sentry ${supportedText} on PATH, or DAPR_PATH=<the folder that holds them>`;
