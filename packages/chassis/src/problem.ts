import { StorageUnavailable } from "drizzle-outbox";
import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";
import { DaprError } from "hono-dapr";
import { UnknownKey } from "./keyring.ts";
import { STATUS_CODES } from "./status.ts";

/** One invalid place of a request: `pointer` is a JSON Pointer (RFC 6901) into the body. */
export interface FieldError {
  pointer: string;
  detail: string;
}

/** What `decide` answers when a command is refused. Plain data, so that a domain file imports nothing. */
export interface Rejection {
  /** Stable kebab-case code. */
  rejected: string;
  detail: string;
  errors?: FieldError[];
}

export interface ProblemOptions {
  code: string;
  detail?: string;
  errors?: FieldError[];
  headers?: Record<string, string>;
}

/** An answer of `application/problem+json` (RFC 9457), thrown from anywhere below a route. */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly errors: FieldError[] | undefined;
  readonly headers: Record<string, string>;

  constructor(status: number, { code, detail, errors, headers = {} }: ProblemOptions) {
    super(detail ?? code);
    this.status = status;
    this.code = code;
    this.errors = errors;
    this.headers = headers;
  }
}

export const notFound = (what: string): Problem =>
  new Problem(404, { code: "not-found", detail: `${what} does not exist` });

/** Unwraps a decision: its events, or whatever it came to; a rejection is thrown as a Problem for {@link problemResponse}. */
export function accepted<D extends object>(decision: D | Rejection): D {
  if ("rejected" in decision) throw new Rejected(decision);
  return decision;
}

/** A domain's refusal on its way to the edge, where the service's table gives it a status. */
export class Rejected extends Error {
  readonly rejection: Rejection;
  constructor(rejection: Rejection) {
    super(rejection.detail);
    this.rejection = rejection;
  }
}

/** The one mapping from an error to problem+json. Unknown errors become a 500 that says nothing of the inside. */
export function toProblem(error: unknown, statuses: Record<string, number> = {}): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof Rejected) {
    const { rejected, detail, errors } = error.rejection;
    return new Problem(statuses[rejected] ?? 409, { code: rejected, detail, errors });
  }
  const unavailable = StorageUnavailable.of(error);
  if (unavailable) return storageProblem(unavailable);
  if (error instanceof UnknownKey) {
    return new Problem(503, {
      code: "key-unavailable",
      detail: "What is kept here cannot be opened right now",
      headers: { "retry-after": "2" },
    });
  }
  if (error instanceof DaprError && !isOurs(error)) {
    return new Problem(503, {
      code: "service-unavailable",
      detail: "Something that this service needs is not to be had right now: try again later",
      headers: { "retry-after": "2" },
    });
  }
  if (error instanceof HTTPException) {
    return new Problem(error.status, {
      code: codeOf(error.status),
      detail: error.message || STATUS_CODES[error.status],
    });
  }
  return new Problem(500, { code: "internal", detail: "Something went wrong here. It has been logged." });
}

/**
 * The sidecar understood, and refuses: asking again as we did is no use. That it does not know a store (400) is different:
 * it has not got to it, or could not open it. 409 is a value that others keep changing.
 */
const isOurs = ({ status, errorCode }: DaprError): boolean =>
  status >= 400 &&
  status < 500 &&
  ![408, 409, 429].includes(status) &&
  !/NOT_(FOUND|CONFIGURED)$/.test(errorCode);

/** Seconds after which to ask again: who makes room, or mounts a disk anew, takes longer than a moment. */
const askAgainAfter = "5";

function storageProblem({ reason }: StorageUnavailable): Problem {
  const why =
    reason === "full" ? "The disk of this service is full" : "The database of this service is not to be had";
  return new Problem(503, {
    code: reason === "full" ? "storage-full" : "storage-unavailable",
    detail: `${why}: what you asked for counts as not done. Try again later, with an Idempotency-Key if it creates something.`,
    headers: { "retry-after": askAgainAfter },
  });
}

export function problemResponse(c: Context, problem: Problem, traceparent?: string): Response {
  const body = {
    type: `urn:souk:problem:${problem.code}`,
    title: STATUS_CODES[problem.status] ?? "Error",
    status: problem.status,
    detail: problem.message,
    // Behind a gateway the client's path is longer than ours.
    instance: (c.req.header("x-forwarded-prefix") ?? "") + c.req.path,
    code: problem.code,
    ...(problem.errors?.length ? { errors: problem.errors } : {}),
    ...(traceparent ? { traceId: traceparent.slice(3, 35) } : {}),
  };
  return new Response(JSON.stringify(body), {
    status: problem.status,
    headers: { "content-type": "application/problem+json", "cache-control": "no-store", ...problem.headers },
  });
}

function codeOf(status: number): string {
  return (STATUS_CODES[status] ?? "error").toLowerCase().replace(/[^a-z]+/g, "-");
}
