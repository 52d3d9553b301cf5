/** The two commands as a person gives them, with the services of this checkout. */
import { afterEach, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { homeOf } from "../src/home.ts";
import { reserve } from "../src/ports.ts";
import { processesOf } from "../src/processes.ts";
import { readRun, runnerOf } from "../src/run.ts";

const checkout = join(import.meta.dir, "../../..");
const homes: string[] = [];

afterEach(async () => {
  for (const dir of homes.splice(0)) {
    const left = processesOf(dir);
    for (const pid of left) process.kill(pid, "SIGKILL");
    rmSync(dir, { recursive: true, force: true });
    expect(left).toEqual([]);
  }
});

/** A folder and a port of its own, and the commands in it. */
async function place() {
  const dir = mkdtempSync(join(tmpdir(), "souk-start-"));
  homes.push(dir);
  const held = await reserve();
  await held.release();
  const env = { ...process.env, SOUK_HOME: dir, PORT: String(held.port), NO_COLOR: "1" };
  const spawn = (script: string, ...args: string[]) =>
    Bun.spawn(["node", join(checkout, "packages/souk/bin", script), ...args], {
      cwd: checkout,
      env,
      stdio: ["ignore", "pipe", "pipe"],
    });
  const souk = async (...args: string[]) => {
    const child = spawn("souk.mjs", ...args);
    const [out, err, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    return { out, err, code };
  };
  return { dir, home: homeOf(dir, dir), url: `http://localhost:${held.port}`, port: held.port, spawn, souk };
}

/** Reads what a process says until it has said `words`. */
async function saying(stream: ReadableStream<Uint8Array>, words: string): Promise<string> {
  let text = "";
  const reader = stream.getReader();
  while (!text.includes(words)) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`It ended before it said "${words}":\n${text}`);
    text += new TextDecoder().decode(value);
  }
  reader.releaseLock();
  return text;
}

test("npm start: open with demo products, and Ctrl-C closes it", async () => {
  const { dir, home, url, spawn, souk } = await place();
  const shop = spawn("start.mjs");
  const said = await saying(shop.stderr, "The shop is open");
  expect(said).toContain("put 25 demo products into the empty shop");
  expect(said).toMatch(/gateway +ready +\d+ +\d+ +\d+ ms/);
  for (const path of ["/.well-known/openid-configuration", "/docs"]) expect(said).toContain(url + path);
  const mail = /Mail +(http:\/\/localhost:\d+)/.exec(said)?.[1] ?? "";
  expect(await (await fetch(mail)).text()).toContain("There is none yet.");

  const { items } = (await (await fetch(`${url}/api/products?limit=100`)).json()) as { items: unknown[] };
  expect(items.length).toBe(25);
  expect((await fetch(`${url}/ready`)).status).toBe(200);
  expect((await souk("status")).code).toBe(0);
  expect(JSON.parse((await souk("status", "--json")).out)).toMatchObject({ ready: true, url });
  expect((await souk("up")).err).toContain(`already running (pid ${readRun(home)?.pid})`);
  expect((await souk("logs", "orders", "-n", "5")).out).toContain("orders");
  expect((await souk("logs", "nobody")).err).toContain("There is no log of nobody");

  shop.kill("SIGINT");
  expect(await shop.exited).toBe(0);
  expect(processesOf(dir)).toEqual([]);
  const status = await souk("status");
  expect(status.code).toBe(1);
  expect(status.out).toContain("not running");
}, 60_000);

test("a second start is warm, keeps what was there, and adds nothing", async () => {
  const { url, souk } = await place();
  expect((await souk("up", "--detach")).code).toBe(0);
  expect((await souk("down")).code).toBe(0);
  const again = await souk("up", "--detach");
  expect(again.code).toBe(0);
  expect(again.err).not.toContain("demo products");
  const { items } = (await (await fetch(`${url}/api/products?limit=100`)).json()) as { items: unknown[] };
  expect(items.length).toBe(25);
  expect((await souk("down")).code).toBe(0);
  expect((await souk("down")).err).toContain("nothing was running");
}, 90_000);

test("when the launcher is killed, nobody is left behind", async () => {
  const { dir, spawn } = await place();
  const shop = spawn("start.mjs", "--no-demo");
  await saying(shop.stderr, "The shop is open");
  shop.kill("SIGKILL");
  await shop.exited;
  const until = performance.now() + 20_000;
  while (processesOf(dir).length > 0) {
    if (performance.now() > until) throw new Error("still there");
    await Bun.sleep(50);
  }
}, 60_000);

test("Ctrl-C while it starts, twice, leaves nothing", async () => {
  const { dir, spawn } = await place();
  const shop = spawn("start.mjs");
  while (processesOf(dir).length < 4) await Bun.sleep(5);
  shop.kill("SIGINT");
  await Bun.sleep(500);
  shop.kill("SIGINT");
  expect(await shop.exited).toBe(130);
  expect(processesOf(dir)).toEqual([]);
}, 60_000);

test("a start that cannot be says why, and fails", async () => {
  const { souk, port } = await place();
  const server = Bun.serve({ port, hostname: "127.0.0.1", fetch: () => new Response("mine") });
  const { code, err } = await souk("up");
  expect(code).toBe(1);
  expect(err).toContain(`Port ${port} is held by pid ${process.pid}`);
  const doctor = await souk("doctor");
  expect(doctor.code).toBe(1);
  expect(doctor.out).toContain(`PORT=${port + 1} npm start`);
  server.stop(true);
  expect((await souk("doctor")).code).toBe(0);
  expect((await souk("up", "--port", "eighty")).err).toContain("port number");
}, 60_000);

test("infra: Redis, Sentry and the mail catcher alone, and a file that says what to export", async () => {
  const { dir, spawn, souk } = await place();
  const infra = spawn("souk.mjs", "infra");
  const said = await saying(infra.stderr, "Ctrl-C stops");
  const file = join(dir, "infra.env");
  expect(said).toContain(`source ${file}`);
  const text = readFileSync(file, "utf8");
  for (const name of [
    "DAPR_TRUST_ANCHORS",
    "DAPR_API_TOKEN",
    "APP_API_TOKEN",
    "SOUK_REDIS",
    "SOUK_SECRETS",
    "SOUK_NAMES",
    "SOUK_SMTP_HOST",
    "SOUK_SMTP_PORT",
  ]) {
    expect(text).toContain(`export ${name}='`);
  }
  // What is secret is in the file, which only its owner can read, and not on the screen.
  expect(said).not.toContain(/DAPR_API_TOKEN='([^']+)'/.exec(text)?.[1] ?? "?");
  expect(processesOf(dir).length).toBeGreaterThanOrEqual(3);
  expect((await souk("up")).err).toContain("cli.ts infra) has this shop's folder");
  expect((await souk("down")).code).toBe(0);
  expect(await infra.exited).toBe(0);
  expect(processesOf(dir)).toEqual([]);
  expect(existsSync(file)).toBe(false);
}, 60_000);

test("what nobody reads any more ends", async () => {
  const { dir, home } = await place();
  const script = join(checkout, "packages/souk/bin/souk.mjs");
  const command = `node ${script} infra --home ${dir} 2>&1 | head -1`;
  const { exitCode, stdout } = Bun.spawnSync(["sh", "-c", command], { cwd: checkout });
  expect({ exitCode, said: stdout.toString() }).toMatchObject({ exitCode: 0 });
  expect(processesOf(dir)).toEqual([]);
  expect(runnerOf(home)).toBeNull();
}, 60_000);

test("down ends a start that is under way", async () => {
  const { dir, spawn, souk } = await place();
  const shop = spawn("souk.mjs", "up");
  // It has the folder before it looks for the runtime.
  await saying(shop.stderr, "daprd");
  expect((await souk("down")).err).toContain("stopped");
  expect(await shop.exited).not.toBe(0);
  expect(processesOf(dir)).toEqual([]);
  expect((await souk("down")).err).toContain("nothing was running");
}, 60_000);
