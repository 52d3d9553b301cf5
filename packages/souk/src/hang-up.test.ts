import { expect, test } from "bun:test";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

const module = JSON.stringify(join(import.meta.dir, "hang-up.ts"));
// Ends by itself, with 0, when it is asked for a word.
const script = `const { hangUpWhenAlone } = await import(${module});
  hangUpWhenAlone();
  process.stdin.on("data", () => process.exit(0));
  process.stdout.write("here");`;

/** A process that believes `launcher` to have launched it. */
function started(launcher: string | undefined): ChildProcess {
  const { SOUK_LAUNCHER: _, ...env } = process.env;
  return spawn(process.execPath, ["-e", script], {
    env: launcher === undefined ? env : { ...env, SOUK_LAUNCHER: launcher },
    stdio: ["pipe", "pipe", "pipe", "pipe"],
  });
}
const endOf = async (child: ChildProcess) => {
  const [code, signal] = await once(child, "exit");
  return signal ?? code;
};
const here = async (child: ChildProcess) => {
  if (child.stdout) await once(child.stdout, "data");
};

test("whose launcher is killed hangs up", async () => {
  const child = started(String(process.pid));
  const end = endOf(child);
  await here(child);
  (child.stdio[3] as NodeJS.WritableStream).end();
  expect(await end).toBe("SIGHUP");
});

test("whoever was started by something in between stays, as long as the launcher lives", async () => {
  for (const launcher of [undefined, String(process.ppid)]) {
    const child = started(launcher);
    const end = endOf(child);
    await here(child);
    (child.stdio[3] as NodeJS.WritableStream).end();
    child.stdin?.write("?");
    expect(await end).toBe(0);
  }
  const gone = spawn("true");
  await once(gone, "exit");
  expect(await endOf(started(String(gone.pid)))).toBe("SIGHUP");
});
