import { describeIssues, type SchemaIssue } from "./schema.ts";

/** The sidecar answered with an error. */
export class DaprError extends Error {
  override name = "DaprError";
  /** HTTP status of the sidecar's answer; 0 when there was none. */
  readonly status: number;
  /** Dapr's code, such as `ERR_PUBSUB_NOT_FOUND`; empty when the answer named none. */
  readonly errorCode: string;

  constructor(status: number, errorCode: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
    this.errorCode = errorCode;
  }
}

/** The value was changed by someone else since its ETag was read: read it again and decide anew. */
export class EtagMismatch extends DaprError {
  override name = "EtagMismatch";
}

/** Nothing answered at the sidecar's address, or the connection broke before it answered. */
export class SidecarUnreachable extends DaprError {
  override name = "SidecarUnreachable";

  constructor(message: string, options?: ErrorOptions) {
    super(0, "", message, options);
  }
}

/** The called app did not answer within `timeout`. */
export class InvocationTimeout extends DaprError {
  override name = "InvocationTimeout";
  /** Milliseconds that were waited. */
  readonly timeout: number;

  constructor(target: string, timeout: number) {
    super(0, "", `${target} did not answer within ${timeout} ms`);
    this.timeout = timeout;
  }
}

/** The caller's AbortSignal fired; `cause` is the signal's reason. Its name is `AbortError`, as everywhere. */
export class InvocationAborted extends DaprError {
  override name = "AbortError";

  constructor(target: string, reason: unknown) {
    super(0, "", `The call to ${target} was aborted`, { cause: reason });
  }
}

/** Some events of a `publish` were not accepted. */
export class PublishFailed extends DaprError {
  override name = "PublishFailed";
  /** The ids of the events that were not accepted, with the broker's reason. */
  readonly failed: readonly { id: string; error: string }[];

  constructor(topic: string, failed: readonly { id: string; error: string }[]) {
    super(
      500,
      "ERR_PUBSUB_PUBLISH_MESSAGE",
      `${failed.length} events to ${topic} failed: ${failed[0]?.error}`,
    );
    this.failed = failed;
  }
}

/** What `onError` is told of an event that was given up, by its handler or because its data does not fit. */
export class EventDropped extends Error {
  override name = "EventDropped";
  readonly reason: string;

  constructor(reason: string) {
    super(`Dropped: ${reason}`);
    this.reason = reason;
  }
}

/** What is stored under a key does not fit the schema. */
export class InvalidState extends Error {
  override name = "InvalidState";
  readonly issues: readonly SchemaIssue[];

  constructor(key: string, issues: readonly SchemaIssue[]) {
    super(`The value of ${key} is not valid: ${describeIssues(issues)}`);
    this.issues = issues;
  }
}

/** Reads an error answer of the sidecar to its end. */
export async function errorOf(response: Response, what: string): Promise<DaprError> {
  const text = await response.text();
  const { errorCode, message } = readError(text);
  const reason = `${what}: ${message || `the sidecar answered ${response.status}`}`;
  return new DaprError(response.status, errorCode, reason);
}

function readError(text: string): { errorCode: string; message: string } {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return { errorCode: "", message: text.slice(0, 500) };
  }
  if (typeof body !== "object" || body === null) return { errorCode: "", message: text.slice(0, 500) };
  const { errorCode, message, error } = body as Record<string, unknown>;
  return {
    errorCode: typeof errorCode === "string" ? errorCode : "",
    message: typeof message === "string" ? message : typeof error === "string" ? error : "",
  };
}
