import { Hono } from "hono";
import { problem } from "./answers.ts";
import type { Timers } from "./clock.ts";
import type { Work } from "./work.ts";

export interface ScheduledJob {
  name: string;
  options: Record<string, unknown>;
  cancel(): void;
}

interface Inside {
  timers: Timers;
  work: Work;
  /** By app and name. */
  jobs: Map<string, ScheduledJob>;
  isRunning(appId: string): boolean;
  toApp(appId: string, path: string, init: RequestInit): Promise<Response>;
}

/** What an app schedules its jobs with. */
export function jobsApi(appId: string, { timers, work, jobs, isRunning, toApp }: Inside): Hono {
  const api = new Hono();

  api.post("/v1.0/jobs/:name", async (c) => {
    const name = c.req.param("name");
    const wanted = await c.req.json<Record<string, unknown>>();
    if (jobs.has(`${appId}|${name}`) && !wanted.overwrite) {
      return problem(409, "DAPR_SCHEDULER_JOB_ALREADY_EXISTS", `job already exists: ${name}`);
    }
    const refused = schedule(name, wanted);
    return refused ?? c.body(null, 204);
  });

  api.get("/v1.0/jobs/:name", (c) => {
    const job = jobs.get(`${appId}|${c.req.param("name")}`);
    if (!job) return problem(500, "DAPR_SCHEDULER_GET_JOB", "failed to get job due to: job not found");
    return c.json({ name: job.name, ...job.options });
  });

  api.delete("/v1.0/jobs/:name", (c) => {
    jobs.get(`${appId}|${c.req.param("name")}`)?.cancel();
    return c.body(null, 204);
  });

  function schedule(name: string, wanted: Record<string, unknown>): Response | null {
    const every = /^@every (.+)$/.exec(String(wanted.schedule ?? ""))?.[1];
    const interval = every === undefined ? undefined : milliseconds(every);
    const due = wanted.dueTime === undefined ? interval : dueIn(String(wanted.dueTime));
    if (due === undefined || Number.isNaN(due)) {
      return problem(
        400,
        "DAPR_SCHEDULER_SCHEDULE_JOB",
        "The fake knows dueTime and schedules of the form @every 5s",
      );
    }
    const key = `${appId}|${name}`;
    let left =
      wanted.repeats === undefined
        ? interval === undefined
          ? 1
          : Number.POSITIVE_INFINITY
        : Number(wanted.repeats);
    const { overwrite: _, ...kept } = wanted;
    const arm = (time: number) => timers.at(time, () => work.run(run(time)));
    let timer = arm(timers.now() + due);
    async function run(time: number): Promise<void> {
      if (--left > 0 && interval !== undefined) timer = arm(time + interval);
      else jobs.delete(key);
      const body = JSON.stringify(wanted.data ?? null);
      const path = `/job/${encodeURIComponent(name)}`;
      // An app that is not running misses it.
      if (isRunning(appId)) await toApp(appId, path, { method: "POST", body });
    }
    jobs.get(key)?.cancel();
    const cancel = () => {
      timer.cancel();
      jobs.delete(key);
    };
    jobs.set(key, { name, options: kept, cancel });
    return null;
  }

  const dueIn = (due: string): number => milliseconds(due) ?? Date.parse(due) - timers.now();

  return api;
}

const UNITS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** `1h30m`, `5s`, `100ms`; `undefined` for anything else. */
function milliseconds(text: string): number | undefined {
  if (!/^(\d+(?:\.\d+)?(?:ms|s|m|h))+$/.test(text)) return undefined;
  return [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)].reduce(
    (sum, [, amount, unit]) => sum + Number(amount) * (UNITS[unit ?? ""] ?? 0),
    0,
  );
}
