import { spawn } from "node:child_process";
import { accessSync, constants, readFileSync, statSync } from "node:fs";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { delimiter, isAbsolute, join, resolve } from "node:path";
import type { Environment } from "./types.ts";

export interface RunOptions {
  /** The whole environment of the program. */
  env: Environment;
  cwd?: string;
  /** Kills the program and all it started; run then throws the signal's reason. */
  signal?: AbortSignal;
  timeoutMs?: number;
  /** Called with every line of both streams. Returning "enough" ends the program. */
  onLine?(line: string): "enough" | undefined;
  /** A folder to note the process in while it runs, so that whoever finds the folder abandoned can end it. */
  noteIn?: string;
}

export interface RunResult {
  /** null: it was killed, or could not be started. */
  code: number | null;
  stdout: string;
  stderr: string;
  timedOut: boolean;
}

const KEEP = 256 * 1024;
const tail = (text: string) => (text.length > KEEP ? text.slice(-KEEP) : text);

/** Runs a program in a process group of its own; what it started never outlives it or us. */
export async function run(command: string, args: readonly string[], options: RunOptions): Promise<RunResult> {
  const { signal } = options;
  signal?.throwIfAborted();
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: Object.fromEntries(Object.entries(options.env).filter(([, value]) => value !== undefined)),
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  const result: RunResult = { code: null, stdout: "", stderr: "", timedOut: false };
  const kill = () => {
    if (child.pid !== undefined) killGroup(child.pid);
  };
  const timer = options.timeoutMs
    ? setTimeout(() => {
        result.timedOut = true;
        kill();
      }, options.timeoutMs)
    : undefined;
  signal?.addEventListener("abort", kill, { once: true });
  process.once("exit", kill);

  const read = (stream: "stdout" | "stderr") => {
    let rest = "";
    child[stream].setEncoding("utf8");
    child[stream].on("data", (text: string) => {
      result[stream] = tail(result[stream] + text);
      const lines = (rest + text).split(/\r?\n/);
      rest = lines.pop() ?? "";
      for (const line of lines) if (options.onLine?.(line) === "enough") kill();
    });
  };
  read("stdout");
  read("stderr");

  const ended = new Promise<void>((done) => {
    child.once("error", (error) => {
      result.stderr += error.message;
      done();
    });
    child.once("close", (code) => {
      result.code = code;
      done();
    });
  });
  const note =
    options.noteIn && child.pid !== undefined ? join(options.noteIn, `process-${child.pid}.json`) : undefined;
  try {
    if (note)
      await writeFile(note, JSON.stringify({ pid: child.pid, started: startOf(child.pid as number) }));
    await ended;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", kill);
    process.off("exit", kill);
    if (note) await rm(note, { force: true });
  }
  signal?.throwIfAborted();
  return result;
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch (error) {
    // It ended by itself just now.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** When a process started, as the system counts it, so that a number used again is not taken for the same process. */
function startOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? null;
  } catch {
    // No such process, or no /proc on this system.
    return null;
  }
}

/** Ends what is still running of an attempt whose owner died: the processes noted in its folder. */
export async function endNoted(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!/^process-\d+\.json$/.test(name)) continue;
    const text = await readFile(join(folder, name), "utf8");
    // A note cut off by the owner's death says nothing; its process was only just starting.
    const note = text.endsWith("}") ? (JSON.parse(text) as { pid: number; started: string | null }) : null;
    if (note?.started && startOf(note.pid) === note.started) killGroup(note.pid);
  }
}

export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** All executables of that name in the folders of PATH, in its order, each once. */
export function onPath(name: string, env: Environment): string[] {
  const folders = (env.PATH ?? "").split(delimiter).filter((folder) => isAbsolute(folder));
  return [...new Set(folders.map((folder) => resolve(folder, name)))].filter(isExecutable);
}
