/** What the processes of a running shop use, as the kernel says. */
import { readdirSync, readFileSync } from "node:fs";
import type { Run } from "./run.ts";

/** One process. */
export interface Vital {
  name: string;
  pid: number;
  /** Proportional set size: shared pages count by their share. */
  pssMiB: number;
  /** Memory of its own: what it has allocated, without files that are mapped, such as its program. */
  ownMiB: number;
  /** Open files and sockets. */
  files: number;
}

/** Every process of a shop; empty where the kernel does not say (it takes Linux). */
export function vitals(run: Run): Vital[] {
  const processes: [string, number | null][] = [
    ...Object.entries(run.services).flatMap(([name, service]): [string, number | null][] => [
      [name, service.pid],
      [`${name} sidecar`, service.sidecarPid],
    ]),
    ["redis", run.redis.pid],
    ["sentry", run.sentry.pid],
    ["mail", run.mail?.pid ?? null],
  ];
  return processes.flatMap(([name, pid]) => {
    if (pid === null) return [];
    try {
      const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
      const mib = (what: string) =>
        Number(new RegExp(`^${what}:\\s+(\\d+)`, "m").exec(rollup)?.[1] ?? 0) / 1024;
      const files = readdirSync(`/proc/${pid}/fd`).length;
      return [{ name, pid, pssMiB: mib("Pss"), ownMiB: mib("Anonymous"), files }];
    } catch {
      // Not Linux, or the process has just been restarted: there is no figure to give.
      return [];
    }
  });
}
