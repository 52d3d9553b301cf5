import { readdirSync, readFileSync, realpathSync, statSync } from "node:fs";
import { mkdir, readdir, rm } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import type { Cache, Entry } from "./cache.ts";
import { onPath, run } from "./exec.ts";
import { PassedOver } from "./passed-over.ts";
import type { Environment, Reporter } from "./types.ts";

/** Which Linux this is, as /etc/os-release says. */
export interface Distribution {
  id: string;
  version: string;
  like: string[];
}

interface Context {
  distribution: Distribution;
  env: Environment;
  report: Reporter;
  signal?: AbortSignal;
}

/** Of either, the packages that hold the server; the first that the distribution has is taken. */
const CHOICES = [
  { program: "redis-server", packages: ["redis-server", "redis-tools"] },
  { program: "valkey-server", packages: ["valkey-server", "valkey-tools"] },
];

/** The entry depends on the distribution: its libraries belong together. */
export function aptKey({ id, version }: Distribution): string {
  return `redis-apt-${id}${version}-${process.arch}`;
}

export function redisInEntry(entry: Entry): { path: string; env: Record<string, string> } {
  const libraries = (entry.info.libraries ?? "").split(":").filter(Boolean);
  return {
    path: join(entry.folder, entry.info.program ?? ""),
    env: libraryPath(libraries.map((folder) => join(entry.folder, folder))),
  };
}

const libraryPath = (folders: string[]): Record<string, string> =>
  folders.length > 0 ? { LD_LIBRARY_PATH: folders.join(":") } : {};

/**
 * Downloads Debian's or Ubuntu's package with apt-get, which checks its signature, unpacks it with dpkg-deb, adds the
 * libraries that this system lacks, and puts all of it into the cache. Needs no root and installs nothing.
 */
export async function redisByApt(
  cache: Cache,
  work: string,
  context: Context,
  ask: (path: string, env: Record<string, string>) => Promise<{ version: string } | null>,
): Promise<void> {
  const { report } = context;
  const { id, like } = context.distribution;
  if (![id, ...like].some((name) => name === "debian" || name === "ubuntu")) {
    throw new PassedOver(`this is not Debian or Ubuntu (${id})`);
  }
  for (const name of ["apt-get", "apt-cache", "dpkg-deb", "dpkg", "ldd"]) {
    if (onPath(name, context.env).length === 0) throw new PassedOver(`there is no ${name} on PATH`);
  }
  const apt = new Apt(work, context);
  const root = join(work, "root");
  let choice = await apt.firstKnown();
  if (!choice || !(await apt.fetch(choice.packages, root))) {
    report.step(
      "Redis: the package lists of this system are empty or old; fetching fresh ones into the cache",
    );
    await apt.refresh();
    choice = await apt.firstKnown();
    if (!choice) throw new PassedOver("no package archive of this system can be reached, or none has Redis");
    if (!(await apt.fetch(choice.packages, root))) throw new PassedOver(`cannot download: ${apt.lastError}`);
  }

  // Its dependencies, nearest first, until the loader has all it asks for; what the system has is not fetched.
  let frontier = choice.packages;
  const seen = new Set(frontier);
  const binary = join(root, "usr", "bin", choice.program);
  for (let lacking = await missingLibraries(binary, root, context); lacking.length > 0; ) {
    const next = (await apt.dependencies(frontier)).filter((name) => !seen.has(name));
    if (next.length === 0) throw new PassedOver(`${lacking.join(", ")}: in no package that Redis depends on`);
    report.step(`Redis: adding ${next.join(", ")}`);
    if (!(await apt.fetch(next, root))) throw new PassedOver(`cannot download: ${apt.lastError}`);
    for (const name of next) seen.add(name);
    frontier = next;
    lacking = await missingLibraries(binary, root, context);
  }

  const libraries = libraryFolders(root);
  const runs = await ask(binary, libraryPath(libraries));
  if (!runs) throw new PassedOver("the unpacked server does not run here");
  const info = {
    program: relative(root, binary),
    libraries: libraries.map((folder) => relative(root, folder)).join(":"),
    version: runs.version,
  };
  // Nothing but the programs and libraries is needed.
  for (const name of await readdir(root))
    if (!["usr", "lib"].includes(name)) await rm(join(root, name), gone);
  await rm(join(root, "usr", "share"), gone);
  await cache.publish(aptKey(context.distribution), root, info);
  report.step(`Redis: ${seen.size} packages unpacked into the cache`);
}

const gone = { recursive: true, force: true };

class Apt {
  #private: string[] = [];
  lastError = "";

  constructor(
    readonly work: string,
    readonly context: Context,
  ) {}

  async #run(command: string, args: string[], cwd = this.work) {
    const { env, signal } = this.context;
    const options = { cwd, signal, env: { ...env, LC_ALL: "C" }, noteIn: this.work, timeoutMs: 180_000 };
    const done = await run(command, args, options);
    const errors = done.stderr.split("\n").filter((line) => /^E:/.test(line));
    if (done.code !== 0)
      this.lastError = done.timedOut ? "3 min passed" : errors.join(" ") || done.stderr.trim();
    return done;
  }

  #apt(command: "apt-get" | "apt-cache", args: string[], cwd?: string) {
    // As root, apt would hand downloads to a user that may not write here. A dead proxy must not hold us for minutes.
    const patience = [
      "-o",
      "Acquire::http::Timeout=10",
      "-o",
      "Acquire::https::Timeout=10",
      "-o",
      "Acquire::Retries=1",
    ];
    return this.#run(command, ["-o", "APT::Sandbox::User=root", ...patience, ...this.#private, ...args], cwd);
  }

  /** Package lists of our own, by the system's sources and keys. A source that fails does not spoil the others. */
  async refresh(): Promise<void> {
    const lists = join(this.work, "lists");
    const archives = join(this.work, "apt");
    await mkdir(join(lists, "partial"), { recursive: true });
    await mkdir(join(archives, "archives", "partial"), { recursive: true });
    this.#private = ["-o", `Dir::State::Lists=${lists}`, "-o", `Dir::Cache=${archives}`];
    await this.#apt("apt-get", [
      "update",
      "-o",
      "APT::Update::Post-Invoke::=",
      "-o",
      "Acquire::Languages=none",
    ]);
  }

  async firstKnown() {
    for (const choice of CHOICES) {
      const policy = await this.#apt("apt-cache", ["policy", ...choice.packages]);
      const candidates = policy.stdout.match(/Candidate: (?!\(none\))\S+/g) ?? [];
      if (candidates.length === choice.packages.length) return choice;
    }
    return null;
  }

  /** Downloads packages and unpacks them into `root`. False when one cannot be downloaded. */
  async fetch(packages: string[], root: string): Promise<boolean> {
    const folder = join(this.work, "debs");
    await rm(folder, gone);
    await mkdir(folder);
    await mkdir(root, { recursive: true });
    this.context.report.step(`Redis: apt-get download ${packages.join(" ")}`);
    const done = await this.#apt("apt-get", ["download", ...packages], folder);
    if (done.code !== 0) return false;
    for (const deb of await readdir(folder)) {
      if (!deb.endsWith(".deb")) continue;
      const unpacked = await this.#run("dpkg-deb", ["-x", join(folder, deb), root]);
      if (unpacked.code !== 0) throw new PassedOver(`${deb} cannot be unpacked: ${this.lastError}`);
    }
    return true;
  }

  /** What these packages depend on and the system has not installed, one of each set of alternatives. */
  async dependencies(packages: string[]): Promise<string[]> {
    const only = ["recommends", "suggests", "conflicts", "breaks", "replaces", "enhances"].map(
      (name) => `--no-${name}`,
    );
    const graph = await this.#apt("apt-cache", ["depends", ...only, ...packages]);
    const selections = await this.#run("dpkg", ["--get-selections"]);
    const installed = new Set(
      [...selections.stdout.matchAll(/^([^\s:]+)(?::\w+)?\s+(?:install|hold)$/gm)].map((match) => match[1]),
    );
    return parseDependencies(graph.stdout).flatMap((alternatives) =>
      alternatives.some((name) => installed.has(name)) ? [] : alternatives.slice(0, 1),
    );
  }
}

/** From the output of `apt-cache depends`: for every dependency the packages that satisfy it, the first preferred. */
export function parseDependencies(text: string): string[][] {
  const sets: string[][] = [];
  let open = false; // the line before ended in "or"
  for (const line of text.split("\n")) {
    const depends = /^ ([ |])(?:Pre)?Depends: (\S+)/.exec(line);
    const provider = /^ {4}(\S+)/.exec(line);
    const name = depends?.[2] ?? provider?.[1];
    if (!name) continue;
    if (!provider && !open) sets.push([]);
    if (!name.startsWith("<")) sets.at(-1)?.push(name.replace(/:\w+$/, ""));
    if (depends) open = depends[1] === "|";
  }
  return sets.filter((set) => set.length > 0);
}

async function missingLibraries(binary: string, root: string, context: Context): Promise<string[]> {
  const env = { ...context.env, ...libraryPath(libraryFolders(root)), LC_ALL: "C" };
  const listed = await run("ldd", [realpathSync(binary)], { env, signal: context.signal, timeoutMs: 10_000 });
  if (listed.code !== 0) throw new PassedOver(`ldd cannot read ${binary}: ${listed.stderr.trim()}`);
  return [...listed.stdout.matchAll(/^\s*(\S+) => not found/gm)].map((match) => match[1] as string);
}

/** The folders under usr/lib and lib that hold shared libraries. */
function libraryFolders(root: string): string[] {
  const folders = new Set<string>();
  for (const top of ["usr/lib", "lib"]) {
    const start = join(root, top);
    if (!statSync(start, { throwIfNoEntry: false })) continue;
    for (const name of readdirSync(start, { recursive: true, encoding: "utf8" })) {
      if (/(^|\/)lib[^/]*\.so(\.\d+)*$/.test(name)) folders.add(dirname(join(start, name)));
    }
  }
  return [...folders].sort();
}

export function readDistribution(file = "/etc/os-release"): Distribution {
  let text = "";
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  const field = (name: string) => new RegExp(`^${name}="?([^"\n]*)`, "m").exec(text)?.[1] ?? "";
  return {
    id: field("ID") || process.platform,
    version: field("VERSION_ID"),
    like: field("ID_LIKE").split(" "),
  };
}
