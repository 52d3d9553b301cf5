import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { hangUpWhenAlone } from "./hang-up.ts";
import { signalGroup } from "./processes.ts";

// bun packages/souk/src/check.ts [--fast | --security]: everything that `npm test` proves.
// The last line is `N passed, N failed`. Before it stand again what failed, with its reason, and each line "not run: …".

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
  /** What was printed of each failure. */
  failures: string[];
}

const root = resolve(import.meta.dir, "../../..");
const bun = process.execPath;
const bin = (name: string): string => join(root, "node_modules/.bin", name);

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
const own = testFiles("tests").filter((file) => !/^tests\/(e2e|replicas|security|simulator)\//.test(file));

const tests = (name: string, files: string[], timeoutMs: number): Suite => ({
  name,
  command: [bun, "test", "--timeout", String(timeoutMs), ...files.map((file) => `./${file}`)],
  counts: true,
});

/** Each file in a process of its own: they start shops. */
const eachOf = (name: string, folder: string, timeoutMs: number): Suite[] =>
  testFiles(folder).map((file) =>
    tests(`${name}: ${file.split("/").at(-1)?.replace(".test.ts", "")}`, [file], timeoutMs),
  );

const inProcess: Suite[] = [
  { name: "types", command: [bin("tsc"), "--noEmit"], counts: false },
  { name: "lint and format", command: [bin("biome"), "ci", "--colors=off", "."], counts: false },
  // The longest first: what comes last should be short, where two run side by side.
  tests("packages", inSource, 120_000),
  tests("simulator", testFiles("tests/simulator"), 600_000),
  tests("services", testFiles("services"), 120_000),
  tests("replicas", testFiles("tests/replicas"), 120_000),
  tests("architecture and contracts", own, 120_000),
];
const runtime: Suite = {
  // Once, before tests with a time-out need it: from nothing it may take minutes.
  name: "the Dapr runtime and Redis",
  command: [bun, "packages/souk/src/obtained.ts"],
  counts: false,
};
const security = eachOf("security", "tests/security", 240_000);
const whole: Suite[] = [
  ...onReal.map((file) => tests(file, [file], 120_000)),
  ...eachOf("end to end", "tests/e2e", 240_000),
];

/** Suites that keep the whole machine busy by themselves. */
const isHeavy = ({ name }: Suite): boolean => /(bugs|chaos|drills)\.test\.ts$/.test(name);

// The runtime may have to be built first, which nothing of the first part needs. Most shops of the second wait more
// than they work.
const parts: { suites: Suite[]; atOnce: number }[] = process.argv.includes("--security")
  ? [{ suites: [runtime, ...security], atOnce: 1 }]
  : process.argv.includes("--fast")
    ? [{ suites: inProcess, atOnce: 1 }]
    : [
        { suites: [runtime, ...inProcess], atOnce: 2 },
        { suites: [...whole.filter((suite) => !isHeavy(suite)), ...security], atOnce: 2 },
        { suites: whole.filter(isHeavy), atOnce: 1 },
      ];

const running = new Set<ReturnType<typeof spawn>>();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    for (const { pid } of running) if (pid !== undefined) signalGroup(pid, signal);
    process.stdout.write("\ninterrupted\n0 passed, 1 failed\n");
    process.exit(130);
  });
}

hangUpWhenAlone();

const totals: Result = { passed: 0, failed: 0, skipped: 0, notRun: [], failures: [] };
for (const { suites, atOnce } of parts) {
  const left = [...suites];
  const lane = async (): Promise<void> => {
    for (let suite = left.shift(); suite; suite = left.shift()) await prove(suite, atOnce === 1);
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
}
process.stdout.write("\n");
for (const failure of totals.failures) process.stdout.write(`${failure}\n`);
for (const line of new Set(totals.notRun)) process.stdout.write(`${line}\n`);
const skipped = totals.skipped > 0 ? `, ${totals.skipped} skipped` : "";
process.stdout.write(`${totals.passed} passed, ${totals.failed} failed${skipped}\n`);
process.exit(totals.failed === 0 ? 0 : 1);

/** Runs a suite and counts it. What it prints is shown as it comes, or in one piece where another runs beside it. */
async function prove(suite: Suite, live: boolean): Promise<void> {
  process.stdout.write(live ? `\n── ${suite.name}\n` : `── ${suite.name} …\n`);
  const started = performance.now();
  const { output, ...result } = await run(suite, live);
  totals.passed += result.passed;
  totals.failed += result.failed;
  totals.skipped += result.skipped;
  totals.notRun.push(...result.notRun);
  totals.failures.push(...result.failures.map((text) => `── failed in ${suite.name}\n${text}\n`));
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  if (!live) process.stdout.write(`\n── ${suite.name}\n${output}`);
  process.stdout.write(`── ${suite.name}: ${result.passed} passed, ${result.failed} failed (${seconds} s)\n`);
}

async function run(
  { command: [program = "", ...args], counts }: Suite,
  live: boolean,
): Promise<Result & { output: string }> {
  let output = "";
  const code = await new Promise<number>((done) => {
    // A group of its own: a signal has to reach what a test has started as well.
    const child = spawn(program, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"], detached: true });
    running.add(child);
    const take = (chunk: Buffer): void => {
      output += chunk;
      if (live) process.stdout.write(chunk);
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    child.once("error", (error) => {
      take(Buffer.from(`${error.message}\n`));
      done(1);
    });
    child.once("close", (exit) => done(exit ?? 1));
    child.once("close", () => running.delete(child));
  });
  const notRun = output.match(/^not run: .*$/gm) ?? [];
  if (!counts) {
    const failures = code === 0 ? [] : [lastOf(output)];
    return { passed: 1 - failures.length, failed: failures.length, skipped: 0, notRun, failures, output };
  }
  const count = (word: string): number =>
    Number(new RegExp(`^ *(\\d+) ${word}$`, "m").exec(output)?.[1] ?? 0);
  const failed = count("fail");
  const failures = failuresIn(output);
  // A runner that dies without counting has failed once, whatever it printed before.
  return {
    passed: count("pass"),
    failed: failed === 0 && code !== 0 ? 1 : failed,
    skipped: count("skip") + count("todo"),
    notRun,
    failures: failures.length === 0 && code !== 0 ? [lastOf(output)] : failures,
    output,
  };
}

/** Each test that failed, with what was printed since the one before it. */
function failuresIn(output: string): string[] {
  const failures: string[] = [];
  let since: string[] = [];
  for (const line of output.split("\n")) {
    // The runner names them all once more.
    if (/^\d+ tests? failed:$/.test(line)) break;
    since.push(line);
    if (line.startsWith("(fail) ")) failures.push(lastOf(since.join("\n")));
    if (/^\((pass|fail|skip|todo)\) /.test(line)) since = [];
  }
  return failures;
}

function lastOf(text: string): string {
  return text.trimEnd().split("\n").slice(-40).join("\n");
}
