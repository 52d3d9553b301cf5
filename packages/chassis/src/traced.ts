import type { Change } from "drizzle-outbox";

/** A job's data as it is kept: with the trace of what caused the job. */
export interface Traced {
  data?: unknown;
  trace?: string;
}

/**
 * The change, with its events and jobs carrying the trace of what caused them.
 * @param given from outside: what is no text would make events that nobody can send
 */
export function traced(change: Change | undefined, given: unknown): Change | undefined {
  if (!change) return change;
  const trace = typeof given === "string" ? given : undefined;
  const { events, jobs } = change;
  return {
    ...change,
    events:
      trace === undefined
        ? events
        : events?.map((event) => ({ ...event, headers: { traceparent: trace, ...event.headers } })),
    jobs: jobs?.map((job) =>
      "cancel" in job ? job : { ...job, data: { data: job.data, trace } satisfies Traced },
    ),
  };
}
