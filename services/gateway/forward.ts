import { type Env, isFrom, notFrom, Problem } from "chassis";
import type { Context } from "hono";
import { InvocationAborted, InvocationTimeout, SidecarUnreachable } from "hono-dapr";
import { addressOf } from "./addresses.ts";
import type { Turn } from "./admission.ts";
import { bodyOf, untilRead } from "./bodies.ts";
import type { Answer } from "./cache.ts";
import type { Crowd } from "./crowd.ts";
import { headersBack, headersOnward } from "./headers.ts";
import type { Lanes } from "./lanes.ts";
import { network } from "./limiter.ts";
import type { Way } from "./ways.ts";

// Reads take milliseconds; a change may have to wait for its turn.
const patience = { reading: 10_000, changing: 15_000 };
/** Bytes of a body that anybody may send. */
const usual = 1024 * 1024;

/** A request on its way to a service. */
export interface Onward {
  /** The service's own path, with the query. */
  target: string;
  /** Headers besides those that every request carries on. */
  headers?: Record<string, string>;
  /** What is sent in the place of the client's body: JSON. */
  body?: string;
  /** Sends no header of the client's but what the answer cannot depend on. */
  anonymous?: boolean;
}

/**
 * Sends a request to the service that a way leads to, and gives its answer as it is. It is sent once, whatever
 * happens: a POST that got no answer may have had its effect.
 * @throws {Problem} 400 for a header that cannot be sent on, 503 when the service cannot be reached or has too much
 * to do, 504 when it does not answer in time, 502 when what answers is not the service
 */
export async function forward<S extends { lanes: Lanes; crowd: Crowd }>(
  c: Context<Env<S>>,
  way: Way,
  { target, headers, anonymous, body: given }: Onward,
): Promise<Response> {
  const { kit } = c.var;
  const reading = c.req.method === "GET" || c.req.method === "HEAD";
  // What is sent on as it comes has few places: they are not for whoever likes to sit there.
  if ((way.most ?? 0) > usual && c.var.caller.kind === "guest") throw tokenless();
  // It may be silent for longer than others: its own patience ends it.
  if (way.patience !== undefined) c.env?.hold?.(0);
  const carried = { ...headersOnward(c, way, anonymous), ...headers };
  // Before its turn: a client that takes its time must not take up anybody's.
  const body = reading ? undefined : (given ?? (await bodyOf(c.req.raw)));
  const streams = body instanceof ReadableStream;
  const turn = await kit.store.lanes.enter({
    way,
    method: c.req.method,
    streams,
    // What others may be waiting for as well is asked for whoever is left.
    ...(anonymous ? {} : { gone: () => c.req.raw.signal.aborted }),
  });
  const sent = performance.now();
  // What may take its time says nothing about how busy the service is; nor does what we are late with ourselves.
  const took = () =>
    way.patience === undefined
      ? Math.max(0, performance.now() - sent - kit.store.lanes.lag.value)
      : undefined;
  try {
    const limit = way.patience ?? (reading ? patience.reading : patience.changing);
    const answer = await kit.sidecar.fetch(`http://${way.service}${target}`, {
      method: reading ? "GET" : c.req.method,
      headers: carried,
      body,
      timeout: limit,
      // Who stops listening must not leave a stream open behind them; anything shorter ends by itself.
      ...(way.follows ? { signal: c.req.raw.signal } : {}),
    });
    await refuseSidecars(answer, way);
    if (way.follows) return followed(c, answer, turn);
    turn.over(took());
    return answer;
  } catch (error) {
    kit.log.warn(
      { service: way.service, trace: c.var.trace, err: String(error) },
      "a service did not answer",
    );
    const problem = problemOf(error, way, reading);
    turn.over(problem instanceof Problem && problem.status === 504 ? took() : undefined);
    throw problem;
  }
}

/**
 * As {@link forward}, for an answer that is wanted as a whole.
 * @throws {Problem} also when the answer breaks off or does not come to an end in time
 */
export async function forwardWhole<S extends { lanes: Lanes; crowd: Crowd }>(
  c: Context<Env<S>>,
  way: Way,
  onward: Onward,
): Promise<Answer> {
  const answer = await forward(c, way, onward);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(timedOut(way, "")), way.patience ?? patience.reading);
  });
  try {
    const body = await Promise.race([answer.arrayBuffer(), late]);
    return { status: answer.status, headers: headersBack(answer, way), body };
  } catch (error) {
    throw error instanceof Problem ? error : unavailable(way, "");
  } finally {
    clearTimeout(timer);
  }
}

/** An answer that keeps its turn at the service, and its client's place here, until nobody listens any more. */
function followed<S extends { crowd: Crowd }>(c: Context<Env<S>>, answer: Response, turn: Turn): Response {
  const { crowd } = c.var.kit.store;
  const who = network(addressOf(c));
  crowd.stays.add(c.req.raw);
  return untilRead(answer, () => {
    turn.over();
    crowd.leave(who);
  });
}

/** The answer as the client gets it. */
export async function passBack<S>(c: Context<Env<S>>, way: Way, answer: Response): Promise<Response> {
  const headers = headersBack(answer, way);
  if (c.req.method === "HEAD") {
    await answer.body?.cancel();
    return new Response(null, { status: answer.status, headers });
  }
  return new Response(answer.body, { status: answer.status, headers });
}

/** A sidecar answers in place of a service that it cannot reach; what it says is not for clients. */
async function refuseSidecars(answer: Response, { service, path, pages }: Way): Promise<void> {
  if (answer.status < 400) {
    if (isFrom(service, answer)) return;
    throw notFrom(service, answer);
  }
  const type = answer.headers.get("content-type") ?? "";
  if (type.startsWith("application/problem+json")) return;
  // A page that says that something failed is a service's own: sidecars make no pages.
  if (pages && type.startsWith("text/html")) return;
  // Refusals of the OpenID Provider have a form of their own (RFC 6749); those of the API of users have ours.
  if (service === "identity" && !path.startsWith("/api/") && answer.status < 500) return;
  const text = await answer.text();
  throw new SidecarRefused(answer.status, text);
}

class SidecarRefused extends Error {
  readonly status: number;
  constructor(status: number, text: string) {
    super(text.slice(0, 1_000));
    this.status = status;
  }
}

const tokenless = (): Problem =>
  new Problem(401, {
    code: "unauthenticated",
    detail: "So long a body needs a token",
    headers: { "www-authenticate": 'Bearer realm="souk"' },
  });

function timedOut({ service }: Way, unsure: string): Problem {
  return new Problem(504, {
    code: "timed-out",
    detail: `The ${service} service did not answer in time.${unsure}`,
  });
}

function unavailable({ service }: Way, unsure: string): Problem {
  return new Problem(503, {
    code: "service-unavailable",
    detail: `The ${service} service cannot be reached right now.${unsure}`,
    headers: { "retry-after": "2" },
  });
}

function problemOf(error: unknown, way: Way, reading: boolean): unknown {
  const unsure = reading
    ? ""
    : " What you asked for may have happened: an Idempotency-Key makes it safe to repeat.";
  if (error instanceof InvocationTimeout) return timedOut(way, unsure);
  if (error instanceof SidecarUnreachable) return unavailable(way, unsure);
  if (error instanceof InvocationAborted)
    return new Problem(503, { code: "aborted", detail: "The client went away" });
  if (error instanceof SidecarRefused) {
    // On the way inside a request grows by some headers; one that was just short enough here is too long there.
    if (error.status === 431) {
      return new Problem(431, {
        code: "headers-too-large",
        detail: "The address and the headers are too long together",
      });
    }
    if (/timeout|deadline exceeded/i.test(error.message)) return timedOut(way, unsure);
    if (/ERR_DIRECT_INVOKE|ERR_HEALTH_NOT_READY/.test(error.message) && error.status >= 500)
      return unavailable(way, unsure);
    return new Problem(502, {
      code: "bad-answer",
      detail: `The ${way.service} service did not answer as it should.${unsure}`,
    });
  }
  return error;
}
