import { type Client, unreachable } from "./client.ts";
import { InvocationAborted, InvocationTimeout } from "./errors.ts";
import { TOKEN_HEADER } from "./token.ts";

export interface InvokeInit extends RequestInit {
  /** Milliseconds until the answer's status and headers must be here. Its body may take longer: use `signal`. */
  timeout?: number;
}

/**
 * A `fetch` whose host is an app id: `http://inventory/stock/85123A`. Status, headers and body are the app's,
 * redirects are not followed, bodies stream both ways.
 * Throws `InvocationTimeout`, `InvocationAborted` (an `AbortError`) or `SidecarUnreachable`.
 */
export type InvokeFetch = (input: string | URL | Request, init?: InvokeInit) => Promise<Response>;

// What belongs to one connection, or would send the call to another app: `dapr-app-id` outranks the URL.
const NOT_PASSED_ON = [
  "dapr-app-id",
  "host",
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
  "expect",
  "te",
  "trailer",
];

export function invoker(client: Client, traceparent: () => string | undefined): InvokeFetch {
  return async function fetch(input, init = {}) {
    const request = input instanceof Request ? input : undefined;
    const address = request ? request.url : String(input);
    const { timeout, ...rest } = init;

    const headers = new Headers(init.headers ?? request?.headers);
    for (const name of NOT_PASSED_ON) headers.delete(name);
    if (namesAnApp(headers.get("authorization"))) headers.delete("authorization");
    if (client.apiToken) headers.set(TOKEN_HEADER, client.apiToken);
    if (!headers.has("traceparent")) {
      const current = traceparent();
      if (current) headers.set("traceparent", current);
    }

    const body = init.body ?? request?.body ?? undefined;
    const caller = init.signal ?? request?.signal ?? undefined;
    const timer = timeout === undefined ? undefined : startTimer(timeout);
    const signal = timer && caller ? AbortSignal.any([caller, timer.signal]) : (timer?.signal ?? caller);
    try {
      return await client.fetch(client.endpoint + methodPath(address), {
        ...rest,
        method: init.method ?? request?.method ?? "GET",
        headers,
        body,
        signal,
        redirect: "manual",
        ...(body instanceof ReadableStream && { duplex: "half" }),
      });
    } catch (error) {
      if (caller?.aborted) throw new InvocationAborted(address, caller.reason);
      if (timer?.signal.aborted) throw new InvocationTimeout(address, timeout ?? 0);
      throw unreachable(client, error);
    } finally {
      timer?.stop();
    }
  };
}

/**
 * The sidecar's path for an app's address. daprd decodes the path once before it passes it on, which would turn the
 * `%2F` of a segment into a separator, so every percent sign is encoded once more. The URL is parsed first: a `..`
 * must not climb out of the app into the sidecar's own API.
 */
export function methodPath(address: string): string {
  const url = new URL(address);
  // URL writes hosts in lower case; app ids may have capitals.
  const appId = /^[a-z]+:\/\/(?:[^/?#@]*@)?([^/?#:]+)/i.exec(address)?.[1] ?? url.hostname;
  // A percent sign that encodes nothing stands for itself; daprd could not send it on.
  const path = url.pathname.replace(/%(?![0-9a-f]{2})/gi, "%25").replaceAll("%", "%25");
  return `/v1.0/invoke/${encodeURIComponent(appId)}/method${path}${url.search}`;
}

/** daprd takes the user name `dapr-app-id` in Basic credentials for the name of the app to call. */
function namesAnApp(authorization: string | null): boolean {
  if (!authorization?.startsWith("Basic ")) return false;
  try {
    return /^dapr-app-id:/i.test(atob(authorization.slice("Basic ".length)));
  } catch {
    // Not base64: for the app to judge.
    return false;
  }
}

function startTimer(timeout: number): { signal: AbortSignal; stop(): void } {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), timeout);
  return { signal: controller.signal, stop: () => clearTimeout(timer) };
}
