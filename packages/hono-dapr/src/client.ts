import { errorOf, SidecarUnreachable } from "./errors.ts";
import { TOKEN_HEADER } from "./token.ts";

/** A function as the global `fetch`. */
export type Fetch = (input: string, init?: RequestInit) => Promise<Response>;

/** How the parts of this package reach the sidecar. */
export interface Client {
  /** Without a slash at its end. */
  endpoint: string;
  apiToken: string | undefined;
  fetch: Fetch;
}

/** What may be said of a call to the sidecar's own API. */
export interface CallOptions {
  signal?: AbortSignal;
}

const JSON_TYPE = { "content-type": "application/json" };

/** Calls the sidecar's API and hands back whatever it answers. */
export async function request(client: Client, path: string, init: RequestInit = {}): Promise<Response> {
  const headers: Record<string, string> = { ...(init.headers as Record<string, string> | undefined) };
  if (client.apiToken) headers[TOKEN_HEADER] = client.apiToken;
  try {
    return await client.fetch(client.endpoint + path, { ...init, headers });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw unreachable(client, error);
  }
}

/** As `request`, but an answer that is no success is thrown. */
export async function call(
  client: Client,
  what: string,
  path: string,
  init?: RequestInit,
): Promise<Response> {
  const response = await request(client, path, init);
  if (!response.ok) throw await errorOf(response, what);
  return response;
}

export const post = (body: unknown, options: CallOptions = {}): RequestInit => ({
  method: "POST",
  headers: JSON_TYPE,
  body: JSON.stringify(body),
  signal: options.signal,
});

/** Reads an answer that nobody needs to its end, so that its connection can be used again. */
export async function discard(response: Response): Promise<void> {
  if (response.body) await response.arrayBuffer();
}

/** `?metadata.a=1&metadata.b=2`, or nothing. */
export function metadataQuery(metadata: Record<string, string> | undefined): string {
  if (!metadata) return "";
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(metadata)) query.set(`metadata.${name}`, value);
  return query.size === 0 ? "" : `?${query}`;
}

export function unreachable(client: Client, cause: unknown): SidecarUnreachable {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new SidecarUnreachable(`The sidecar at ${client.endpoint} cannot be reached: ${reason}`, { cause });
}
