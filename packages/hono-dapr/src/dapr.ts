import type { Hono } from "hono";
import { type Binding, outputBinding } from "./bindings.ts";
import { type Client, call, discard, type Fetch } from "./client.ts";
import { type Configuration, configurationStore, type Watchers } from "./configuration.ts";
import type { Callback, Subscription } from "./handlers.ts";
import { type ReadyOptions, untilReady } from "./health.ts";
import { type InvokeFetch, invoker } from "./invoke.ts";
import { type Jobs, jobsOf } from "./jobs.ts";
import { type Publisher, publisher } from "./publish.ts";
import type { StandardSchemaV1 } from "./schema.ts";
import { type Secrets, secretStore } from "./secrets.ts";
import { type State, type StateOptions, stateStore } from "./state.ts";
import { type SubscriptionsOptions, subscriptionsApp } from "./subscriptions.ts";

export interface DaprOptions {
  /** The sidecar's HTTP address. Default: `DAPR_HTTP_ENDPOINT`, else `http://127.0.0.1:<DAPR_HTTP_PORT or 3500>`. */
  endpoint?: string;
  /** Sent to the sidecar with every call. Default: `DAPR_API_TOKEN`. */
  apiToken?: string;
  /** Demanded from the sidecar with every delivery. Default: `APP_API_TOKEN`. */
  appToken?: string;
  /** The pub/sub component for what does not say otherwise. Default: `pubsub`. */
  pubsub?: string;
  /** The `source` of the events that are published. Default: `APP_ID`, else `DAPR_APP_ID`, else `app`. */
  appId?: string;
  /** The `traceparent` of what goes on right now; it is passed on with calls and events that bring none. */
  traceparent?: () => string | undefined;
  /** Default: the global one. */
  fetch?: Fetch;
}

/** The sidecar, as its app sees it. */
export interface Sidecar extends Publisher {
  readonly appId: string;
  /**
   * The routes for all that daprd delivers: `/dapr/subscribe` and one route a topic, input bindings, jobs and changed
   * configuration; guarded by the app's token. Types of events that nobody handles are taken and forgotten.
   *
   * @example
   * app.route("/", sidecar.subscriptions([on(OrderPlaced, reserve)]));
   */
  subscriptions(inbound: readonly (Subscription | Callback)[], options?: SubscriptionsOptions): Hono;
  fetch: InvokeFetch;
  /** The same sidecar, with this `traceparent` for calls and events that bring none. */
  traced(traceparent: string | undefined): Sidecar;
  state<T>(store: string, schema: StandardSchemaV1<unknown, T>, options?: StateOptions): State<T>;
  secrets(store: string): Secrets;
  binding(name: string): Binding;
  configuration(store: string): Configuration;
  readonly jobs: Jobs;
  /** What runs beside this app: components, subscriptions, version. */
  metadata(): Promise<SidecarMetadata>;
  /** Waits until the sidecar's APIs can be used; throws `SidecarUnreachable` when the time is up. */
  ready(options?: ReadyOptions): Promise<void>;
  /** Asks the sidecar to stop, in order. */
  shutdown(): Promise<void>;
}

export interface SidecarMetadata {
  id: string;
  runtimeVersion: string;
  components?: { name: string; type: string; version: string; capabilities?: string[] }[];
  subscriptions?: { pubsubname: string; topic: string; deadLetterTopic?: string; type: string }[];
  [more: string]: unknown;
}

/**
 * The sidecar beside this app. Everything comes from the environment as Dapr sets it, unless said otherwise here.
 *
 * @example
 * const sidecar = dapr();
 * await sidecar.publish(OrderPlaced, { orderId: "o-1" });
 * const stock = await sidecar.fetch("http://inventory/stock/85123A");
 */
export function dapr(options: DaprOptions = {}): Sidecar {
  const env = environment();
  const client: Client = {
    endpoint: (options.endpoint ?? env.DAPR_HTTP_ENDPOINT ?? local(env.DAPR_HTTP_PORT)).replace(/\/+$/, ""),
    apiToken: options.apiToken ?? env.DAPR_API_TOKEN,
    fetch: options.fetch ?? ((input, init) => fetch(input, init)),
  };
  const settings: Settings = {
    appId: options.appId ?? env.APP_ID ?? env.DAPR_APP_ID ?? "app",
    appToken: options.appToken ?? env.APP_API_TOKEN,
    pubsub: options.pubsub ?? "pubsub",
    traceparent: options.traceparent ?? (() => undefined),
    watchers: new Map(),
  };
  return sidecar(client, settings);
}

interface Settings {
  appId: string;
  appToken: string | undefined;
  pubsub: string;
  traceparent(): string | undefined;
  watchers: Watchers;
}

function sidecar(client: Client, settings: Settings): Sidecar {
  const { publish, publishEvents } = publisher(client, settings);
  return {
    appId: settings.appId,
    publish,
    publishEvents,
    fetch: invoker(client, settings.traceparent),
    subscriptions(inbound, options = {}) {
      const pubsub = options.pubsub ?? settings.pubsub;
      return subscriptionsApp(inbound, { ...settings, pubsub, publishEvents }, options);
    },
    traced: (traceparent) =>
      sidecar(client, { ...settings, traceparent: () => traceparent ?? settings.traceparent() }),
    state: (store, schema, options) => stateStore(client, store, schema, options),
    secrets: (store) => secretStore(client, store),
    binding: (name) => outputBinding(client, name),
    configuration: (store) => configurationStore(client, store, settings.watchers),
    jobs: jobsOf(client),
    async metadata() {
      const response = await call(client, "Reading the sidecar's metadata", "/v1.0/metadata");
      return (await response.json()) as SidecarMetadata;
    },
    ready: (options) => untilReady(client, options),
    async shutdown() {
      await discard(await call(client, "Stopping the sidecar", "/v1.0/shutdown", { method: "POST" }));
    },
  };
}

const local = (port = "3500") => `http://127.0.0.1:${port}`;

/** The environment where there is one, without a Node built-in. */
function environment(): Record<string, string | undefined> {
  const { process } = globalThis as { process?: { env?: Record<string, string | undefined> } };
  return process?.env ?? {};
}
