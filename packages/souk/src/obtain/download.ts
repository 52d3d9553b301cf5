import { createHash } from "node:crypto";
import { createReadStream, statSync } from "node:fs";
import { open } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";
import { PassedOver } from "./passed-over.ts";
import type { Reporter } from "./types.ts";

/** In milliseconds: how long to wait for a server to answer, for a download to go on, between tries; how often to report. */
export interface Patience {
  answer: number;
  stall: number;
  retry: number;
  progress: number;
}

export const patience: Patience = { answer: 5_000, stall: 20_000, retry: 500, progress: 100 };

interface Fetching {
  signal?: AbortSignal;
  patience: Patience;
}

/** A small text, or null when the server says that there is none. Throws PassedOver when it cannot be had. */
export async function fetchText(url: string, options: Fetching): Promise<string | null> {
  const { response, watch } = await request(url, {}, options);
  try {
    if (response.status === 404) return null;
    if (!response.ok) throw new PassedOver(`${url} answers ${response.status}`);
    return await response.text();
  } catch (error) {
    throw explained(error, url, options.signal);
  } finally {
    watch.stop();
  }
}

/**
 * Downloads into `file`, going on where an earlier attempt was cut off. A lost connection is taken up again three
 * times; then PassedOver is thrown and what came so far stays for the next attempt.
 */
export async function download(
  url: string,
  file: string,
  options: Fetching & { report: Reporter },
): Promise<void> {
  for (let tries = 1; ; tries++) {
    const before = sizeOf(file);
    try {
      return await downloadOnce(url, file, options);
    } catch (error) {
      const lost = explained(error, url, options.signal);
      // A server that cannot be reached at all is given up at once, one that was there a moment ago is not.
      if (!(lost instanceof LostConnection) || tries > 3) throw lost;
      const kept = sizeOf(file) - before;
      options.report.step(`${url}: ${lost.message} (${kept} bytes further); going on from there`);
      await pause(options.patience.retry * 2 ** (tries - 1), undefined, { signal: options.signal });
    }
  }
}

/** The connection ended in the middle. */
class LostConnection extends PassedOver {}

async function downloadOnce(
  url: string,
  file: string,
  options: Fetching & { report: Reporter },
): Promise<void> {
  const have = sizeOf(file);
  const { response, watch } = await request(url, have > 0 ? { range: `bytes=${have}-` } : {}, options);
  try {
    // Nothing is left to send: the caller's checksum tells whether what is here is the whole.
    if (response.status === 416) return;
    if (!response.ok || !response.body) throw new PassedOver(`${url} answers ${response.status}`);
    const goesOn =
      response.status === 206 && response.headers.get("content-range")?.startsWith(`bytes ${have}-`);
    const start = goesOn ? have : 0;
    const length = Number(response.headers.get("content-length") ?? 0);
    const total = length > 0 ? start + length : 0;
    const target = await open(file, goesOn ? "a" : "w");
    try {
      let done = start;
      let said = 0;
      for await (const chunk of response.body) {
        watch.alive();
        await target.write(chunk);
        done += chunk.byteLength;
        if (Date.now() - said >= options.patience.progress) {
          options.report.progress(done, total, "bytes");
          said = Date.now();
        }
      }
      if (total > 0 && done < total) throw new LostConnection("the connection ended early");
      options.report.progress(done, done, "bytes");
    } catch (error) {
      if (error instanceof PassedOver || options.signal?.aborted) throw error;
      throw new LostConnection(`the connection was lost (${reasonOf(error)})`);
    } finally {
      await target.close();
    }
  } finally {
    watch.stop();
  }
}

/** Sends a request; `watch` ends it when its answer, or the next piece of it, does not come in time. */
async function request(url: string, headers: Record<string, string>, { signal, patience }: Fetching) {
  signal?.throwIfAborted();
  const late = new AbortController();
  const stop = () => late.abort(signal?.reason);
  signal?.addEventListener("abort", stop, { once: true });
  let timer: NodeJS.Timeout;
  const wait = (ms: number) => {
    clearTimeout(timer);
    timer = setTimeout(() => late.abort(new Error(`nothing came for ${ms / 1000} s`)), ms);
  };
  const watch = {
    alive: () => wait(patience.stall),
    stop: () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
    },
  };
  wait(patience.answer);
  try {
    const init = { headers: { "accept-encoding": "identity", ...headers }, signal: late.signal };
    const response = await fetch(url, init);
    watch.alive();
    return { response, watch };
  } catch (error) {
    watch.stop();
    throw explained(error, url, signal);
  }
}

function explained(error: unknown, url: string, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted) return signal.reason;
  if (error instanceof PassedOver) return error;
  return new PassedOver(`${new URL(url).host} cannot be reached (${reasonOf(error)})`);
}

const reasonOf = (error: unknown) => {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return code || (error instanceof Error ? error.message : String(error));
};

const sizeOf = (file: string) => statSync(file, { throwIfNoEntry: false })?.size ?? 0;

/** Of a file, in hexadecimal. */
export async function sha256(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file)) hash.update(chunk);
  return hash.digest("hex");
}
