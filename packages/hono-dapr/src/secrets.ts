import { type Client, call } from "./client.ts";
import { DaprError } from "./errors.ts";

/** A secret store. */
export interface Secrets {
  /** The value of a secret. Throws `DaprError`: 403 when the app may not read it, 404 or 500 when there is none. */
  get(name: string): Promise<string>;
  /** The values of a secret that has several, by name. */
  values(name: string): Promise<Record<string, string>>;
}

export function secretStore(client: Client, store: string): Secrets {
  async function values(name: string): Promise<Record<string, string>> {
    const path = `/v1.0/secrets/${encodeURIComponent(store)}/${encodeURIComponent(name)}`;
    const response = await call(client, `Reading the secret ${name} from ${store}`, path);
    return response.status === 204 ? {} : ((await response.json()) as Record<string, string>);
  }

  async function get(name: string): Promise<string> {
    const all = await values(name);
    const known = Object.values(all);
    const value = all[name] ?? (known.length === 1 ? known[0] : undefined);
    // The store of environment variables answers with an empty value for one that is not set.
    if (value) return value;
    throw new DaprError(404, "ERR_SECRET_GET", `The secret ${name} of ${store} has no single value`);
  }

  return { get, values };
}
