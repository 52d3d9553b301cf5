import { asJson } from "./bindings.ts";
import { type Client, call, discard, post, request } from "./client.ts";
import { errorOf } from "./errors.ts";
import type { Callback } from "./handlers.ts";

/** When a job runs, and with what. One of `schedule` and `dueTime` is needed. */
export interface JobOptions {
  /** A cron expression with seconds, or `@every 5m`, `@daily`… */
  schedule?: string;
  /** When it first runs: RFC 3339, or a time from now such as `30s`. */
  dueTime?: string;
  /** How often at most. */
  repeats?: number;
  /** When it ends: as `dueTime`. */
  ttl?: string;
  /** JSON that the handler is given. */
  data?: unknown;
  /** Replaces the job of that name; without it, a job that is there already is an error. */
  overwrite?: boolean;
}

/** Jobs that Dapr's scheduler keeps for this app. */
export interface Jobs {
  schedule(name: string, options: JobOptions): Promise<void>;
  /** `null`: there is no such job. */
  get(name: string): Promise<(JobOptions & { name: string }) | null>;
  /** Also when there is none. */
  delete(name: string): Promise<void>;
}

export function jobsOf(client: Client): Jobs {
  const path = (name: string) => `/v1.0/jobs/${encodeURIComponent(name)}`;
  return {
    async schedule(name, options) {
      await discard(await call(client, `Scheduling ${name}`, path(name), post(options)));
    },
    async get(name) {
      const response = await request(client, path(name));
      if (response.ok) return (await response.json()) as JobOptions & { name: string };
      const error = await errorOf(response, `Reading the job ${name}`);
      if (isMissing(error)) return null;
      throw error;
    },
    async delete(name) {
      const response = await request(client, path(name), { method: "DELETE" });
      if (response.ok) return discard(response);
      const error = await errorOf(response, `Deleting the job ${name}`);
      if (!isMissing(error)) throw error;
    },
  };
}

/** daprd answers 500 for a job that is not there; only its reason tells. */
const isMissing = ({ status, message }: { status: number; message: string }): boolean =>
  status === 404 || /not ?found/i.test(message);

/**
 * Binds a handler to a job of that name. A handler that throws is answered 500: the job's failure policy decides.
 *
 * @example
 * sidecar.subscriptions([onJob("send-report", async (data) => report(data))]);
 */
export function onJob(name: string, handler: (data: unknown) => unknown): Callback {
  return { path: `/job/${encodeURIComponent(name)}`, handle: async (body) => handler(asJson(body)) };
}
