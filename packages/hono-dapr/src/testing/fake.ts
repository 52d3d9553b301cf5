import { Hono } from "hono";
import type { Fetch } from "../client.ts";
import { dapr, type Sidecar } from "../dapr.ts";
import type { CloudEvent, EventOptions, EventType } from "../event.ts";
import { sameText, TOKEN_HEADER } from "../token.ts";
import { problem } from "./answers.ts";
import { type Bindings, bindingsApi } from "./bindings-api.ts";
import { Broker, type Declared, type Lost, type Retries } from "./broker.ts";
import { type TestClock, testClock } from "./clock.ts";
import { invoke } from "./invocation.ts";
import { jobsApi, type ScheduledJob } from "./jobs-api.ts";
import { type ApiEnv, pubsubApi } from "./pubsub-api.ts";
import { type Calls, type Denial, type FaultOptions, Rules } from "./rules.ts";
import { StateStore } from "./stores.ts";
import { configurationApi, type SecretStores, secretsApi, stateApi, type Watch } from "./stores-api.ts";
import { Work } from "./work.ts";

export interface FakeOptions {
  /** How failed deliveries are repeated. Default: three times, at once. */
  retries?: Partial<Retries>;
  /** Names of the pub/sub components. Default: `pubsub`. */
  pubsub?: readonly string[];
  /** Names of the state stores. Default: `state`. */
  state?: readonly string[];
  /** Secret stores and what is in them. Default: an empty `secrets`. */
  secrets?: SecretStores;
  /** Configuration stores and what is in them. Default: an empty `configuration`. */
  configuration?: Record<string, Record<string, string>>;
  /** Output bindings. What is thrown comes out as the component's error. */
  bindings?: Bindings;
  /** Where the clock starts, in milliseconds since the epoch. Default: now. */
  now?: number;
}

/** An app that can be put beside a sidecar: a Hono, or anything with such a `fetch`. */
export interface App {
  fetch(request: Request): Response | Promise<Response>;
}

/** Dapr in memory: a broker, stores, and a sidecar for every app. */
export interface FakeSidecar {
  /** The sidecar of the app, for its code. Nothing is delivered until the app is started. */
  sidecar(appId: string): Sidecar;
  /** What `sidecar(appId)` calls the sidecar with, for a `dapr()` with other options. */
  fetch(appId: string): Fetch;
  /** The DAPR_API_TOKEN that the app's sidecar asks for. */
  apiToken(appId: string): string;
  /** Puts the app beside its sidecar: it can be called, and is given what it subscribes to, from the beginning. */
  start(appId: string, app: App): Promise<void>;
  /** Takes the app away; what is not delivered waits for its next start. */
  stop(appId: string): void;
  /** Publishes from outside, as the app `test`. */
  publish<T, Input>(
    type: EventType<T, Input>,
    data: Input | readonly Input[],
    options?: EventOptions,
  ): Promise<void>;
  /** Gives an app events again that it was given before. */
  redeliver(appId: string, topic: string, ids?: readonly string[]): Promise<void>;
  /** Waits until all that is due is delivered and answered. Throws what would have made daprd crash. */
  settle(): Promise<void>;
  /** All that was published to a topic, the dead letters among them, in order. */
  events(topic: string, pubsub?: string): CloudEvent[];
  /** Puts a text into a topic as it is, as a publisher that is no Dapr app may. */
  put(topic: string, text: string, pubsub?: string): void;
  /** Events that were given up without dead letters. */
  readonly lost: readonly Lost[];
  /** The time of the sidecars: retries, expiry, jobs. */
  readonly clock: TestClock;
  fault(options?: FaultOptions): { restore(): void };
  deny(denial: Denial): { restore(): void };
  /** Makes an app deny by default: from now on, only calls that are allowed reach it. */
  allow(calls: Calls): { restore(): void };
  /** Sets a value of a configuration store and tells those who watch it. */
  configure(store: string, key: string, value: string): Promise<void>;
  /** Sets a value of a configuration store behind the back of those who watch it. `""` unsets it. */
  set(store: string, key: string, value: string): void;
  /** Sets off an input binding of an app; gives the app's answer. */
  trigger(appId: string, binding: string, data?: unknown): Promise<Response>;
}

interface Beside {
  app: App | undefined;
  apiToken: string;
  appToken: string;
}

/**
 * Starts a Dapr in memory.
 *
 * @example
 * const fake = fakeSidecar();
 * await fake.start("inventory", inventory(fake.sidecar("inventory")));
 * await fake.publish(OrderPlaced, { orderId: "o-1" });
 * await fake.settle();
 * expect(fake.events("inventory")).toMatchObject([{ type: "stock.reserved" }]);
 */
export function fakeSidecar(options: FakeOptions = {}): FakeSidecar {
  const work = new Work();
  const { clock, timers } = testClock(options.now ?? Date.now(), () => work.settle());
  const broker = new Broker(work, timers, { max: 3, interval: 0, ...options.retries });
  const pubsubs = options.pubsub ?? ["pubsub"];
  const stateStores = new Map((options.state ?? ["state"]).map((name) => [name, new StateStore(timers)]));
  const secretStores = options.secrets ?? { secrets: {} };
  const settings = structuredClone(options.configuration ?? { configuration: {} });
  const apps = new Map<string, Beside>();
  const rules = new Rules();
  const watches = new Map<string, Watch>();
  const jobs = new Map<string, ScheduledJob>();

  function beside(appId: string): Beside {
    const known = apps.get(appId);
    if (known) return known;
    const fresh = { app: undefined, apiToken: crypto.randomUUID(), appToken: crypto.randomUUID() };
    apps.set(appId, fresh);
    return fresh;
  }

  function fetchOf(appId: string): Fetch {
    const api = daprApi(appId);
    return (input, init) => abortable(serve(appId, api, input, init), init?.signal);
  }

  function sidecar(appId: string): Sidecar {
    const { apiToken, appToken } = beside(appId);
    const endpoint = `http://${encodeURIComponent(appId)}.sidecar`;
    return dapr({ appId, apiToken, appToken, endpoint, fetch: fetchOf(appId) });
  }

  async function serve(
    appId: string,
    api: Hono<ApiEnv>,
    input: string,
    init: RequestInit = {},
  ): Promise<Response> {
    init.signal?.throwIfAborted();
    const request = new Request(input, init);
    const { pathname } = new URL(input);
    const name = /^\/v1\.0[^/]*\/([^/]+)/.exec(pathname)?.[1] ?? "";
    const open = request.method === "GET" && pathname.startsWith("/v1.0/healthz");
    const token = request.headers.get(TOKEN_HEADER) ?? "";
    if (!open && !sameText(token, beside(appId).apiToken))
      return new Response("invalid api token\n", { status: 401 });
    request.headers.delete(TOKEN_HEADER);

    const fault = rules.takeFault(appId, name);
    const { as = "unreachable" } = fault ?? {};
    if (fault && as === "unreachable") throw new TypeError("The fake sidecar is told to be unreachable");
    if (fault && typeof as === "object" && "status" in as) {
      return problem(as.status, as.errorCode ?? "ERR_FAULT", "The fake sidecar is told to fail");
    }
    const response = await api.fetch(request, {
      refuse: typeof as === "object" && "events" in as ? as.events : null,
    });
    if (fault && as === "lost-answer") throw new TypeError("The fake sidecar is told to lose the answer");
    return response;
  }

  function toApp(appId: string, path: string, init: RequestInit): Promise<Response> {
    const { app, appToken } = beside(appId);
    if (!app) return Promise.reject(new Error(`${appId} is not running`));
    const headers = new Headers(init.headers);
    headers.set(TOKEN_HEADER, appToken);
    return Promise.resolve(app.fetch(new Request(`http://127.0.0.1${path}`, { ...init, headers })));
  }

  const isRunning = (appId: string): boolean => beside(appId).app !== undefined;

  /** The HTTP API of the sidecar of one app. */
  function daprApi(appId: string): Hono<ApiEnv> {
    return new Hono<ApiEnv>()
      .route("/", pubsubApi(appId, { broker, timers, rules, pubsubs }))
      .route("/", stateApi(appId, stateStores))
      .route("/", secretsApi(appId, secretStores, rules))
      .route("/", bindingsApi(options.bindings ?? {}))
      .route("/", configurationApi(appId, settings, watches))
      .route("/", jobsApi(appId, { timers, work, jobs, isRunning, toApp }))
      .all("/v1.0/invoke/*", (c) => invoke(appId, c.req.raw, { rules, isRunning, toApp }))
      .get("/v1.0/healthz/:outbound?", (c) => c.body(null, 204))
      .get("/v1.0/metadata", (c) => c.json({ id: appId, runtimeVersion: "fake" }))
      .post("/v1.0/shutdown", (c) => c.body(null, 204));
  }

  async function start(appId: string, app: App): Promise<void> {
    beside(appId).app = app;
    const response = await toApp(appId, "/dapr/subscribe", { method: "GET" });
    if (response.status === 404) return;
    if (!response.ok) throw new Error(`${appId} answered ${response.status} to /dapr/subscribe`);
    for (const declared of (await response.json()) as Declared[]) {
      broker.subscribe(appId, declared, (path, contentType, body) =>
        toApp(appId, path, { method: "POST", headers: { "content-type": contentType }, body }),
      );
    }
  }

  function set(store: string, key: string, value: string): void {
    const known = settings[store];
    if (!known) throw new Error(`There is no configuration store ${store}`);
    known[key] = value;
  }

  return {
    sidecar,
    fetch: fetchOf,
    apiToken: (appId) => beside(appId).apiToken,
    start,
    stop(appId) {
      beside(appId).app = undefined;
      broker.unsubscribe(appId);
    },
    publish: (type, data, more) => sidecar("test").publish(type, data, more),
    async redeliver(appId, topic, ids) {
      broker.redeliver(appId, topic, ids);
      await work.settle();
    },
    settle: () => work.settle(),
    put: (topic, text, pubsub = pubsubs[0] ?? "pubsub") => broker.append(pubsub, topic, text),
    events: (topic, pubsub = pubsubs[0] ?? "pubsub") => broker.events(pubsub, topic),
    lost: broker.lost,
    clock,
    fault: rules.fault,
    deny: rules.deny,
    allow: rules.allow,
    set,
    async configure(store, key, value) {
      set(store, key, value);
      for (const [id, { appId, store: watched, keys }] of watches) {
        if (watched !== store || (keys.length > 0 && !keys.includes(key))) continue;
        const body = JSON.stringify({ id, items: { [key]: { value } } });
        await toApp(appId, `/configuration/${store}/${key}`, { method: "POST", body });
      }
    },
    trigger: (appId, binding, data) =>
      toApp(appId, `/${binding}`, { method: "POST", body: JSON.stringify(data) }),
  };
}

function abortable<T>(work: Promise<T>, signal: AbortSignal | null | undefined): Promise<T> {
  if (!signal) return work;
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}
