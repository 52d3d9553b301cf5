import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, statfsSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { dropsCertificatesSoon } from "../certificates.ts";
import type { Home } from "../home.ts";
import { isExecutable, onPath } from "../obtain/exec.ts";
import { supported, supportedText } from "../obtain/found.ts";
import { cacheFolder } from "../obtain/index.ts";
import { within } from "../obtain/versions.ts";
import { isFree } from "../ports.ts";
import { holderOf, processesOf } from "../processes.ts";
import { readProject } from "../project.ts";
import { leftovers, readRun } from "../run.ts";
import { DEFAULT_PORT } from "../shop.ts";
import { dim, green, red, table, yellow } from "../terminal.ts";
import { type Context, homeFor } from "./context.ts";
import { databases } from "./databases.ts";
import { statusOf } from "./status.ts";

export interface Finding {
  what: string;
  /** "note": it works without, in another way. */
  state: "ok" | "note" | "wrong";
  text: string;
  /** The command that mends it. */
  mend?: string;
}

/** Registers `doctor`. */
export function doctorCommand(program: Command, context: Context): void {
  program
    .command("doctor")
    .description(
      "say what is missing or wrong, and the command that mends it; exit code 1 when something is wrong",
    )
    .option("--json", "for programs")
    .option("--home <folder>", "the shop's folder (default: .souk)")
    .action(async (options: { json?: boolean; home?: string }) => {
      const findings = await examine(context.root, homeFor(context, options.home));
      process.stdout.write(`${options.json ? JSON.stringify(findings, null, 2) : render(findings)}\n`);
      process.exitCode = findings.some((each) => each.state === "wrong") ? 1 : 0;
    });
}

/** Looks at everything that the shop stands on. Changes nothing. */
export async function examine(root: string, home: Home): Promise<Finding[]> {
  return [
    node(),
    npm(),
    bun(root),
    file(root),
    ...runtime(),
    ...redis(),
    ...(await running(home)),
    ...folder(home),
    ...databases(home),
    space(home),
    ...clock(home),
  ];
}

const ok = (what: string, text: string): Finding => ({ what, state: "ok", text });

function node(): Finding {
  const version = ask("node", "--version");
  if (!version)
    return { what: "Node", state: "wrong", text: "not on PATH", mend: "get it from https://nodejs.org" };
  return Number(/^v(\d+)/.exec(version)?.[1]) >= 20
    ? ok("Node", version)
    : {
        what: "Node",
        state: "wrong",
        text: `${version}; 20 or newer is needed`,
        mend: "get it from https://nodejs.org",
      };
}

function npm(): Finding {
  const version = ask("npm", "--version");
  return version
    ? ok("npm", version)
    : { what: "npm", state: "wrong", text: "not on PATH", mend: "get it with Node: https://nodejs.org" };
}

function bun(root: string): Finding {
  const lock = join(root, "package-lock.json");
  const done = join(root, "node_modules/.package-lock.json");
  const remembered = existsSync(join(root, "node_modules/.souk-installed"));
  if (!existsSync(done) || (!remembered && statSync(done).mtimeMs < statSync(lock).mtimeMs))
    return { what: "Dependencies", state: "wrong", text: "older than package-lock.json", mend: "npm ci" };
  return ok("Bun", `${Bun.version} (from npm)`);
}

function file(root: string): Finding {
  try {
    const { apps } = readProject(root);
    return ok("dapr.yaml", `${apps.length} services: ${apps.map((app) => app.id).join(", ")}`);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return {
      what: "dapr.yaml",
      state: "wrong",
      text: error.message,
      mend: "correct the line, or: git checkout dapr.yaml",
    };
  }
}

/** Where a program is: in one of the folders, else on PATH. */
function find(name: string, folders: string[]): string | undefined {
  return [...folders.filter(Boolean).map((dir) => join(dir, name)), ...onPath(name, process.env)].find(
    isExecutable,
  );
}

function runtime(): Finding[] {
  const folders = [process.env.DAPR_PATH ?? "", join(process.env.HOME ?? "", ".dapr/bin")];
  const cache = cacheFolder(process.env);
  const found = (["daprd", "sentry"] as const).map((name): Finding => {
    const path = find(name, folders);
    if (path) {
      if (name !== "daprd") return ok(name, path);
      const version = ask(path, "--version") ?? "?";
      if (within(version, supported.from, supported.below)) return ok(name, `${version}, ${path}`);
      return {
        what: name,
        state: "note",
        text: `${path} is ${version}; ${supportedText} is needed, so another is used`,
      };
    }
    const kept = inCache(cache, name);
    if (kept) return ok(name, kept);
    return {
      what: name,
      state: "note",
      text: "not here yet; npm start downloads or builds it",
      mend: "npm start",
    };
  });
  if (found.every((each) => each.state === "ok")) return found;
  const go = ask("go", "version");
  return [
    ...found,
    go
      ? ok("Go", go.replace(/^go version /, ""))
      : {
          what: "Go",
          state: "note",
          text: "not on PATH; it is only needed where the official release of Dapr cannot be had",
        },
  ];
}

/** A program somewhere in the cache folder. */
function inCache(folder: string, name: string): string | undefined {
  if (!existsSync(folder)) return undefined;
  const hit = readdirSync(folder, { recursive: true, encoding: "utf8" }).find(
    (path) =>
      (path === name || path.endsWith(`/${name}`)) &&
      !path.startsWith("work/") &&
      statSync(join(folder, path)).isFile(),
  );
  return hit && join(folder, hit);
}

function redis(): Finding[] {
  const named = process.env.REDIS_SERVER;
  const path = named && existsSync(named) ? named : (find("redis-server", []) ?? find("valkey-server", []));
  if (path) return [ok("Redis", `${/v=(\S+)/.exec(ask(path, "--version") ?? "")?.[1] ?? "?"}, ${path}`)];
  const kept = inCache(cacheFolder(process.env), "redis-server");
  if (kept) return [ok("Redis", kept)];
  return [
    {
      what: "Redis",
      state: "note",
      text: "no redis-server or valkey-server on PATH; npm start tries Docker and, on Debian and Ubuntu, the package archive",
      mend: process.platform === "darwin" ? "brew install redis" : "sudo apt-get install redis-server",
    },
  ];
}

async function running(home: Home): Promise<Finding[]> {
  const run = readRun(home);
  if (run) {
    const status = await statusOf(home);
    const down = status.processes.filter((each) => !each.ready).map((each) => each.name);
    const restless = status.processes.filter((each) => each.restarts > 2).map((each) => each.name);
    return [
      down.length > 0 && run.state === "ready"
        ? {
            what: "Shop",
            state: "wrong",
            text: `not ready: ${down.join(", ")}`,
            mend: `npx souk logs ${down[0]?.replace(/-sidecar$/, "")}`,
          }
        : ok("Shop", `${run.state === "ready" ? "runs" : run.state}, pid ${run.pid}, ${run.url}`),
      ...restless.map(
        (name): Finding => ({
          what: name,
          state: "note",
          text: "was started again more than twice",
          mend: `npx souk logs ${name.replace(/-sidecar$/, "")}`,
        }),
      ),
    ];
  }
  const left = leftovers(home, processesOf(home.dir));
  const port = Number(process.env.PORT ?? DEFAULT_PORT);
  const holder = holderOf(port);
  return [
    left.length > 0
      ? {
          what: "Processes",
          state: "wrong",
          text: `${left.length} of a killed start still run (pid ${left.map((each) => each.pid).join(", ")}); the next start ends them, too`,
          mend: "npx souk down",
        }
      : ok("Processes", "nothing is left of an earlier start"),
    holder || !(await isFree(port))
      ? {
          what: "Port",
          state: "wrong",
          text: `${port} is held by ${holder?.pid ? `pid ${holder.pid} (${holder.command.slice(0, 80)})` : "another user's process"}`,
          mend: `PORT=${port + 1} npm start`,
        }
      : ok("Port", `${port} is free`),
  ];
}

function folder(home: Home): Finding[] {
  if (!existsSync(home.dir)) return [ok("Folder", `${home.dir}: made at the first start`)];
  const open: string[] = [];
  const foreign: string[] = [];
  const uid = process.getuid?.();
  for (const path of [home.dir, home.secrets, home.certs, home.redis, home.data]) {
    if (!existsSync(path)) continue;
    const { mode, uid: owner } = statSync(path);
    if ((mode & 0o077) !== 0) open.push(path);
    if (uid !== undefined && owner !== uid) foreign.push(path);
  }
  for (const dir of [home.secrets, home.certs]) {
    for (const name of existsSync(dir) ? readdirSync(dir) : []) {
      const path = join(dir, name);
      if ((statSync(path).mode & 0o077) !== 0) open.push(path);
    }
  }
  for (const path of [home.devClient, home.devAdmin]) {
    if (existsSync(path) && (statSync(path).mode & 0o077) !== 0) open.push(path);
  }
  if (foreign.length > 0)
    return [
      {
        what: "Folder",
        state: "wrong",
        text: `belongs to another user: ${foreign.join(", ")}`,
        mend: `sudo chown -R "$USER" ${home.dir}`,
      },
    ];
  if (open.length > 0)
    return [
      {
        what: "Folder",
        state: "wrong",
        text: `others may read ${open.join(", ")}`,
        mend: `chmod -R go-rwx ${home.dir}`,
      },
    ];
  return [ok("Folder", `${home.dir}, readable by its owner only`)];
}

function space(home: Home): Finding {
  const dir = existsSync(home.dir) ? home.dir : join(home.dir, "..");
  const { bavail, bsize } = statfsSync(dir);
  const free = (bavail * bsize) / 1_073_741_824;
  const text = `${free.toFixed(1)} GB free`;
  if (free < 0.5)
    return {
      what: "Disk",
      state: "wrong",
      text: `${text}: when it is full, nothing is stored and nothing accepted`,
      mend: `du -sh ${home.dir}/* && npm start -- --fresh`,
    };
  if (free < 4)
    return {
      what: "Disk",
      state: "note",
      text: `${text}; building Dapr, where that is needed, takes about 3 GB for a while`,
    };
  return ok("Disk", text);
}

/** Certificates and tokens are valid from a time on, to a time: a clock that is far off makes all of them void. */
function clock(home: Home): Finding[] {
  const now = new Date();
  const made = existsSync(home.dir) ? newest(home) : 0;
  if (now.getTime() + 15 * 60_000 < made)
    return [
      {
        what: "Clock",
        state: "wrong",
        text: `it is ${now.toISOString()} here, before the shop's own files were written`,
        mend: "sudo timedatectl set-ntp true",
      },
    ];
  const findings = [ok("Clock", now.toISOString())];
  if (existsSync(home.certs) && dropsCertificatesSoon(home))
    findings.push({
      what: "Certificates",
      state: "note",
      text: "end within a month; the next start makes new ones",
      mend: "npx souk down && npm start",
    });
  return findings;
}

function newest(home: Home): number {
  return Math.max(
    0,
    ...[home.runFile, home.devClient, join(home.certs, "ca.crt")].map((path) =>
      existsSync(path) ? statSync(path).mtimeMs : 0,
    ),
  );
}

/** The first line that a program prints, or null when it is missing or fails. */
function ask(program: string, ...args: string[]): string | null {
  try {
    const text = execFileSync(program, args, {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
      timeout: 10_000,
    });
    return text.trim().split("\n")[0] ?? null;
  } catch (error) {
    if (error instanceof Error) return null;
    throw error;
  }
}

function render(findings: Finding[]): string {
  const mark = { ok: green("✓"), note: yellow("!"), wrong: red("✗") };
  const rows = findings.map((each) => [
    mark[each.state],
    each.what,
    each.text + (each.mend ? dim(`  →  ${each.mend}`) : ""),
  ]);
  const wrong = findings.filter((each) => each.state === "wrong").length;
  const end =
    wrong === 0
      ? green("Nothing is wrong.")
      : red(`${wrong} ${wrong === 1 ? "thing is" : "things are"} wrong.`);
  return `${table(rows)}\n\n${end}`;
}
