import { afterAll, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { baseEnvironment } from "./environment.ts";
import { forget, homeOf, prepare, readJson, secretsFile, secretsOf } from "./home.ts";
import { lock } from "./lock.ts";
import { isFree, reserve } from "./ports.ts";
import { beganAt, commandOf, holderOf, identify, isAlive, OWNER } from "./processes.ts";
import { claim, leftovers, readRun, runnerOf } from "./run.ts";

const dir = mkdtempSync(join(tmpdir(), "souk-home-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const home = homeOf(dir, join(dir, "shop"));

test("folders are closed to others, also those that were open", () => {
  mkdirSync(home.secrets, { recursive: true });
  chmodSync(home.secrets, 0o755);
  prepare(home);
  for (const each of [home.dir, home.secrets, home.data, home.certs])
    expect(statSync(each).mode & 0o077).toBe(0);
});

test("secrets are made once, and each service has its own", () => {
  const orders = secretsOf(home, "orders");
  expect(secretsOf(home, "orders")).toEqual(orders);
  expect(statSync(secretsFile(home, "orders")).mode & 0o777).toBe(0o600);
  const catalog = secretsOf(home, "catalog");
  expect(catalog["redis-password"]).toBe(orders["redis-password"]);
  for (const name of ["dapr-api-token", "app-api-token", "key", "fields", "state-1", "state-2"] as const) {
    expect(orders[name].length).toBeGreaterThanOrEqual(43);
    expect(catalog[name]).not.toBe(orders[name]);
  }
});

test("a secret that is missing is added, the others stay", () => {
  const before = secretsOf(home, "payments");
  const { key: _, ...rest } = before;
  writeFileSync(secretsFile(home, "payments"), JSON.stringify(rest));
  const after = secretsOf(home, "payments");
  expect(after["app-api-token"]).toBe(before["app-api-token"]);
  expect(after.key).not.toBe(before.key);
});

test("a secret that several have is the same for all, also when only their own files are left", () => {
  const { index, mail } = secretsOf(home, "identity");
  expect(index).toHaveLength(43);
  expect(secretsOf(home, "notifications")).toMatchObject({ mail });
  expect(secretsOf(home, "catalog")).not.toHaveProperty("mail");
  for (const name of ["index", "mail"]) rmSync(join(home.secrets, name));
  expect(secretsOf(home, "notifications")).toMatchObject({ mail });
  expect(secretsOf(home, "identity")).toMatchObject({ index, mail });
});

test("shipping has a carrier to try its webhooks with, and keeps those that somebody has put there", () => {
  const made = secretsOf(home, "shipping");
  const carriers = JSON.parse(made["carrier-webhooks"] ?? "{}") as Record<string, string>;
  expect(Object.keys(carriers)).toEqual(["test"]);
  expect(Buffer.from(carriers.test?.replace(/^whsec_/, "") ?? "", "base64")).toHaveLength(32);
  const theirs = { ...made, "carrier-webhooks": JSON.stringify({ "royal-mail": "whsec_dGhlaXJz" }) };
  writeFileSync(secretsFile(home, "shipping"), JSON.stringify(theirs));
  expect(secretsOf(home, "shipping")).toEqual(theirs);
  expect(secretsOf(home, "orders")).not.toHaveProperty("carrier-webhooks");
});

test("a secret that somebody has put there stays", () => {
  const before = secretsOf(home, "payments");
  const theirs = { ...before, "somebodys-api-key": "theirs" };
  writeFileSync(secretsFile(home, "payments"), JSON.stringify(theirs));
  expect(secretsOf(home, "payments") as object).toEqual(theirs);
  expect(readJson<object>(secretsFile(home, "payments"))).toEqual(theirs);
});

test("one lock a folder, given up when it is released", () => {
  const first = lock(home);
  expect(first).not.toBeNull();
  const other = Bun.spawnSync([
    process.execPath,
    "-e",
    `const { lock } = await import(${JSON.stringify(join(import.meta.dir, "lock.ts"))});
     const { homeOf } = await import(${JSON.stringify(join(import.meta.dir, "home.ts"))});
     console.log(lock(homeOf("/", ${JSON.stringify(home.dir)})) === null ? "held" : "free");`,
  ]);
  expect(other.stdout.toString().trim()).toBe("held");
  first?.release();
  const again = lock(home);
  expect(again).not.toBeNull();
  again?.release();
});

test("forgetting spares the lock only", () => {
  const held = lock(home);
  writeFileSync(join(home.data, "orders.db"), "rows");
  forget(home);
  expect(existsSync(home.data)).toBe(false);
  expect(existsSync(join(home.dir, "lock.db"))).toBe(true);
  held?.release();
  prepare(home);
  expect(readJson(home.runFile)).toBeNull();
});

test("what a power cut left half-written stands in nobody's way", () => {
  const claimed = claim(home);
  expect(claimed).not.toBeNull();
  expect(runnerOf(home)?.pid).toBe(process.pid);
  for (const file of [home.runnerFile, home.runFile, home.processesFile]) writeFileSync(file, '{ "pid": 1');
  expect(runnerOf(home)).toBeNull();
  expect(readRun(home)).toBeNull();
  expect(leftovers(home, [])).toEqual([]);
  claimed?.release();
  expect(existsSync(home.runnerFile)).toBe(false);
});

test("what is the user's does not reach a service by accident", () => {
  const env = baseEnvironment("/here", {
    PATH: "/bin",
    DAPR_HTTP_PORT: "3500",
    APP_API_TOKEN: "x",
    DATABASE_URL: "postgres://theirs",
    HOST: "my-machine",
    PORT: "80",
    NODE_ENV: "production",
    CHECKOUT_DEADLINE_MS: "5",
    NO_PROXY: "corp,localhost",
  });
  expect(env).toEqual({
    PATH: "/bin",
    CHECKOUT_DEADLINE_MS: "5",
    NO_PROXY: "corp,localhost,127.0.0.1,::1",
    no_proxy: "localhost,127.0.0.1,::1",
    [OWNER]: "/here",
  });
  expect(baseEnvironment("/here", { SOUK_DATABASE_URL: "postgres://ours" }).DATABASE_URL).toBe(
    "postgres://ours",
  );
});

test("a reserved port is held until it is released", async () => {
  const held = await reserve();
  expect(held.port).toBeGreaterThanOrEqual(20_000);
  expect(await isFree(held.port)).toBe(false);
  expect(holderOf(held.port)).toMatchObject({ pid: process.pid, command: commandOf(process.pid) ?? "" });
  await held.release();
  expect(await isFree(held.port)).toBe(true);
  expect(holderOf(held.port)).toBeNull();
});

test("a process is known by its number and its beginning", () => {
  const me = identify(process.pid);
  expect(isAlive(me)).toBe(true);
  expect(isAlive({ pid: process.pid, began: "another" })).toBe(false);
  const child = Bun.spawnSync(["true"]);
  expect(beganAt(child.pid)).toBeNull();
});
