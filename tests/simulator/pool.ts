import { availableParallelism } from "node:os";
import type { Found, Job } from "./worker.ts";

export interface Work {
  check: Job["check"];
  from: number;
  count: number;
  bug?: string;
  /** Told of each seed as it is done. */
  done?(found: Found): void;
}

/** So many seeds are handed to a worker at a time. */
const chunk = 10;
/** Workers that have nothing to do: to start one takes as long as to check fifty seeds. */
const idle: Worker[] = [];

/** Checks seeds on all cores until one fails. @returns the failing one with the lowest number of those looked at */
export async function firstFailure({ check, from, count, bug, done }: Work): Promise<Found | undefined> {
  const end = from + count;
  let next = from;
  let first: Found | undefined;
  const take = (): number[] => {
    const taken: number[] = [];
    while (first === undefined && next < end && taken.length < chunk) taken.push(next++);
    return taken;
  };
  const told = (found: Found): void => {
    done?.(found);
    if (found.violations.length > 0 && (first === undefined || found.seed < first.seed)) first = found;
  };
  const run = async (): Promise<void> => {
    const worker = idle.pop() ?? new Worker(new URL("./worker.ts", import.meta.url));
    worker.ref();
    try {
      for (let seeds = take(); seeds.length > 0; seeds = take())
        await ask(worker, { check, seeds, bug }, told);
    } catch (error) {
      worker.terminate();
      throw error;
    }
    // Nobody stays for one that has nothing to do.
    worker.unref();
    idle.push(worker);
  };
  const workers = Math.min(availableParallelism(), Math.ceil(count / chunk));
  await Promise.all(Array.from({ length: workers }, run));
  return first;
}

const ask = (worker: Worker, job: Job, told: (found: Found) => void): Promise<void> =>
  new Promise((resolve, reject) => {
    worker.onmessage = ({ data }: MessageEvent<Found | undefined>) => {
      if (data === undefined) resolve();
      else told(data);
    };
    worker.onerror = (event) => reject(new Error(event.message));
    worker.postMessage(job);
  });
