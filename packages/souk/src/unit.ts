/** One process that is kept running: started in a group of its own, its output logged, started again when it dies. */
import { type ChildProcess, spawn } from "node:child_process";
import { EventEmitter } from "node:events";
import { fileURLToPath } from "node:url";
import { type Level, type Line, type LogFile, lines } from "./logs.ts";
import { beganAt, gone, identify, OWNER, type ProcessId, signalGroup } from "./processes.ts";

export type State = "idle" | "starting" | "running" | "waiting" | "stopping" | "stopped";

export interface UnitOptions {
  name: string;
  command: string[];
  cwd: string;
  env: Record<string, string>;
  log: LogFile;
  /** Told what happens, for the log and the screen. */
  say(level: Level, text: string): void;
  /** Awaited before every start. */
  before?: () => Promise<void>;
  /** What its last words mean, for who reads that it ended. */
  explain?: (tail: readonly string[]) => string | undefined;
  /** Sees every line that it prints. */
  onLine?: (line: Line) => void;
  /** Groups are announced here, so that they end with the runner whatever ends it. */
  guard: Guard;
  /** How long a stop may take before it is forced. Milliseconds. */
  graceMs: number;
}

// The first restart is at once: most deaths are a single accident.
const FIRST_MS = 50;
const LONGEST_MS = 10_000;
/** Who has run this long has recovered. */
const STEADY_MS = 30_000;

export class Unit extends EventEmitter<{ change: []; exit: [] }> {
  state: State = "idle";
  restarts = 0;
  /** Deaths since it last ran steadily. */
  failures = 0;
  /** The last lines it printed, for who wants to know why it died. */
  readonly tail: string[] = [];
  /** What its last words mean, once it has ended; another run may end of something else. */
  meaning: string | undefined;
  /** How many lines of the tail are from this run. */
  #lines = 0;
  #id: ProcessId | null = null;
  #exited: Promise<void> = Promise.resolve();
  #timer: Timer | null = null;
  #startedAt = 0;
  #wanted = false;

  constructor(readonly options: UnitOptions) {
    super();
  }

  get name(): string {
    return this.options.name;
  }

  get pid(): number | null {
    return this.#id?.pid ?? null;
  }

  get id(): ProcessId | null {
    return this.#id;
  }

  /** Starts it; resolves when the process is there (not when it is ready). */
  async start(): Promise<void> {
    this.#wanted = true;
    await this.#spawn();
  }

  /** Ends it by force, as an accident would: it is started again. */
  kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    if (this.#id) signalGroup(this.#id.pid, signal);
    return signal === "SIGKILL" ? this.#exited : Promise.resolve();
  }

  /** Ends it for good: SIGTERM, and SIGKILL after `graceMs`; with 0 SIGKILL at once. */
  async stop(graceMs = this.options.graceMs): Promise<void> {
    this.#wanted = false;
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    const id = this.#id;
    if (id) {
      this.#set("stopping");
      signalGroup(id.pid, graceMs > 0 ? "SIGTERM" : "SIGKILL");
      if (graceMs === 0) await this.#exited;
      else if (!(await settled(this.#exited, graceMs))) {
        this.options.say("warn", `${this.name} did not stop within ${graceMs / 1000} s and is killed`);
        signalGroup(id.pid, "SIGKILL");
        await this.#exited;
      }
      // What it started itself, and left.
      if (signalGroup(id.pid, "SIGKILL")) await gone([id], 1_000);
    }
    this.#set("stopped");
  }

  async #spawn(): Promise<void> {
    const { command, cwd, env, log, guard } = this.options;
    this.#set("starting");
    await this.options.before?.();
    if (!this.#wanted) return;
    const [program = "", ...args] = command;
    const child = spawn(program, args, { cwd, env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
    this.#startedAt = performance.now();
    this.#lines = 0;
    const exited = Promise.withResolvers<void>();
    this.#exited = exited.promise;
    if (child.pid !== undefined) {
      this.#id = identify(child.pid);
      guard.add(this.#id);
      this.#set("running");
    }
    for (const from of ["stdout", "stderr"] as const) {
      const stream = child[from];
      if (!stream) continue;
      const cut = lines((line) => {
        const said = log.raw(line, from);
        this.tail.push(said.msg);
        this.#lines++;
        if (this.tail.length > 20) this.tail.shift();
        this.options.onLine?.(said);
      });
      stream.setEncoding("utf8");
      stream.on("data", (text: string) => cut.push(text));
      stream.on("end", () => cut.end());
    }
    child.once("error", (error) => {
      this.tail.push(error.message);
      if (child.pid === undefined) this.#ended(`could not be started: ${error.message}`, exited.resolve);
    });
    child.once("exit", (code, signal) => {
      this.#ended(signal ? `was ended by ${signal}` : `ended with exit code ${code}`, exited.resolve);
    });
  }

  #ended(how: string, done: () => void): void {
    const id = this.#id;
    this.#id = null;
    if (id) {
      signalGroup(id.pid, "SIGKILL");
      this.options.guard.remove(id);
    }
    if (this.#wanted) {
      if (performance.now() - this.#startedAt > STEADY_MS) {
        this.failures = 0;
        this.meaning = undefined;
      }
      const wait = Math.min(FIRST_MS * 2 ** this.failures, LONGEST_MS) * (0.75 + Math.random() / 2);
      this.failures++;
      this.restarts++;
      this.options.say(
        "warn",
        `${this.name}${id ? ` (pid ${id.pid})` : ""} ${how}; it starts again in ${wait < 1000 ? `${Math.round(wait)} ms` : `${(wait / 1000).toFixed(1)} s`}`,
      );
      const why = this.#lines > 0 ? this.options.explain?.(this.tail.slice(-this.#lines)) : undefined;
      if (why !== undefined && why !== this.meaning) this.options.say("error", `${this.name}: ${why}`);
      this.meaning = why;
      this.#set("waiting");
      this.#timer = setTimeout(() => {
        this.#timer = null;
        this.#spawn().catch((error: unknown) => this.options.say("error", `${this.name}: ${String(error)}`));
      }, wait);
    }
    done();
    this.emit("exit");
  }

  #set(state: State): void {
    if (this.state === state) return;
    this.state = state;
    this.emit("change");
  }
}

/** Whether a promise settles within a time. */
export async function settled(promise: Promise<unknown>, withinMs: number): Promise<boolean> {
  let timer: Timer | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), withinMs);
  });
  const result = await Promise.race([promise.then(() => true), late]);
  clearTimeout(timer);
  return result;
}

/** The watchdog's other end. */
export class Guard {
  #watchdog: ChildProcess;

  constructor(owner: string) {
    const script = fileURLToPath(new URL("./watchdog.ts", import.meta.url));
    this.#watchdog = spawn(process.execPath, [script], {
      cwd: "/",
      detached: true,
      env: { PATH: process.env.PATH ?? "", [OWNER]: owner },
      stdio: ["pipe", "ignore", "ignore"],
    });
    this.#watchdog.unref();
    // When it is killed, nothing is lost but the guard: the next start cleans up what is left.
    this.#watchdog.stdin?.on("error", () => this.#watchdog.stdin?.destroy());
  }

  get pid(): number | null {
    return this.#watchdog.pid ?? null;
  }

  add(id: ProcessId): void {
    this.#write(`+${id.pid} ${id.began ?? ""}`);
  }

  remove(id: ProcessId): void {
    this.#write(`-${id.pid}`);
  }

  /** Ends the watchdog, and with it whatever it still guards. */
  async close(): Promise<void> {
    const pid = this.#watchdog.pid;
    this.#watchdog.stdin?.end();
    if (pid !== undefined && this.#watchdog.exitCode === null)
      await gone([{ pid, began: beganAt(pid) }], 10_000);
  }

  #write(line: string): void {
    if (this.#watchdog.stdin?.writable) this.#watchdog.stdin.write(`${line}\n`);
  }
}
