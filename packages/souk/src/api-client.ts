import { readFile } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";

/** The development client's file, as the shop writes it. */
interface DevClient {
  issuer: string;
  tokenEndpoint: string;
  clientId: string;
  clientSecret: string;
}

const tokenWithinMs = 15_000;

/** An answer that is not a success, with what it said. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly retryAfter: number | undefined,
  ) {
    super(message);
  }
}

export interface Answer<T> {
  status: number;
  body: T;
  headers: Headers;
}

export interface CallOptions {
  method?: string;
  /** Sent as JSON; a stream or a string is sent as it is. */
  body?: unknown;
  headers?: Record<string, string>;
  /** Sends no token. */
  guest?: boolean;
  /** Gives up when it is aborted. */
  signal?: AbortSignal;
}

/** The shop's public API, called as a client of it would: through the gateway, with a token of its own. */
export interface Api {
  readonly url: string;
  /** @throws {Refused} for any status of 400 and above */
  call<T>(path: string, options?: CallOptions): Promise<Answer<T>>;
  /** All items of a list, page by page. */
  all<T>(path: string): AsyncGenerator<T>;
}

/**
 * Opens the API of a shop with the client in `clientFile` (`.souk/dev-client.json`).
 * @throws {Error} when there is no such file: the shop has not been started here
 */
export async function openApi(clientFile: string, url?: string): Promise<Api> {
  const client = JSON.parse(
    await readFile(clientFile, "utf8").catch(() => {
      throw new Error(`There is no ${clientFile}: start the shop first (npm start)`);
    }),
  ) as DevClient;
  const base = (url ?? client.issuer).replace(/\/+$/, "");
  const tokenEndpoint = new URL(new URL(client.tokenEndpoint).pathname, base);
  let token: { value: string; until: number } | undefined;
  let asking: Promise<void> | undefined;

  async function authorise(): Promise<string> {
    if (!token || token.until < Date.now()) {
      asking ??= request().finally(() => {
        asking = undefined;
      });
      await asking;
    }
    if (!token) throw new Error("no token was given");
    return token.value;
  }

  async function request(): Promise<void> {
    const response = await fetch(tokenEndpoint, {
      method: "POST",
      headers: {
        authorization: `Basic ${btoa(`${encodeURIComponent(client.clientId)}:${encodeURIComponent(client.clientSecret)}`)}`,
        "content-type": "application/x-www-form-urlencoded",
      },
      body: "grant_type=client_credentials",
      signal: AbortSignal.timeout(tokenWithinMs),
    });
    if (!response.ok) throw await refusal(response, "asking for a token");
    const { access_token: value, expires_in: seconds } = (await response.json()) as {
      access_token: string;
      expires_in: number;
    };
    token = { value, until: Date.now() + (seconds - 30) * 1000 };
  }

  async function call<T>(
    path: string,
    { method = "GET", body, headers = {}, guest, signal }: CallOptions = {},
  ): Promise<Answer<T>> {
    const raw = typeof body === "string" || body instanceof ReadableStream || body instanceof Blob;
    const response = await fetch(base + path, {
      method,
      headers: {
        ...(guest ? {} : { authorization: `Bearer ${await authorise()}` }),
        ...(body !== undefined && !raw ? { "content-type": "application/json" } : {}),
        ...headers,
      },
      signal,
      ...(body === undefined ? {} : { body: raw ? (body as string | Blob) : JSON.stringify(body) }),
    });
    if (response.status >= 400) throw await refusal(response, `${method} ${path}`);
    const text = await response.text();
    return {
      status: response.status,
      body: (text ? JSON.parse(text) : undefined) as T,
      headers: response.headers,
    };
  }

  return {
    url: base,
    call,
    all: (path) => pages(call, path),
  };
}

async function* pages<T>(call: Api["call"], path: string): AsyncGenerator<T> {
  const separator = path.includes("?") ? "&" : "?";
  let cursor: string | null = null;
  do {
    const page: Answer<{ items: T[]; nextCursor: string | null }> = await call(
      `${path}${separator}limit=100${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`,
    );
    yield* page.body.items;
    cursor = page.body.nextCursor;
  } while (cursor !== null);
}

/**
 * An API whose reads are asked again, when the shop says to come back later or does not answer at all, for as long as
 * `patienceMs`. What changes something is for its caller to repeat, with an Idempotency-Key.
 */
export function patient(api: Api, patienceMs = 60_000): Api {
  async function call<T>(path: string, options: CallOptions = {}): Promise<Answer<T>> {
    const until = performance.now() + patienceMs;
    for (;;) {
      try {
        return await api.call<T>(path, options);
      } catch (error) {
        const later = !(error instanceof Refused) || [429, 503, 504].includes(error.status);
        const reads = (options.method ?? "GET") === "GET";
        if (!reads || !later || options.signal?.aborted || performance.now() > until) throw error;
        await pause(error instanceof Refused && error.retryAfter ? error.retryAfter * 1_000 : 200);
      }
    }
  }
  return { url: api.url, call, all: (path) => pages(call, path) };
}

async function refusal(response: Response, what: string): Promise<Refused> {
  const text = await response.text();
  const problem = (() => {
    try {
      return JSON.parse(text) as {
        code?: string;
        detail?: string;
        error?: string;
        error_description?: string;
      };
    } catch {
      return {};
    }
  })();
  const detail = problem.detail ?? problem.error_description ?? text.slice(0, 200);
  const retryAfter = Number(response.headers.get("retry-after") ?? Number.NaN);
  return new Refused(
    response.status,
    problem.code ?? problem.error ?? "",
    `${what}: ${response.status} ${detail}`,
    Number.isNaN(retryAfter) ? undefined : retryAfter,
  );
}
