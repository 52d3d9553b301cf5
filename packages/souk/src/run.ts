/** What runs now: written by the runner, read by other commands and by tests. */
import { rmSync } from "node:fs";
import { type Home, readJson, writePrivate } from "./home.ts";
import { type Lock, lock } from "./lock.ts";
import { identify, isAlive, type ProcessId } from "./processes.ts";
import type { State } from "./unit.ts";

export interface Run {
  /** The runner. */
  pid: number;
  began: string | null;
  state: "starting" | "ready" | "stopping";
  /** RFC 3339. */
  startedAt: string;
  root: string;
  home: string;
  /** The gateway's public port, and the address a person opens. */
  port: number;
  url: string;
  services: Record<string, ServiceRun>;
  redis: { port: number; pid: number | null; state: State };
  sentry: { port: number; healthPort: number; pid: number | null; state: State };
  /** The mail catcher, where there is one: its page, and the port that mails are sent to. */
  mail?: { url: string; port: number; smtpPort: number; pid: number | null; state: State };
}

export interface ServiceRun {
  appPort: number;
  daprHttpPort: number;
  daprGrpcPort: number;
  metricsPort: number;
  pid: number | null;
  sidecarPid: number | null;
  state: State;
  sidecarState: State;
  restarts: number;
  sidecarRestarts: number;
}

/** Takes a shop's folder for this process, and says so to others; null when another has it. */
export function claim(home: Home): Lock | null {
  const held = lock(home);
  if (!held) return null;
  writePrivate(home.runnerFile, JSON.stringify(identify(process.pid)));
  return {
    release() {
      rmSync(home.runnerFile, { force: true });
      held.release();
    },
  };
}

/** Who has claimed this folder, or null when nobody has who is still alive. */
export function runnerOf(home: Home): ProcessId | null {
  const runner = told<ProcessId>(home.runnerFile);
  return runner && isAlive(runner) ? runner : null;
}

export function writeRun(home: Home, run: Run): void {
  writePrivate(home.runFile, `${JSON.stringify(run, null, 2)}\n`);
}

/** What runs in this folder, or null when nothing does. */
export function readRun(home: Home): Run | null {
  const run = told<Run>(home.runFile);
  return run && isAlive({ pid: run.pid, began: run.began }) ? run : null;
}

export interface Started extends ProcessId {
  name: string;
}

/** Keeps the list of what was started where the next start finds it. */
export function writeProcesses(home: Home, processes: Started[]): void {
  writePrivate(home.processesFile, `${JSON.stringify(processes)}\n`);
}

/** What an earlier runner started and is still alive: by its list, and by the mark that every process carries. */
export function leftovers(home: Home, marked: number[]): Started[] {
  const listed = told<Started[]>(home.processesFile) ?? [];
  const found = listed.filter((each) => each.began !== null && each.pid !== process.pid && isAlive(each));
  for (const pid of marked) {
    if (!found.some((each) => each.pid === pid)) found.push({ name: "", ...identify(pid) });
  }
  return found.filter(isAlive);
}

/** What such a file says; null also where a power cut has left it half-written: whoever wrote it is gone then. */
function told<T>(path: string): T | null {
  try {
    return readJson<T>(path);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
