import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { type Home, prepare } from "../home.ts";
import type { Level } from "../logs.ts";
import { readRun } from "../run.ts";
import { seed } from "../seed.ts";
import { DEFAULT_PORT, type Shop, startShop } from "../shop.ts";
import { bold, dim, duration, green, red, reporter, table, yellow } from "../terminal.ts";
import { type Context, homeFor } from "./context.ts";

interface UpOptions {
  port?: number;
  host?: string;
  home?: string;
  fresh?: boolean;
  detach?: boolean;
  demo: boolean;
}

const print = (text: string) => process.stderr.write(`${text}\n`);

/** Registers `up`. */
export function upCommand(program: Command, context: Context): void {
  program
    .command("up")
    .description("start the shop and stay in the foreground until Ctrl-C")
    .option(
      "-p, --port <port>",
      `the public port; also PORT (default: ${DEFAULT_PORT}; 0 takes a free one)`,
      portNumber,
    )
    .option("--host <address>", "where the gateway listens; also SOUK_HOST (default: this machine only)")
    .option("--home <folder>", "where the shop keeps everything; also SOUK_HOME (default: .souk)")
    .option("--fresh", "forget all data first")
    .option("-d, --detach", "return when the shop is ready; stop it with: npx souk down")
    .option("--no-demo", "do not put demo products into an empty shop")
    .action(async (options: UpOptions) => {
      const home = homeFor(context, options.home);
      if (options.detach) await detached(context, home, options);
      else await foreground(context, home, options);
    });
}

function portNumber(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535)
    throw new InvalidArgumentError("It must be a port number, 0 to 65535.");
  return port;
}

function chosenPort(options: UpOptions): number {
  if (options.port !== undefined) return options.port;
  return process.env.PORT ? portNumber(process.env.PORT) : DEFAULT_PORT;
}

async function foreground(context: Context, home: Home, options: UpOptions): Promise<void> {
  const stop = new AbortController();
  const force = new AbortController();
  let shop: Shop | undefined;
  let asked = 0;
  const onSignal = () => {
    const now = performance.now();
    if (asked === 0) {
      asked = now;
      print(`\n${dim("stopping … (again: at once)")}`);
      stop.abort(new Stopped());
      shop?.stop();
    } else if (now - asked > 400) {
      // One Ctrl-C arrives more than once: from the terminal, and handed on by npm.
      force.abort();
      shop?.stop({ force: true });
    }
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, onSignal);

  const ready = new Map<string, number>();
  const began = performance.now();
  try {
    shop = await startShop({
      root: context.root,
      home: home.dir,
      port: chosenPort(options),
      host: options.host ?? process.env.SOUK_HOST,
      fresh: options.fresh,
      signal: stop.signal,
      force: force.signal,
      say,
      report: reporter(print),
      onReady: (service, ms) => ready.set(service, ms),
    });
    if (options.demo && !stop.signal.aborted) await seedDemo(shop);
    if (!stop.signal.aborted) print(`\n${summary(shop, ready, performance.now() - began)}\n`);
    await shop.stopped;
    print(dim("stopped"));
  } catch (error) {
    if (!(error instanceof Stopped)) throw error;
    print(dim("stopped"));
    process.exitCode = 130;
  }
}

class Stopped extends Error {}

async function seedDemo(shop: Shop): Promise<void> {
  try {
    const count = await seed(shop.url, shop.home);
    if (count > 0) print(dim(`put ${count} demo products into the empty shop`));
  } catch (error) {
    print(
      yellow(
        `The demo products could not be put into the shop: ${error instanceof Error ? error.message : error}`,
      ),
    );
  }
}

function say(level: Level, text: string): void {
  const time = new Date().toTimeString().slice(0, 8);
  const mark = level === "error" ? red : level === "warn" ? yellow : dim;
  print(`${dim(time)} ${mark(text)}`);
}

/** The table of what runs, and what to open. */
export function summary(
  shop: Pick<Shop, "run" | "url" | "home">,
  ready: Map<string, number>,
  tookMs: number,
): string {
  const { run } = shop;
  const rows = Object.entries(run.services).map(([name, service]) => [
    name,
    green("ready"),
    String(service.pid ?? ""),
    String(service.sidecarPid ?? ""),
    `${Math.round(ready.get(name) ?? 0)} ms`,
  ]);
  const links = [
    ["Shop", run.url],
    ["Ready?", `${run.url}/ready`],
    ["API", `${run.url}/docs (read it, and try it)`],
    ["OpenID", `${run.url}/.well-known/openid-configuration`],
    ["Products", `${run.url}/api/products`],
    ...(run.mail ? [["Mail", `${run.mail.url} ${dim("(what the shop has sent)")}`]] : []),
    ["Client", `${shop.home.devClient} ${dim("(for development: all scopes)")}`],
    ["Admin", `${shop.home.devAdmin} ${dim("(for development: e-mail and password)")}`],
  ];
  return [
    table([["service", "state", "pid", "sidecar", "after"].map(dim), ...rows]),
    "",
    table(links.map(([name = "", value = ""]) => [dim(name), value])),
    "",
    `${bold(`The shop is open: ${run.url}`)} ${dim(`(${duration(tookMs)}; Ctrl-C closes it, npx souk logs -f shows what it does)`)}`,
  ].join("\n");
}

/** Starts the runner in the background and waits until it is ready or has given up. */
async function detached(context: Context, home: Home, options: UpOptions): Promise<void> {
  prepare(home);
  const path = join(home.dir, "start.out");
  const out = openSync(path, "w", 0o600);
  const args = ["up", "--home", home.dir, "--port", String(chosenPort(options))];
  if (options.host) args.push("--host", options.host);
  if (options.fresh) args.push("--fresh");
  if (!options.demo) args.push("--no-demo");
  const { SOUK_LAUNCHER: _, ...env } = process.env;
  const child = spawn(process.execPath, [join(context.root, "packages/souk/src/cli.ts"), ...args], {
    cwd: context.root,
    detached: true,
    env: { ...env, ...(process.stderr.isTTY ? { FORCE_COLOR: "1" } : {}) },
    stdio: ["ignore", out, out],
  });
  closeSync(out);
  let ended: number | null = null;
  child.once("exit", (code) => {
    ended = code ?? 1;
  });
  // Ctrl-C while waiting stops what is being started.
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => child.kill(signal));

  let shown = 0;
  const show = () => {
    // `--fresh` removes the file; the next start makes a new one.
    const text = readOr(path);
    process.stderr.write(text.slice(shown));
    shown = Math.max(shown, text.length);
    return text;
  };
  for (;;) {
    const text = show();
    if (ended !== null) {
      show();
      process.exitCode = ended || 1;
      return;
    }
    if (readRun(home)?.state === "ready" && text.includes("The shop is open")) break;
    await Bun.sleep(50);
  }
  child.unref();
}

function readOr(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw error;
  }
}
