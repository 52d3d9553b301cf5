import type { Context } from "hono";
import type { Env, Kit } from "./kit.ts";
import { Watch } from "./watch.ts";

/** What has happened to a thing so far. */
export interface Progress {
  /** Every step from the first on; a step keeps its place for ever, so that its place is its id. */
  steps: unknown[];
  /** Nothing can follow any more. */
  ended: boolean;
}

export interface Following {
  /** Names the thing among those of its kind. */
  id: string;
  /** The versions of some things, by id; asked often, and for all that are followed at once. */
  versions(ids: string[]): Promise<ReadonlyMap<string, number>>;
  /** Reads the thing as the caller may see it; `undefined` when there is nothing left to see. */
  read(): Promise<(Progress & { version: number }) | undefined>;
}

/** Well below the half minute after which proxies give up a connection that is silent. */
const heartbeat = 5_000;
const reconnectAfter = 1_000;

const watches = new WeakMap<Kit<unknown>, Watch>();

/**
 * Answers with server-sent events (WHATWG HTML, section 9.2): a message a step, its id the step's place from 1 on.
 * `Last-Event-ID` resumes after a step, also at another replica or after a restart. A comment every five seconds keeps
 * the connection open. It ends with the last step; to whoever has that already it answers 204, which tells an
 * `EventSource` not to come back.
 */
export async function follow<S>(c: Context<Env<S>>, following: Following): Promise<Response> {
  const { kit } = c.var;
  const first = await following.read();
  const from = resumedAt(c.req.header("last-event-id"), first?.steps.length ?? 0);
  if (first === undefined || (first.ended && from === first.steps.length))
    return new Response(null, { status: 204, headers: { "cache-control": "no-store" } });

  const watch = watches.get(kit) ?? new Watch(following.versions);
  watches.set(kit, watch);
  const over = new AbortController();
  const leave = (): void => over.abort();
  const signals = [kit.closing, c.req.raw.signal];
  for (const signal of signals) signal.addEventListener("abort", leave, { once: true });
  const encoder = new TextEncoder();
  let cancelled = false;

  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      const say = (text: string): void => {
        if (!over.signal.aborted) controller.enqueue(encoder.encode(text));
      };
      const beat = setInterval(() => say(": still here\n\n"), heartbeat);
      say(`retry: ${reconnectAfter}\n\n`);
      void tell(say)
        .catch((error: unknown) => {
          kit.log.warn({ err: String(error), trace: c.var.trace }, "a follower was left: it will come back");
        })
        .finally(() => {
          clearInterval(beat);
          for (const signal of signals) signal.removeEventListener("abort", leave);
          if (!cancelled) controller.close();
        });
    },
    cancel() {
      cancelled = true;
      leave();
    },
  });

  async function tell(say: (text: string) => void): Promise<void> {
    let told = from;
    for (let now = first; now !== undefined && !over.signal.aborted; now = await following.read()) {
      for (; told < now.steps.length; told++)
        say(`id: ${told + 1}\ndata: ${JSON.stringify(now.steps[told])}\n\n`);
      if (now.ended) return;
      await watch.changed(following.id, now.version, over.signal);
    }
  }

  return new Response(body, {
    headers: {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store",
      // For proxies that would collect what belongs to be seen at once.
      "x-accel-buffering": "no",
    },
  });
}

/** How many steps the caller has; one that names a step that there is not begins anew. */
function resumedAt(header: string | undefined, steps: number): number {
  const at = /^\d{1,9}$/.test(header ?? "") ? Number(header) : 0;
  return at <= steps ? at : 0;
}
