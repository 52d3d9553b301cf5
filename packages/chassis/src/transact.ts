import type { Change } from "drizzle-outbox";
import { Conflict } from "drizzle-outbox";
import type { Context } from "hono";
import { replay, type StoredAnswer } from "./idempotency.ts";
import type { Env } from "./kit.ts";
import { Problem } from "./problem.ts";

/** What a command leads to: a change to commit, and the answer to give once it is on disk. */
export interface Outcome {
  change?: Change;
  status: 200 | 201 | 202 | 204;
  body?: unknown;
  headers?: Record<string, string>;
}

const attempts = 100;

/**
 * Load, decide, commit, answer. `work` loads and decides; its change is committed; when another commit came
 * between, `work` is called again with the state of then. Nothing is answered that is not on disk.
 * @throws {Problem} what `work` throws; 503 when others came between a hundred times
 */
export async function transact<S>(c: Context<Env<S>>, work: () => Promise<Outcome>): Promise<Response> {
  const { unit, trace, idempotencyKey: key } = c.var;
  for (let attempt = 1; ; attempt++) {
    try {
      const outcome = await work();
      const answer = answerOf(outcome);
      const change = outcome.change ?? {};
      await unit.commit(
        key
          ? {
              ...change,
              writes: [
                ...(change.writes ?? []),
                unit.idempotency.keep(key.id, key.request, answer, key.owner),
              ],
            }
          : change,
        trace,
      );
      return new Response(answer.body, answer);
    } catch (error) {
      // Another replica may have taken the same key since we looked. Then its commit may also be what we were refused
      // for: what is new for the first is there already for the second.
      const before = key ? await unit.idempotency.find(key.id, key.request) : undefined;
      if (before !== undefined) return replay(before);
      if (!(error instanceof Conflict)) throw error;
      if (attempt >= attempts) throw contended();
    }
  }
}

/** Runs `work` again as long as others commit in between. */
export async function untilCommitted<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof Conflict) || attempt >= attempts) throw error;
    }
  }
}

function answerOf({ status, body, headers = {} }: Outcome): StoredAnswer {
  return body === undefined
    ? { status, headers, body: null }
    : {
        status,
        headers: { "content-type": "application/json", "cache-control": "no-store", ...headers },
        body: JSON.stringify(body),
      };
}

const contended = (): Problem =>
  new Problem(503, {
    code: "contended",
    detail: "Too many changes to the same thing at once: try again",
    headers: { "retry-after": "1" },
  });
