import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { join, resolve } from "node:path";

// bun packages/souk/src/check.ts [--fast]: everything that `npm test` proves, one suite after the other.
// The last line is `N passed, N failed`. A line "not run: …" that a test prints is repeated before it.

interface Suite {
  name: string;
  command: string[];
  /** Bun's test runner counts; any other command passes or fails as one. */
  counts: boolean;
}

interface Result {
  passed: number;
  failed: number;
  skipped: number;
  notRun: string[];
}

const root = resolve(import.meta.dir, "../../..");
const bun = process.execPath;
const bin = (name: string): string => join(root, "node_modules/.bin", name);
const fast = process.argv.includes("--fast");

const testFiles = (folder: string): string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".test.ts") && !file.includes("node_modules"))
    .map((file) => join(folder, file))
    .sort();

const packages = readdirSync(join(root, "packages"));
const inSource = packages.flatMap((name) => testFiles(`packages/${name}/src`));
const onReal = packages.flatMap((name) => {
  try {
    return testFiles(`packages/${name}/test`);
  } catch {
    return []; // a package whose tests all stand beside its source
  }
});
const own = testFiles("tests").filter((file) => !file.startsWith("tests/e2e"));
const endToEnd = testFiles("tests/e2e");

const tests = (name: string, files: string[], timeoutMs: number): Suite => ({
  name,
  command: [bun, "test", "--timeout", String(timeoutMs), ...files.map((file) => `./${file}`)],
  counts: true,
});

const suites: Suite[] = [
  { name: "types", command: [bin("tsc"), "--noEmit"], counts: false },
  { name: "lint and format", command: [bin("biome"), "ci", "--colors=off", "."], counts: false },
  tests("packages", inSource, 30_000),
  tests("services", testFiles("services"), 30_000),
  tests("architecture and contracts", own, 60_000),
  ...(fast
    ? []
    : [
        // Once, before tests with a time-out need it: from nothing it may take minutes.
        {
          name: "the Dapr runtime and Redis",
          command: [bun, "packages/souk/src/obtained.ts"],
          counts: false,
        },
        ...onReal.map((file) => tests(file, [file], 120_000)),
        ...endToEnd.map((file) =>
          tests(`end to end: ${file.split("/").at(-1)?.replace(".test.ts", "")}`, [file], 240_000),
        ),
      ]),
];

let running: ReturnType<typeof spawn> | undefined;
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    running?.kill(signal);
    process.stdout.write("\ninterrupted\n0 passed, 1 failed\n");
    process.exit(130);
  });
}

const totals: Result = { passed: 0, failed: 0, skipped: 0, notRun: [] };
for (const suite of suites) {
  process.stdout.write(`\n── ${suite.name}\n`);
  const started = performance.now();
  const result = await run(suite);
  totals.passed += result.passed;
  totals.failed += result.failed;
  totals.skipped += result.skipped;
  totals.notRun.push(...result.notRun);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  process.stdout.write(`── ${suite.name}: ${result.passed} passed, ${result.failed} failed (${seconds} s)\n`);
}
process.stdout.write("\n");
for (const line of new Set(totals.notRun)) process.stdout.write(`${line}\n`);
const skipped = totals.skipped > 0 ? `, ${totals.skipped} skipped` : "";
process.stdout.write(`${totals.passed} passed, ${totals.failed} failed${skipped}\n`);
process.exit(totals.failed === 0 ? 0 : 1);

async function run({ command: [program = "", ...args], counts }: Suite): Promise<Result> {
  let output = "";
  const code = await new Promise<number>((done) => {
    running = spawn(program, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
    const take = (chunk: Buffer): void => {
      output += chunk;
      process.stdout.write(chunk);
    };
    running.stdout?.on("data", take);
    running.stderr?.on("data", take);
    running.once("error", (error) => {
      take(Buffer.from(`${error.message}\n`));
      done(1);
    });
    running.once("close", (exit) => done(exit ?? 1));
  });
  const notRun = output.match(/^not run: .*$/gm) ?? [];
  if (!counts) return { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: 0, notRun };
  const count = (word: string): number =>
    Number(new RegExp(`^ *(\\d+) ${word}$`, "m").exec(output)?.[1] ?? 0);
  const failed = count("fail");
  // A runner that dies without counting has failed once, whatever it printed before.
  return {
    passed: count("pass"),
    failed: failed === 0 && code !== 0 ? 1 : failed,
    skipped: count("skip") + count("todo"),
    notRun,
  };
}
