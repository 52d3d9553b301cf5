import { Hono } from "hono";
import type { Fetch } from "../client.ts";
import { dapr, type Sidecar } from "../dapr.ts";
import type { CloudEvent, EventOptions, EventType } from "../event.ts";
import { sameText, TOKEN_HEADER } from "../token.ts";
import { Broker, type Declared, type Lost, type Retries } from "./broker.ts";
import { type TestClock, testClock } from "./clock.ts";
import { StateStore, type StateWrite } from "./stores.ts";
import { Work } from "./work.ts";

export interface FakeOptions {
  /** How failed deliveries are repeated. Default: three times, at once. */
  retries?: Partial<Retries>;
  /** Names of the pub/sub components. Default: `pubsub`. */
  pubsub?: readonly string[];
  /** Names of the state stores. Default: `state`. */
  state?: readonly string[];
  /** Secret stores and what is in them. Default: an empty `secrets`. */
  secrets?: Record<string, Record<string, string | Record<string, string>>>;
  /** Configuration stores and what is in them. Default: an empty `configuration`. */
  configuration?: Record<string, Record<string, string>>;
  /** Output bindings. What is thrown comes out as the component's error. */
  bindings?: Record<string, (request: BindingRequest) => unknown>;
  /** Where the clock starts, in milliseconds since the epoch. Default: now. */
  now?: number;
}

export interface BindingRequest {
  operation: string;
  data?: unknown;
  metadata?: Record<string, string>;
}

/** An app that can be put beside a sidecar: a Hono, or anything with such a `fetch`. */
export interface App {
  fetch(request: Request): Response | Promise<Response>;
}

/** Which calls of an app to its sidecar go wrong. What is not said matches all. */
export interface FaultOptions {
  api?: Api;
  /** Of this app only. */
  app?: string;
  /** How often. Default: until `restore` is called. */
  times?: number;
  /**
   * - `unreachable`: as if the sidecar were down; nothing is done. The default.
   * - `lost-answer`: it is done, but the connection breaks before the answer.
   * - `{ status, errorCode }`: nothing is done, and that is answered.
   * - `{ events }`: of a bulk publish, those events are refused.
   */
  as?:
    | "unreachable"
    | "lost-answer"
    | { status: number; errorCode?: string }
    | { events: (event: CloudEvent) => boolean };
}

export type Api =
  | "publish"
  | "state"
  | "secrets"
  | "invoke"
  | "bindings"
  | "configuration"
  | "jobs"
  | "healthz"
  | "metadata"
  | "shutdown";

/** Calls to an app, of any other app and of any kind unless said otherwise. `path` means it and all below it. */
export interface Calls {
  call: string;
  from?: string;
  method?: string;
  path?: string;
}

/** What is forbidden: calls to an app, publishing to a topic, or reading a secret. */
export type Denial = Calls | { topic: string; from?: string } | { secret: string; from?: string };

/** Dapr in memory: a broker, stores, and a sidecar for every app. */
export interface FakeSidecar {
  /** The sidecar of the app, for its code. Nothing is delivered until the app is started. */
  sidecar(appId: string): Sidecar;
  /** What `sidecar(appId)` calls the sidecar with, for a `dapr()` with other options. */
  fetch(appId: string): Fetch;
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
  /** Sets off an input binding of an app; gives the app's answer. */
  trigger(appId: string, binding: string, data?: unknown): Promise<Response>;
}

interface Beside {
  app: App | undefined;
  apiToken: string;
  appToken: string;
}

interface Watch {
  appId: string;
  store: string;
  keys: string[];
}

interface ScheduledJob {
  appId: string;
  name: string;
  options: Record<string, unknown>;
  cancel(): void;
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
  const faults: FaultOptions[] = [];
  const denials: Denial[] = [];
  const allowed: Calls[] = [];
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
    api: DaprApi,
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

    const fault = takeFault(appId, name);
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

  function takeFault(appId: string, api: string): FaultOptions | undefined {
    const fault = faults.find((one) => (one.app ?? appId) === appId && (one.api ?? api) === api);
    if (fault?.times !== undefined && --fault.times <= 0) faults.splice(faults.indexOf(fault), 1);
    return fault;
  }

  function denied(what: { topic: string } | { secret: string }, appId: string): boolean {
    return denials.some((denial) => {
      if ((denial.from ?? appId) !== appId) return false;
      if ("topic" in what) return "topic" in denial && denial.topic === what.topic;
      return "secret" in denial && denial.secret === what.secret;
    });
  }

  function toApp(appId: string, path: string, init: RequestInit): Promise<Response> {
    const { app, appToken } = beside(appId);
    if (!app) return Promise.reject(new Error(`${appId} is not running`));
    const headers = new Headers(init.headers);
    headers.set(TOKEN_HEADER, appToken);
    return Promise.resolve(app.fetch(new Request(`http://127.0.0.1${path}`, { ...init, headers })));
  }

  /** The HTTP API of the sidecar of one app. */
  function daprApi(appId: string): DaprApi {
    const api: DaprApi = new Hono();

    for (const version of ["v1.0", "v1.0-alpha1"]) {
      api.on(["POST", "PUT"], `/${version}/publish/bulk/:pubsub/:topic{.+}`, async (c) => {
        const { pubsub, topic } = c.req.param();
        const refusal = refusedTopic(pubsub, topic);
        if (refusal) return refusal;
        const body = await c.req.arrayBuffer();
        if (body.byteLength > MAX_BODY) return problem(400, "ERR_PUBSUB_EVENTS_SER", "stream too large");
        const entries = JSON.parse(new TextDecoder().decode(body)) as BulkEntry[];
        if (new Set(entries.map(({ entryId }) => entryId)).size < entries.length) {
          return problem(400, "ERR_PUBSUB_EVENTS_SER", "entryId is duplicated or not present for entry");
        }
        const failed: { entryId: string; error: string }[] = [];
        for (const { entryId, event, metadata } of entries) {
          if (c.env.refuse?.(event)) failed.push({ entryId, error: "The fake broker is told to refuse it" });
          else append(pubsub, topic, event, metadata);
        }
        if (failed.length === 0) return c.body(null, 204);
        return c.json({ failedEntries: failed, errorCode: "ERR_PUBSUB_PUBLISH_MESSAGE" }, 500);
      });
    }

    api.on(["POST", "PUT"], "/v1.0/publish/:pubsub/:topic{.+}", async (c) => {
      const { pubsub, topic } = c.req.param();
      const refusal = refusedTopic(pubsub, topic);
      if (refusal) return refusal;
      const text = await c.req.text();
      const type = c.req.header("content-type") ?? "text/plain";
      append(pubsub, topic, asCloudEvent(text, type, appId), metadataOf(c.req.query()));
      return c.body(null, 204);
    });

    function refusedTopic(pubsub: string, topic: string): Response | null {
      if (!pubsubs.includes(pubsub))
        return problem(404, "ERR_PUBSUB_NOT_FOUND", `pubsub ${pubsub} is not found`);
      if (!denied({ topic }, appId)) return null;
      return problem(403, "ERR_PUBSUB_FORBIDDEN", `topic ${topic} is not allowed for app id ${appId}`);
    }

    api.use("/v1.0/state/:store/*", async (c, next) => {
      const store = c.req.param("store");
      if (stateStores.has(store)) return next();
      return problem(400, "ERR_STATE_STORE_NOT_FOUND", `state store ${store} is not found`);
    });

    api.on(["POST", "PUT"], "/v1.0/state/:store", async (c) => {
      const store = stateStores.get(c.req.param("store"));
      if (!store) return problem(400, "ERR_STATE_STORE_NOT_FOUND", "state store is not found");
      for (const write of await c.req.json<StateWrite[]>()) {
        if (write.key.includes("||")) return illegalKey(write.key);
        const result = store.set(`${appId}||${write.key}`, write);
        if (result === "ok") continue;
        const status = { mismatch: 409, invalid: 400, failed: 500 }[result];
        const reason = {
          mismatch: "possible etag mismatch",
          invalid: "invalid etag value",
          failed: "failed to set",
        };
        return problem(status, "ERR_STATE_SAVE", `failed saving state: ${reason[result]}`);
      }
      return c.body(null, 204);
    });

    api.on(["POST", "PUT"], "/v1.0/state/:store/bulk", async (c) => {
      const { keys } = await c.req.json<{ keys: string[] }>();
      const items = keys.map((key) => {
        const item = stateStores.get(c.req.param("store"))?.get(`${appId}||${key}`);
        return item ? { key, data: JSON.parse(item.json), etag: String(item.version) } : { key };
      });
      return c.json(items);
    });

    api.get("/v1.0/state/:store/:key", (c) => {
      const { store, key } = c.req.param();
      if (key.includes("||")) return illegalKey(key);
      const item = stateStores.get(store)?.get(`${appId}||${key}`);
      if (!item) return c.body(null, 204);
      return c.body(item.json, 200, { "content-type": "application/json", etag: String(item.version) });
    });

    api.delete("/v1.0/state/:store/:key", (c) => {
      const { store, key } = c.req.param();
      const result = stateStores.get(store)?.delete(`${appId}||${key}`, c.req.header("if-match"));
      if (result === "ok") return c.body(null, 204);
      return problem(
        409,
        "ERR_STATE_DELETE",
        `failed deleting state with key ${key}: possible etag mismatch`,
      );
    });

    api.get("/v1.0/secrets/:store/:name", (c) => {
      const { store, name } = c.req.param();
      const secrets = secretStores[store];
      if (!secrets) {
        return problem(401, "ERR_SECRET_STORE_NOT_FOUND", `failed finding secret store with key ${store}`);
      }
      if (denied({ secret: name }, appId)) {
        return problem(
          403,
          "ERR_PERMISSION_DENIED",
          `access denied by policy to get "${name}" from "${store}"`,
        );
      }
      const secret = secrets[name];
      if (secret === undefined) {
        return problem(
          500,
          "ERR_SECRET_GET",
          `failed getting secret with key ${name} from secret store ${store}`,
        );
      }
      return c.json(typeof secret === "string" ? { [name]: secret } : secret);
    });

    api.on(["POST", "PUT"], "/v1.0/bindings/:name", async (c) => {
      const name = c.req.param("name");
      const binding = options.bindings?.[name];
      const failed = `error invoking output binding ${name}: `;
      if (!binding)
        return problem(500, "ERR_INVOKE_OUTPUT_BINDING", `${failed}couldn't find output binding ${name}`);
      try {
        const answer = await binding(await c.req.json<BindingRequest>());
        return answer === undefined ? c.body(null, 204) : c.json(answer as object);
      } catch (error) {
        return problem(
          500,
          "ERR_INVOKE_OUTPUT_BINDING",
          failed + (error instanceof Error ? error.message : error),
        );
      }
    });

    api.get("/v1.0/configuration/:store/:id/unsubscribe", (c) => {
      watches.delete(c.req.param("id"));
      return c.json({ ok: true });
    });

    api.get("/v1.0/configuration/:store/:subscribe?", (c) => {
      const { store, subscribe } = c.req.param();
      const known = settings[store];
      const keys = c.req.queries("key") ?? [];
      if (!known) {
        return problem(400, "ERR_CONFIGURATION_STORE_NOT_FOUND", `configuration store ${store} not found`);
      }
      if (subscribe) {
        const id = crypto.randomUUID();
        watches.set(id, { appId, store, keys });
        return c.json({ id });
      }
      const found = Object.entries(known).filter(([key]) => keys.length === 0 || keys.includes(key));
      if (found.length === 0) return c.body(null, 204);
      return c.json(Object.fromEntries(found.map(([key, value]) => [key, { value }])));
    });

    api.post("/v1.0/jobs/:name", async (c) => {
      const name = c.req.param("name");
      const wanted = await c.req.json<Record<string, unknown>>();
      if (jobs.has(`${appId}|${name}`) && !wanted.overwrite) {
        return problem(409, "DAPR_SCHEDULER_JOB_ALREADY_EXISTS", `job already exists: ${name}`);
      }
      const refused = schedule(appId, name, wanted);
      return refused ?? c.body(null, 204);
    });

    api.get("/v1.0/jobs/:name", (c) => {
      const job = jobs.get(`${appId}|${c.req.param("name")}`);
      if (!job) return problem(500, "DAPR_SCHEDULER_GET_JOB", "failed to get job due to: job not found");
      return c.json({ name: job.name, ...job.options });
    });

    api.delete("/v1.0/jobs/:name", (c) => {
      jobs.get(`${appId}|${c.req.param("name")}`)?.cancel();
      return c.body(null, 204);
    });

    api.all("/v1.0/invoke/*", (c) => invoke(appId, c.req.raw));
    api.get("/v1.0/healthz/:outbound?", (c) => c.body(null, 204));
    api.get("/v1.0/metadata", (c) => c.json({ id: appId, runtimeVersion: "fake" }));
    api.post("/v1.0/shutdown", (c) => c.body(null, 204));
    return api;
  }

  function append(pubsub: string, topic: string, event: CloudEvent, metadata?: Record<string, string>): void {
    const { traceid, traceparent = "", tracestate = "" } = event;
    const ttl = Number(metadata?.ttlInSeconds);
    const envelope = {
      ...event,
      time: event.time ?? new Date(timers.now()).toISOString(),
      // With its tracing off, daprd empties the traceparent of events without a traceid.
      traceid: traceid ?? "",
      traceparent: traceid === undefined ? "" : traceparent,
      tracestate,
      topic,
      pubsubname: pubsub,
      source: event.source ?? "Dapr",
      type: event.type ?? "com.dapr.event.sent",
      specversion: event.specversion ?? "1.0",
      ...(ttl > 0 && { expiration: new Date(timers.now() + ttl * 1000).toISOString() }),
    };
    broker.append(pubsub, topic, JSON.stringify(envelope));
  }

  async function invoke(from: string, request: Request): Promise<Response> {
    const url = new URL(request.url);
    const target = invocationTarget(url.pathname, request.headers);
    if (!target)
      return problem(
        404,
        "ERR_DIRECT_INVOKE",
        "failed getting app id either from the URL path or the header",
      );
    const { to, method } = target;
    const failed = (reason: string, status = 500) =>
      problem(status, "ERR_DIRECT_INVOKE", `failed to invoke, id: ${to}, err: ${reason}`);
    if (hasForbidden(method)) return failed("rpc error: code = InvalidArgument desc = invalid method");
    const { app } = apps.get(to) ?? {};
    if (!app) return failed("no host found with the given ID");
    const matches = (calls: Denial) =>
      "call" in calls &&
      calls.call === to &&
      (calls.from ?? from) === from &&
      (calls.method ?? request.method) === request.method &&
      isBelow(`/${method}`, calls.path ?? "/");
    const closed = allowed.some(({ call }) => call === to) && !allowed.some(matches);
    if (closed || denials.some(matches)) {
      const operation = `operation: ${method} verb: ${request.method}`;
      return failed(
        `rpc error: code = PermissionDenied desc = access control policy has denied access to id: ${from} ${operation}`,
        403,
      );
    }
    // The app's side parses the path as a URL: a percent sign that encodes nothing cannot be sent.
    if (/%(?![0-9a-f]{2})/i.test(method)) return failed("invalid URL escape");

    const headers = new Headers(request.headers);
    for (const name of ["dapr-app-id", "host", "connection", "transfer-encoding"]) headers.delete(name);
    headers.set("dapr-caller-app-id", from);
    headers.set("dapr-callee-app-id", to);
    if (!headers.has("traceparent")) headers.set("traceparent", `00-${"0".repeat(32)}-${"0".repeat(16)}-00`);
    const { method: verb, body, signal } = request;
    const init: RequestInit = { method: verb, headers, body, signal, ...(body && { duplex: "half" }) };
    try {
      const response = await toApp(to, `/${method}${url.search}`, init);
      const passed = new Headers(response.headers);
      passed.delete("content-length");
      return new Response(response.body, { status: response.status, headers: passed });
    } catch (error) {
      return failed(error instanceof Error ? error.message : String(error));
    }
  }

  function schedule(appId: string, name: string, wanted: Record<string, unknown>): Response | null {
    const every = /^@every (.+)$/.exec(String(wanted.schedule ?? ""))?.[1];
    const interval = every === undefined ? undefined : milliseconds(every);
    const due = wanted.dueTime === undefined ? interval : dueIn(String(wanted.dueTime));
    if (due === undefined || Number.isNaN(due)) {
      return problem(
        400,
        "DAPR_SCHEDULER_SCHEDULE_JOB",
        "The fake knows dueTime and schedules of the form @every 5s",
      );
    }
    const key = `${appId}|${name}`;
    let left =
      wanted.repeats === undefined
        ? interval === undefined
          ? 1
          : Number.POSITIVE_INFINITY
        : Number(wanted.repeats);
    const { overwrite: _, ...kept } = wanted;
    const arm = (time: number) => timers.at(time, () => work.run(run(time)));
    let timer = arm(timers.now() + due);
    async function run(time: number): Promise<void> {
      if (--left > 0 && interval !== undefined) timer = arm(time + interval);
      else jobs.delete(key);
      const body = JSON.stringify(wanted.data ?? null);
      await toApp(appId, `/job/${encodeURIComponent(name)}`, { method: "POST", body }).catch(() => undefined);
    }
    jobs.get(key)?.cancel();
    const cancel = () => {
      timer.cancel();
      jobs.delete(key);
    };
    jobs.set(key, { appId, name, options: kept, cancel });
    return null;
  }

  const dueIn = (due: string): number => milliseconds(due) ?? Date.parse(due) - timers.now();

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

  const restorable = <T>(list: T[], item: T) => {
    list.push(item);
    return {
      restore() {
        const index = list.indexOf(item);
        if (index >= 0) list.splice(index, 1);
      },
    };
  };

  return {
    sidecar,
    fetch: fetchOf,
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
    events: (topic, pubsub = pubsubs[0] ?? "pubsub") => broker.events(pubsub, topic),
    lost: broker.lost,
    clock,
    fault: (fault = {}) => restorable(faults, { ...fault }),
    deny: (denial) => restorable(denials, denial),
    allow: (calls) => restorable(allowed, calls),
    async configure(store, key, value) {
      const known = settings[store];
      if (!known) throw new Error(`There is no configuration store ${store}`);
      known[key] = value;
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

/** `refuse` picks the events that a fault refuses. */
type DaprApi = Hono<{ Bindings: { refuse: ((event: CloudEvent) => boolean) | null } }>;

// As daprd's --max-body-size.
const MAX_BODY = 4 << 20;

interface BulkEntry {
  entryId: string;
  event: CloudEvent;
  metadata?: Record<string, string>;
}

function asCloudEvent(text: string, contentType: string, source: string): CloudEvent {
  if (contentType.startsWith("application/cloudevents+json")) return JSON.parse(text) as CloudEvent;
  const json = contentType.startsWith("application/json");
  return {
    specversion: "1.0",
    id: crypto.randomUUID(),
    source,
    type: "com.dapr.event.sent",
    time: new Date().toISOString(),
    datacontenttype: contentType,
    data: json ? JSON.parse(text) : text,
  };
}

function metadataOf(query: Record<string, string>): Record<string, string> {
  const entries = Object.entries(query).filter(([name]) => name.startsWith("metadata."));
  return Object.fromEntries(entries.map(([name, value]) => [name.slice("metadata.".length), value]));
}

/** As daprd finds them: the header before Basic credentials before the path, which it decodes once and cleans. */
function invocationTarget(pathname: string, headers: Headers): { to: string; method: string } | null {
  const path = decodeURIComponent(pathname);
  const whole = clean(path);
  const header = headers.get("dapr-app-id");
  if (header) return { to: header, method: whole };
  const basic = /^Basic (.+)$/.exec(headers.get("authorization") ?? "")?.[1];
  const credentials = basic && /^[\w+/=]+$/.test(basic) ? atob(basic) : "";
  const named = /^dapr-app-id:([^:]*)$/i.exec(credentials)?.[1];
  if (named) return { to: named, method: whole };
  const match = /^\/v1\.0\/invoke\/(.+?)\/method\/(.*)$/s.exec(path);
  return match?.[1] ? { to: match[1], method: clean(match[2] ?? "") } : null;
}

/** As Go's `path.Clean`, without a slash at the start. */
function clean(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return parts.join("/");
}

const isBelow = (path: string, folder: string): boolean =>
  path === folder || path.startsWith(folder.endsWith("/") ? folder : `${folder}/`);

/** daprd refuses `#`, `?` and control characters in what it has decoded. */
const hasForbidden = (method: string): boolean =>
  [...method].some((character) => {
    const code = character.charCodeAt(0);
    return character === "#" || character === "?" || code < 0x20 || code === 0x7f;
  });

const UNITS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** `1h30m`, `5s`, `100ms`; `undefined` for anything else. */
function milliseconds(text: string): number | undefined {
  if (!/^(\d+(?:\.\d+)?(?:ms|s|m|h))+$/.test(text)) return undefined;
  return [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)].reduce(
    (sum, [, amount, unit]) => sum + Number(amount) * (UNITS[unit ?? ""] ?? 0),
    0,
  );
}

const problem = (status: number, errorCode: string, message: string): Response =>
  Response.json({ errorCode, message }, { status });

const illegalKey = (key: string): Response =>
  problem(400, "ERR_MALFORMED_REQUEST", `input key/keyPrefix '${key}' can't contain '||'`);

function abortable<T>(work: Promise<T>, signal: AbortSignal | null | undefined): Promise<T> {
  if (!signal) return work;
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}
