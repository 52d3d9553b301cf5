// Plain Node, with nothing but what comes with it: sees to the dependencies, then hands over to Bun.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const OLDEST_NODE = 20;
const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../../..");
const modules = path.join(root, "node_modules");

function fail(message) {
  console.error(message);
  process.exit(1);
}

function hashOf(file) {
  return createHash("sha256").update(fs.readFileSync(file)).digest("hex");
}

function read(file) {
  return fs.existsSync(file) ? fs.readFileSync(file, "utf8") : null;
}

function modified(file) {
  return fs.existsSync(file) ? fs.statSync(file).mtimeMs : 0;
}

/** Whether node_modules holds what package-lock.json names. Remembers the answer. */
function installed() {
  const lock = path.join(root, "package-lock.json");
  const remembered = path.join(modules, ".souk-installed");
  const hash = hashOf(lock);
  if (read(remembered) === hash) return true;
  // npm writes this file at the end of every install.
  const done = modified(path.join(modules, ".package-lock.json"));
  if (done === 0 || done < modified(lock)) return false;
  fs.writeFileSync(remembered, hash);
  return true;
}

function alive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

/** Runs `work` when no other start of this checkout is installing. */
function alone(work) {
  const folder = path.join(root, ".souk");
  const mark = path.join(folder, "installing");
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  let told = false;
  for (;;) {
    try {
      fs.writeFileSync(mark, String(process.pid), { flag: "wx" });
      break;
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
      const holder = Number(read(mark));
      if (!holder || !alive(holder)) fs.rmSync(mark, { force: true });
      else {
        if (!told)
          console.error(`Another start (pid ${holder}) is installing the dependencies; waiting for it.`);
        told = true;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
      }
    }
  }
  try {
    return work();
  } finally {
    fs.rmSync(mark, { force: true });
  }
}

/** Installs the locked dependencies when they are missing or older than the lock file. */
export function install() {
  if (installed()) return;
  alone(() => {
    if (installed()) return;
    console.error("Installing the locked dependencies (npm ci) …");
    const npm = process.env.npm_execpath;
    const command = npm ? [process.execPath, npm] : [process.platform === "win32" ? "npm.cmd" : "npm"];
    const result = spawnSync(
      command[0],
      [...command.slice(1), "ci", "--no-audit", "--no-fund", "--loglevel=error"],
      {
        cwd: root,
        stdio: ["ignore", "inherit", "inherit"],
      },
    );
    if (result.error || result.status !== 0) {
      fail(
        `The dependencies could not be installed${result.error ? ` (${result.error.message})` : ""}. Is the network there? Try: npm ci`,
      );
    }
    fs.writeFileSync(path.join(modules, ".souk-installed"), hashOf(path.join(root, "package-lock.json")));
  });
}

/** The Bun that came with npm, also where npm runs no install scripts: then it is in its platform's package. */
export function findBun() {
  const linked = path.join(modules, "bun", "bin", "bun.exe");
  // Without its install script this is a short text.
  if (fs.existsSync(linked) && fs.statSync(linked).size > 1_000_000) return linked;
  const packages = path.join(modules, "@oven");
  for (const name of fs.existsSync(packages) ? fs.readdirSync(packages) : []) {
    for (const file of ["bun", "bun.exe"]) {
      const bun = path.join(packages, name, "bin", file);
      if (fs.existsSync(bun) && spawnSync(bun, ["--version"], { stdio: "ignore" }).status === 0) {
        return bun;
      }
    }
  }
  return fail("Bun is missing although it is among the dependencies. Mend it with: npm ci");
}

function noProxy() {
  const given = process.env.NO_PROXY || process.env.no_proxy;
  return [...(given ? [given] : []), "localhost", "127.0.0.1", "::1"].join(",");
}

/**
 * Checks Node, installs, and runs a script on Bun (the command line of the shop) with `args`; ends with its exit code,
 * or does `then` where that is 0.
 */
export function launch(args, script = "packages/souk/src/cli.ts", then = () => process.exit(0)) {
  const [major] = process.versions.node.split(".");
  if (Number(major) < OLDEST_NODE) {
    fail(
      `This needs Node ${OLDEST_NODE} or newer; this is ${process.version}. Get it from https://nodejs.org`,
    );
  }
  install();
  // The runner holds the other end of the last pipe: it stops everything when this process is killed.
  const child = spawn(findBun(), [path.join(root, script), ...args], {
    stdio: ["inherit", "inherit", "inherit", "pipe"],
    env: {
      // Commands are over before Bun's last stage of compilation pays (docs/decisions/0032).
      BUN_JSC_useFTLJIT: "0",
      ...process.env,
      // The shop's own ports are never behind a proxy.
      NO_PROXY: noProxy(),
      no_proxy: noProxy(),
      // Bun has 256 requests under way at once and keeps the rest waiting; a drill has a thousand customers.
      BUN_CONFIG_MAX_HTTP_REQUESTS: "8192",
      SOUK_LAUNCHER: String(process.pid),
    },
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("error", (error) => fail(`Bun could not be started: ${error.message}`));
  child.on("exit", (code, signal) => {
    if (code === 0) return then();
    process.exit(code === null ? 128 + ({ SIGINT: 2, SIGKILL: 9, SIGTERM: 15 }[signal] || 1) : code);
  });
}
