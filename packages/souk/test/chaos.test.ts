import { afterAll, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe } from "../src/chaos/faults.ts";
import { NoPostgres, postgresBinaries } from "../src/chaos/postgres.ts";
import { newSeed } from "../src/chaos/random.ts";
import type { Report } from "../src/chaos/report.ts";
import { planned } from "../src/chaos/run.ts";

const cli = join(import.meta.dir, "../src/cli.ts");

// Their own folder for temporary files: what is left in it afterwards was left behind.
const temporary = mkdtempSync(join(tmpdir(), "souk-chaos-test-"));
// PostgreSQL runs as somebody else where we are root, and must find its folder.
chmodSync(temporary, 0o711);
const broken: string[] = [];
afterAll(() => {
  if (broken.length === 0) rmSync(temporary, { recursive: true, force: true });
});

function start(args: string[]) {
  return Bun.spawn([process.execPath, cli, "chaos", ...args], {
    env: { ...process.env, TMPDIR: temporary },
    stdout: "pipe",
    stderr: "pipe",
  });
}

/** Runs it, and says everything that is needed to run it again when something does not hold. */
async function chaos(args: string[]): Promise<Report> {
  const child = start([...args, "--json"]);
  const [out, told, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code !== 0) {
    broken.push(args.join(" "));
    console.error(told);
  }
  expect(code).toBe(0);
  return JSON.parse(out) as Report;
}

function provesIt(report: Report, orders: number, faults: number): void {
  expect(report).toMatchObject({
    holds: true,
    violations: [],
    lost: 0,
    chargedTwice: 0,
    oversold: 0,
    ledger: 0,
    deadLetters: 0,
    orders: { asked: orders, unanswered: 0 },
  });
  // It was a run worth its name: they bought, were refused and took back, and it was really hurt.
  const { accepted, cancelled, confirmed, rejected } = report.orders;
  expect(accepted).toBeGreaterThan(orders * 0.9);
  expect(confirmed + rejected + cancelled).toBeGreaterThanOrEqual(accepted);
  const { returns, shipments } = report.figures;
  for (const some of [confirmed, rejected, cancelled, shipments, returns]) expect(some).toBeGreaterThan(0);
  expect(report.inflicted.length).toBe(faults);
  expect(report.secondsToFinal).toBeLessThan(120);
}

const random = newSeed();
test.each([
  ["1", 13],
  [random, 12],
])(
  "500 orders, none lost, while the shop is killed, frozen and cut off: seed %s",
  async (seed, kills) => {
    if (seed === random) console.log(`chaos: this run's random seed is ${random}`);
    const sizes = ["--orders", "500", "--kills", String(kills), "--duration", "25"];
    provesIt(await chaos([...sizes, "--seed", String(seed)]), 500, Number(kills));
  },
  300_000,
);

test("on PostgreSQL, with the database killed, too", async () => {
  try {
    postgresBinaries();
  } catch (error) {
    if (!(error instanceof NoPostgres)) throw error;
    console.log(`not run: chaos on PostgreSQL. ${error.message}`);
    return;
  }
  const root = join(import.meta.dir, "../../..");
  const run = { root, kills: 10, ms: 20_000, spare: [], store: "postgres" as const };
  const hits = (seed: string) =>
    planned({ ...run, seed }).some((fault) => describe(fault) === "kill -9 postgres");
  const seed = Array.from({ length: 100 }, (_, index) => `postgres-${index}`).find(hits) ?? "";
  const sizes = ["--orders", "250", "--kills", "10", "--duration", "20"];
  const report = await chaos([...sizes, "--store", "postgres", "--seed", seed]);
  provesIt(report, 250, 10);
  expect(report.inflicted).toContain("kill -9 postgres");
}, 300_000);

test("Ctrl-C ends everything, and says the seed", async () => {
  const before = readdirSync(temporary);
  const child = start(["--orders", "200", "--kills", "5", "--seed", "stopped"]);
  let told = "";
  const decoder = new TextDecoder();
  for await (const chunk of child.stderr) {
    told += decoder.decode(chunk, { stream: true });
    if (told.includes("/200 orders") && child.exitCode === null) child.kill("SIGINT");
  }
  expect(await child.exited).toBe(130);
  expect(told).toContain("--seed stopped");
  expect(readdirSync(temporary)).toEqual(before);
}, 120_000);

test.each([
  [["--broker", "kafka"], "The only broker a shop can be started with is redis"],
  [["--store", "mysql"], "Allowed choices are sqlite, postgres"],
  [["--orders", "0"], "at least 1"],
  [["--spare", "nobody"], "there is no nobody. There are "],
])("refuses %p and says why", async (args, message) => {
  const child = start(args);
  const told = await new Response(child.stderr).text();
  expect(await child.exited).toBe(1);
  expect(told).toContain(message);
});
