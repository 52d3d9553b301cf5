import { type Client, call, discard, post, request } from "./client.ts";
import { DaprError, EtagMismatch, errorOf, InvalidState } from "./errors.ts";
import type { StandardSchemaV1 } from "./schema.ts";

/** A value, and the version of it that was read. */
export interface Stored<T> {
  value: T;
  etag: string;
}

export interface SetOptions {
  /** Only if the value is still the one that was read with this ETag, else `EtagMismatch`. */
  etag?: string;
  /** Only if nothing is stored under the key, else `EtagMismatch`. */
  ifAbsent?: boolean;
  /** Seconds until it is gone; -1: never. Default: as the component says; Redis keeps what an earlier `set` said. */
  ttl?: number;
}

export interface UpdateOptions {
  /** Seconds, as for `set`. */
  ttl?: number;
  /** How often to try when others change the same value. Default 20. */
  attempts?: number;
}

export interface StateOptions {
  /**
   * The store's component has encryption keys (`primaryEncryptionKey`). daprd then turns each value that it gets over HTTP
   * into text in its own way, which destroys all but texts: so values are sent as JSON text. No value may be a string.
   */
  encrypted?: boolean;
}

/** A state store, as one app sees it: Dapr puts the app id before every key. */
export interface State<T> {
  /** `null`: nothing is stored. Throws `InvalidState` when the value does not fit the schema. */
  get(key: string): Promise<Stored<T> | null>;
  /** Those that are there, by key. */
  getMany(keys: readonly string[]): Promise<Map<string, Stored<T>>>;
  set(key: string, value: T, options?: SetOptions): Promise<void>;
  /** Also when there is nothing. With `etag`: only that version, else `EtagMismatch`. */
  delete(key: string, options?: { etag?: string }): Promise<void>;
  /**
   * Reads, changes and writes, and begins anew when someone else was quicker, so that no change is lost. `change` may
   * run several times; it gives the new value, `null` to delete it, or `undefined` to leave it as it is.
   * Gives back what is stored in the end. Throws `EtagMismatch` when the attempts are used up.
   */
  update(
    key: string,
    change: (current: T | null) => Update<T> | Promise<Update<T>>,
    options?: UpdateOptions,
  ): Promise<T | null>;
}

export type Update<T> = T | null | undefined;

// Redis compares an ETag only with what is there, so one that no value ever has means "if nothing is there".
const NO_ETAG = "-1";

export function stateStore<T>(
  client: Client,
  store: string,
  schema: StandardSchemaV1<unknown, T>,
  { encrypted = false }: StateOptions = {},
): State<T> {
  const path = `/v1.0/state/${encodeURIComponent(store)}`;
  const keyPath = (key: string) => `${path}/${encodeURIComponent(key)}`;

  function sent(value: T): unknown {
    if (!encrypted) return value;
    if (typeof value === "string") throw new TypeError("An encrypted store keeps no value that is a string");
    return JSON.stringify(value);
  }

  async function read(key: string, raw: unknown, etag: string): Promise<Stored<T>> {
    // One that was not encrypted after all gives the text back as such.
    const value: unknown = encrypted && typeof raw === "string" ? JSON.parse(raw) : raw;
    const validated = schema["~standard"].validate(value);
    const result = validated instanceof Promise ? await validated : validated;
    if (result.issues) throw new InvalidState(key, result.issues);
    return { value: result.value, etag };
  }

  async function get(key: string): Promise<Stored<T> | null> {
    const response = await call(client, `Reading ${key} from ${store}`, keyPath(key));
    if (response.status === 204) return null;
    const etag = response.headers.get("etag") ?? "";
    return read(key, await response.json(), etag);
  }

  async function getMany(keys: readonly string[]): Promise<Map<string, Stored<T>>> {
    const found = new Map<string, Stored<T>>();
    if (keys.length === 0) return found;
    const response = await call(client, `Reading from ${store}`, `${path}/bulk`, post({ keys }));
    for (const { key, data, etag, error } of (await response.json()) as BulkItem[]) {
      if (error) throw new DaprError(500, "ERR_STATE_BULK_GET", `Reading ${key} from ${store}: ${error}`);
      if (data !== undefined) found.set(key, await read(key, data, etag ?? ""));
    }
    return found;
  }

  async function write(key: string, value: T, ttl: number | undefined, condition: object): Promise<void> {
    const metadata = ttl === undefined ? {} : { metadata: { ttlInSeconds: String(ttl) } };
    const response = await request(
      client,
      path,
      post([{ key, value: sent(value), ...metadata, ...condition }]),
    );
    if (!response.ok) throw mismatchOr(await errorOf(response, `Writing ${key} to ${store}`));
    await discard(response);
  }

  async function create(key: string, value: T, ttl: number | undefined): Promise<void> {
    try {
      return await write(key, value, ttl, { etag: NO_ETAG });
    } catch (error) {
      // Other stores take an ETag without a value for a mismatch, or for no ETag at all.
      const refused = error instanceof DaprError && (error.status === 409 || error.status === 400);
      if (!refused || (await get(key))) throw error;
      return write(key, value, ttl, { options: { concurrency: "first-write" } });
    }
  }

  async function set(key: string, value: T, { etag, ifAbsent, ttl }: SetOptions = {}): Promise<void> {
    if (ifAbsent) return create(key, value, ttl);
    return write(key, value, ttl, etag === undefined ? {} : { etag });
  }

  async function remove(key: string, { etag }: { etag?: string } = {}): Promise<void> {
    const headers: Record<string, string> = etag === undefined ? {} : { "if-match": etag };
    const response = await request(client, keyPath(key), { method: "DELETE", headers });
    if (!response.ok) throw mismatchOr(await errorOf(response, `Deleting ${key} from ${store}`));
    await discard(response);
  }

  async function update(
    key: string,
    change: (current: T | null) => Update<T> | Promise<Update<T>>,
    { ttl, attempts = 20 }: UpdateOptions = {},
  ): Promise<T | null> {
    for (let attempt = 1; ; attempt++) {
      const current = await get(key);
      const next = await change(current?.value ?? null);
      if (next === undefined) return current?.value ?? null;
      try {
        if (next !== null) await set(key, next, { ttl, etag: current?.etag, ifAbsent: !current });
        else if (current) await remove(key, { etag: current.etag });
        return next;
      } catch (error) {
        if (!(error instanceof EtagMismatch) || attempt >= attempts) throw error;
        await jitter(attempt);
      }
    }
  }

  return { get, getMany, set, delete: remove, update };
}

interface BulkItem {
  key: string;
  data?: unknown;
  etag?: string;
  error?: string;
}

const mismatchOr = (error: DaprError): DaprError =>
  error.status === 409 ? new EtagMismatch(409, error.errorCode, error.message) : error;

/** Lets those who want the same value come apart: up to 2 ms the first time, up to 50 ms later. */
const jitter = (attempt: number) =>
  new Promise<void>((resolve) => setTimeout(resolve, Math.random() * Math.min(2 ** attempt, 50)));
