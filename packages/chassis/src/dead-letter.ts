import type { DeadLetterStatus, KeptDeadLetter } from "drizzle-outbox";
import { type CloudEvent, parseTraceparent } from "hono-dapr";
import * as v from "valibot";
import { line, lines } from "./text.ts";

const statuses = ["dead", "replaying", "resolved", "discarded"] as const satisfies DeadLetterStatus[];
const time = v.pipe(
  v.string(),
  v.isoTimestamp(),
  v.check((given) => !Number.isNaN(Date.parse(given)), "a time that there is"),
);

export const Query = v.strictObject({
  limit: v.optional(v.string()),
  cursor: v.optional(v.string()),
  status: v.optional(v.picklist(statuses)),
  topic: v.optional(line(255)),
  type: v.optional(line(255)),
});

/** Which letters are to be replayed: all of a topic, of a type, of before a time, or simply all. */
export const Selection = v.strictObject({
  topic: v.optional(line(255)),
  type: v.optional(line(255)),
  before: v.optional(time),
});

export const Discard = v.strictObject({
  note: lines(1_000),
});

const Step = v.object({
  status: v.picklist(statuses),
  at: v.string(),
  reason: v.optional(v.string()),
  by: v.optional(v.string()),
  note: v.optional(v.string()),
});

export const Summary = v.object({
  id: v.string(),
  service: v.string(),
  topic: v.string(),
  type: v.string(),
  subject: v.optional(v.string()),
  status: v.picklist(statuses),
  reason: v.string(),
  /** Since when it has this status. */
  since: v.string(),
  replays: v.number(),
  traceId: v.optional(v.string()),
});

export const Letter = v.object({ ...Summary.entries, event: v.unknown(), history: v.array(Step) });
export const List = v.object({ items: v.array(Summary), nextCursor: v.nullable(v.string()) });
export const Replayed = v.object({ replayed: v.number() });

export function summary(letter: KeptDeadLetter, service: string): v.InferOutput<typeof Summary> {
  const { id, topic, type, status, reason, at, history } = letter;
  const { subject, traceparent } = letter.event as Partial<CloudEvent>;
  const trace = typeof traceparent === "string" ? parseTraceparent(traceparent) : null;
  return {
    id,
    service,
    topic,
    type,
    ...(typeof subject === "string" ? { subject } : {}),
    status,
    reason,
    since: new Date(at).toISOString(),
    replays: history.filter((step) => step.status === "replaying").length,
    ...(trace ? { traceId: trace.traceId } : {}),
  };
}

export function view(letter: KeptDeadLetter, service: string): v.InferOutput<typeof Letter> {
  const history = letter.history.map((step) => ({ ...step, at: new Date(step.at).toISOString() }));
  return { ...summary(letter, service), event: letter.event, history };
}

/** What a letter looks like once a step is committed. */
export function after(
  letter: KeptDeadLetter,
  step: { status: DeadLetterStatus; by: string; note?: string },
  { now, config }: { now(): number; config: { name: string } },
) {
  const at = now();
  const history = [...letter.history, { ...step, at }];
  return view({ ...letter, status: step.status, at, history }, config.name);
}
