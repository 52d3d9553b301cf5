/** A customer's or a colleague's program: it asks again when no answer comes, and notes everything in the clients' log. */
import { setTimeout as pause } from "node:timers/promises";
import { type Api, Refused } from "../api-client.ts";
import type { AnswersLog } from "./answers.ts";

export interface Request {
  method?: "GET" | "POST" | "PUT" | "PATCH";
  path: string;
  body?: unknown;
  key?: string;
  guest?: boolean;
  headers?: Record<string, string>;
  /** Hangs up after so many milliseconds at the first try. */
  hangsUpAfter?: number;
}

/** `status` null: no answer came, and none was worth waiting for. */
export interface Reply<T> {
  status: number | null;
  /** The problem's code, when it was refused. */
  code: string;
  body: T | undefined;
  headers: Headers | undefined;
}

export interface Client {
  /** Asks until there is an answer that asking again would not change. */
  ask<T>(request: Request): Promise<Reply<T>>;
  /** How often an answer was none that counts, by what it was: `503`, `no answer`. */
  readonly again: Map<string, number>;
}

const patienceMs = 15_000;
const longestPauseMs = 2_000;

/** How long somebody goes on asking, or waiting. */
export interface Patience {
  /** Aborted: nobody does any more. */
  until: AbortSignal;
  /** Whether who began then (milliseconds since the epoch) has done so for long enough. */
  isOver(since: number): boolean;
}

/** @param isOver by default they ask until `until` is aborted */
export function client(
  api: Api,
  log: AnswersLog,
  until: AbortSignal,
  isOver: Patience["isOver"] = () => false,
): Client {
  const again = new Map<string, number>();

  async function once<T>(request: Request, first: boolean): Promise<Reply<T> & { retryAfter?: number }> {
    const { method = "GET", path, body, key, guest = false, headers } = request;
    const n = log.asked({
      method,
      path,
      body,
      who: guest ? "guest" : "staff",
      ...(key === undefined ? {} : { idempotencyKey: key }),
    });
    const signals = [until, AbortSignal.timeout((first && request.hangsUpAfter) || patienceMs)];
    try {
      const answer = await api.call<T>(path, {
        method,
        body,
        guest,
        headers: { ...headers, ...(key === undefined ? {} : { "idempotency-key": key }) },
        signal: AbortSignal.any(signals),
      });
      log.answered(n, answer.status, answer.body);
      return { ...answer, code: "" };
    } catch (error) {
      if (error instanceof Refused) {
        const { status, code, message, retryAfter } = error;
        log.answered(n, status, { code, detail: message });
        return { status, code, body: undefined, headers: undefined, retryAfter };
      }
      log.answered(n, null);
      return { status: null, code: "", body: undefined, headers: undefined };
    }
  }

  return {
    again,
    async ask<T>(request: Request): Promise<Reply<T>> {
      const began = Date.now();
      for (let time = 1; ; time++) {
        const reply = await once<T>(request, time === 1);
        if (isFinal(reply)) return reply;
        const what = reply.status === null ? "no answer" : `${reply.status} ${reply.code}`;
        again.set(what, (again.get(what) ?? 0) + 1);
        // Without a key nobody knows what became of the first request: it is not made a second time.
        if (request.method === "POST" && request.key === undefined) return reply;
        const wait = (reply.retryAfter ?? 0) * 1000 || Math.min(50 * 2 ** time, longestPauseMs);
        if (until.aborted || isOver(began)) return reply;
        await pause(wait, undefined, { signal: until }).catch(() => undefined);
        if (until.aborted) return reply;
      }
    },
  };
}

/** Whether asking again would bring the same. */
function isFinal({ status, code }: Reply<unknown>): boolean {
  if (status === null || status >= 500 || status === 429 || status === 408) return false;
  return code !== "in-progress";
}
