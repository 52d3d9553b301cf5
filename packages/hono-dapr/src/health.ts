import { type Client, discard, request } from "./client.ts";
import { SidecarUnreachable } from "./errors.ts";

export interface ReadyOptions {
  signal?: AbortSignal;
  /** Milliseconds to go on asking; 0 asks once. Default 60,000. */
  timeout?: number;
}

/** Waits until the sidecar's APIs can be used. It does not wait for the app: daprd itself waits for that. */
export async function untilReady(
  client: Client,
  { signal, timeout = 60_000 }: ReadyOptions = {},
): Promise<void> {
  const deadline = Date.now() + timeout;
  for (;;) {
    const reason = await notReady(client, signal);
    if (reason === null) return;
    if (Date.now() >= deadline) {
      throw new SidecarUnreachable(`The sidecar at ${client.endpoint} is not ready: ${reason}`);
    }
    await pause(Math.min(50, deadline - Date.now()), signal);
  }
}

/** `null` when it is ready, else why it is not. */
async function notReady(client: Client, signal: AbortSignal | undefined): Promise<string | null> {
  signal?.throwIfAborted();
  try {
    const response = await request(client, "/v1.0/healthz/outbound", { signal });
    if (response.ok) {
      await discard(response);
      return null;
    }
    return (await response.text()) || `it answered ${response.status}`;
  } catch (error) {
    if (error instanceof SidecarUnreachable) return error.message;
    throw error;
  }
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
