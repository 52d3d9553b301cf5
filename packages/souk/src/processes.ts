/** What the operating system knows of processes: when they began, what they are, who holds a port. */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

const linux = process.platform === "linux";

/** Every process we start carries the folder of its shop in this variable. */
export const OWNER = "SOUK_OWNER";

/** A process that cannot be mistaken for a later one with the same number. */
export interface ProcessId {
  pid: number;
  /** When it began, in the system's own words; null when it is not known. */
  began: string | null;
}

/** When a living process began, or null if there is none with this number. A zombie counts as gone. */
export function beganAt(pid: number): string | null {
  if (linux) {
    const stat = read(`/proc/${pid}/stat`);
    if (stat === null) return null;
    // The second field is the program in parentheses, which may hold spaces.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? null : (fields[19] ?? null);
  }
  const began = run("ps", ["-o", "stat=,lstart=", "-p", String(pid)])?.trim();
  return began && !began.startsWith("Z") ? began.replace(/^\S+\s+/, "") : null;
}

export function identify(pid: number): ProcessId {
  return { pid, began: beganAt(pid) };
}

/** Whether exactly this process still runs. */
export function isAlive(id: ProcessId): boolean {
  const began = beganAt(id.pid);
  return began !== null && (id.began === null || id.began === began);
}

/** The command line of a process, or null. */
export function commandOf(pid: number): string | null {
  if (linux) return read(`/proc/${pid}/cmdline`)?.replaceAll("\0", " ").trim() ?? null;
  return run("ps", ["-o", "command=", "-p", String(pid)])?.trim() ?? null;
}

/** Every living process that carries `owner` as its shop, without this one. */
export function processesOf(owner: string): number[] {
  const mark = `${OWNER}=${owner}`;
  if (linux) {
    return numbers("/proc").filter(
      (pid) =>
        pid !== process.pid &&
        (read(`/proc/${pid}/environ`)?.split("\0").includes(mark) ?? false) &&
        beganAt(pid) !== null,
    );
  }
  const lines = run("ps", ["eww", "-ax", "-o", "pid=,command="])?.split("\n") ?? [];
  return lines
    .filter((line) => `${line} `.includes(` ${mark} `))
    .map((line) => Number.parseInt(line, 10))
    .filter((pid) => pid !== process.pid);
}

/** The processes that a process has started and that are still alive. */
export function childrenOf(pid: number): number[] {
  if (!linux) return (run("pgrep", ["-P", String(pid)]) ?? "").split("\n").filter(Boolean).map(Number);
  return numbers("/proc").filter((child) => {
    const stat = read(`/proc/${child}/stat`);
    return stat?.slice(stat.lastIndexOf(")") + 2).split(" ")[1] === String(pid);
  });
}

/** Sends a signal to a process group and says whether there was one. */
export function signalGroup(pid: number, signal: NodeJS.Signals): boolean {
  return signalled(-pid, signal);
}

/** Sends a signal to one process and says whether there was one. */
export function signalProcess(pid: number, signal: NodeJS.Signals): boolean {
  return signalled(pid, signal);
}

function signalled(target: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(target, signal);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ESRCH" || code === "EPERM") return false;
    throw error;
  }
}

/** Resolves true once none of them is alive, false when that took longer than `withinMs`. */
export async function gone(ids: ProcessId[], withinMs: number): Promise<boolean> {
  const until = performance.now() + withinMs;
  while (ids.some(isAlive)) {
    if (performance.now() > until) return false;
    await Bun.sleep(20);
  }
  return true;
}

/** Ends processes: asks, and after `graceMs` forces. Their groups go with them. */
export async function end(ids: ProcessId[], graceMs: number): Promise<void> {
  const living = ids.filter(isAlive);
  for (const { pid } of living) signalGroup(pid, "SIGTERM") || signalProcess(pid, "SIGTERM");
  if (await gone(living, graceMs)) return;
  for (const { pid } of living.filter(isAlive)) signalGroup(pid, "SIGKILL") || signalProcess(pid, "SIGKILL");
  await gone(living, 5_000);
}

export interface Holder {
  pid: number | null;
  /** Its command line; empty when the process belongs to someone else. */
  command: string;
}

/** Who listens on a TCP port of this machine; null when nobody does or it cannot be known. */
export function holderOf(port: number): Holder | null {
  if (!linux) {
    const pid = Number.parseInt(run("lsof", ["-nP", `-iTCP:${port}`, "-sTCP:LISTEN", "-t"]) ?? "", 10);
    return Number.isNaN(pid) ? null : { pid, command: commandOf(pid) ?? "" };
  }
  const inodes = new Set(listeners().flatMap((each) => (each.port === port ? [each.inode] : [])));
  if (inodes.size === 0) return null;
  for (const pid of numbers("/proc")) {
    for (const fd of numbers(`/proc/${pid}/fd`)) {
      const inode = /^socket:\[(\d+)\]$/.exec(link(`/proc/${pid}/fd/${fd}`) ?? "")?.[1];
      if (inode !== undefined && inodes.has(inode)) return { pid, command: commandOf(pid) ?? "" };
    }
  }
  return { pid: null, command: "" };
}

export interface Listener {
  /** As the kernel writes it: hexadecimal. */
  address: string;
  port: number;
  inode: string;
}

/** Every listening TCP socket (Linux only; elsewhere empty). */
export function listeners(): Listener[] {
  if (!linux) return [];
  return ["/proc/net/tcp", "/proc/net/tcp6"].flatMap((file) =>
    (read(file) ?? "")
      .split("\n")
      .slice(1)
      .flatMap((line) => {
        const [, local, , state, , , , , , inode] = line.trim().split(/\s+/);
        if (state !== "0A" || !local || !inode) return [];
        const [address = "", port = ""] = local.split(":");
        return [{ address, port: Number.parseInt(port, 16), inode }];
      }),
  );
}

/** A folder's entries that are numbers; none when it cannot be read. */
function numbers(folder: string): number[] {
  try {
    return readdirSync(folder).map(Number).filter(Number.isInteger);
  } catch (error) {
    return unreadable(error, []);
  }
}

function read(file: string): string | null {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    return unreadable(error, null);
  }
}

function link(file: string): string | null {
  try {
    return readlinkSync(file);
  } catch (error) {
    return unreadable(error, null);
  }
}

/** Processes come and go, and some belong to others: what cannot be read is not there for us. */
function unreadable<T>(error: unknown, instead: T): T {
  const { code } = error as NodeJS.ErrnoException;
  if (code && ["ENOENT", "ESRCH", "EACCES", "EPERM", "ENOTDIR"].includes(code)) return instead;
  throw error;
}

/** What a program prints, or null when it is missing or fails. */
function run(program: string, args: string[]): string | null {
  try {
    return execFileSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  } catch (error) {
    if (error instanceof Error) return null;
    throw error;
  }
}
