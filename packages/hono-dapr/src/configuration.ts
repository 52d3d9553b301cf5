import { type Client, call, discard } from "./client.ts";

/** One setting of a configuration store. */
export interface ConfigurationItem {
  value: string;
  version?: string;
  metadata?: Record<string, string>;
}

export type ConfigurationItems = Record<string, ConfigurationItem>;

/** A configuration store. */
export interface Configuration {
  /** The settings that are there; all of the store when `keys` is empty. */
  get(keys?: readonly string[]): Promise<ConfigurationItems>;
  /**
   * Calls `onChange` with what has changed, until `stop` is called. The app must have mounted
   * `sidecar.subscriptions()`: changes come in there.
   */
  watch(
    keys: readonly string[],
    onChange: (items: ConfigurationItems) => unknown,
  ): Promise<{ stop(): Promise<void> }>;
}

/** Who is to be told of changes, by the id that daprd gave the watch. */
export type Watchers = Map<string, (items: ConfigurationItems) => unknown>;

export function configurationStore(client: Client, store: string, watchers: Watchers): Configuration {
  const path = `/v1.0/configuration/${encodeURIComponent(store)}`;

  async function get(keys: readonly string[] = []): Promise<ConfigurationItems> {
    const response = await call(client, `Reading from ${store}`, path + keyQuery(keys));
    return response.status === 204 ? {} : ((await response.json()) as ConfigurationItems);
  }

  async function watch(keys: readonly string[], onChange: (items: ConfigurationItems) => unknown) {
    const response = await call(client, `Watching ${store}`, `${path}/subscribe${keyQuery(keys)}`);
    const { id } = (await response.json()) as { id: string };
    watchers.set(id, onChange);
    return {
      async stop() {
        watchers.delete(id);
        const unsubscribe = `${path}/${encodeURIComponent(id)}/unsubscribe`;
        await discard(await call(client, `Watching ${store} no longer`, unsubscribe));
      },
    };
  }

  return { get, watch };
}

const keyQuery = (keys: readonly string[]): string =>
  keys.length === 0 ? "" : `?${keys.map((key) => `key=${encodeURIComponent(key)}`).join("&")}`;
