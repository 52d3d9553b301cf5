/**
 * For the tests of other packages: a Redis of their own, and real sidecars before it.
 *
 * ```ts
 * const infra = await startInfra();                                      // Redis, and Sentry with { mtls: true }
 * const sidecar = await startSidecar(infra, {
 *   appId: "orders", appPort: server.port,                               // the app must already listen
 *   components: { "pubsub.yaml": infra.pubsub({ name: "pubsub" }) },     // file name → YAML
 * });
 * await fetch(`${sidecar.url}/v1.0/publish/pubsub/orders`, { headers: { "dapr-api-token": sidecar.daprApiToken }, … });
 * await sidecar.stop();                                                  // or kill(): SIGKILL; then start() again
 * await infra.stop();                                                    // also its sidecars
 * ```
 *
 * Everything listens on loopback, lives in a temporary folder, and ends with the test's process.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { admitAll, trustAnchors } from "./certificates.ts";
import { baseEnvironment } from "./environment.ts";
import { type Home, homeOf, prepare, redisPassword } from "./home.ts";
import { LogFile } from "./logs.ts";
import { type Obtained, obtain } from "./obtained.ts";
import { reserve } from "./ports.ts";
import { clearRedis, redisAnswers, writeRedisConfig } from "./redis.ts";
import {
  answers,
  sentryCommand,
  sidecarCommand,
  sidecarEnvironment,
  sidecarReady,
  until,
} from "./sidecar.ts";
import { Guard, Unit } from "./unit.ts";

export interface Infra {
  /** The folder that holds all of it. */
  dir: string;
  redis: {
    host: string;
    port: number;
    password: string;
    /** SIGKILL; it is not started again by itself. */
    kill(): Promise<void>;
    start(): Promise<void>;
  };
  /** A pub/sub component on this Redis, as YAML. `metadata` adds to or replaces its fields. */
  pubsub(options?: { name?: string; metadata?: Record<string, string> }): string;
  /** A state store on this Redis, as YAML. */
  state(options?: { name?: string; metadata?: Record<string, string> }): string;
  /** A local-file secret store with these secrets, as YAML. */
  secrets(values: Record<string, string>, options?: { name?: string }): string;
  /** The lines that a process has logged lately: "redis", "sentry" or an app id. */
  tail(name: string): string[];
  /** Stops every sidecar, Sentry and Redis, and removes the folder. */
  stop(): Promise<void>;
  /** For startSidecar. */
  [internals]: Internals;
}

export interface SidecarSettings {
  appId: string;
  /** Omitted: a sidecar without an app. */
  appPort?: number;
  /** File name → YAML, written to a folder of this sidecar's own. */
  components?: Record<string, string>;
  /** More folders with components. */
  resources?: string[];
  /** A Dapr Configuration, as YAML; the sidecars of one infra find each other without. */
  configuration?: string;
  /** Default: random. */
  daprApiToken?: string;
  appApiToken?: string;
  logLevel?: "debug" | "info" | "warn" | "error";
}

export interface Sidecar {
  appId: string;
  /** http://127.0.0.1:<httpPort> */
  url: string;
  httpPort: number;
  grpcPort: number;
  daprApiToken: string;
  appApiToken: string;
  /** What a process beside it needs: APP_ID, DAPR_HTTP_PORT, DAPR_API_TOKEN… */
  env: Record<string, string>;
  /** SIGKILL; it is not started again by itself. */
  kill(): Promise<void>;
  /** Starts it again on the same ports; resolves when it is ready. */
  start(): Promise<void>;
  /** SIGTERM, and waits. */
  stop(): Promise<void>;
  /** The last lines it logged. */
  tail(): string[];
}

const internals = Symbol("internals");

interface Internals {
  home: Home;
  obtained: Obtained;
  guard: Guard;
  units: Map<string, Unit>;
  sentryPort: number | null;
  unit(name: string, command: string[], env: Record<string, string>): Unit;
}

const READY_MS = 30_000;

/** Starts a Redis (and Sentry) for tests. */
export async function startInfra(options: { mtls?: boolean } = {}): Promise<Infra> {
  const obtained = await obtain();
  const dir = mkdtempSync(join(tmpdir(), "souk-test-"));
  const home = homeOf(dir, dir);
  prepare(home);
  const guard = new Guard(dir);
  const units = new Map<string, Unit>();
  const unit = (name: string, command: string[], env: Record<string, string>): Unit => {
    const made = new Unit({
      name,
      command,
      cwd: dir,
      env: { ...baseEnvironment(dir), ...env },
      log: new LogFile(home.logs, name),
      say: () => {},
      guard,
      graceMs: 8_000,
    });
    units.set(name, made);
    return made;
  };

  const held = await reserve();
  const { port } = held;
  const configFile = writeRedisConfig(home);
  const launch = obtained.redis.launch({ port, dir: home.redis, configFile });
  const redis = unit("redis", launch.command, launch.env);
  const password = redisPassword(home);
  const startRedis = async () => {
    await redis.start();
    await until("Redis", () => redisAnswers(port, password), READY_MS);
  };
  await clearRedis(launch);
  await held.release();
  await startRedis();

  let sentryPort: number | null = null;
  if (options.mtls) {
    const [main, health] = [await reserve(), await reserve()];
    sentryPort = main.port;
    await Promise.all([main.release(), health.release()]);
    admitAll(home);
    await unit("sentry", sentryCommand(obtained.sentry, home, main.port, health.port), {}).start();
    await until("Sentry", () => answers(`http://127.0.0.1:${health.port}/healthz`), READY_MS);
  }

  const component = (type: string, name: string, metadata: Record<string, string>): string =>
    [
      "apiVersion: dapr.io/v1alpha1",
      "kind: Component",
      `metadata: { name: ${name} }`,
      "spec:",
      `  type: ${type}`,
      "  version: v1",
      "  metadata:",
      ...Object.entries(metadata).map(
        ([key, value]) => `    - { name: ${key}, value: ${JSON.stringify(value)} }`,
      ),
      "",
    ].join("\n");
  const access = { redisHost: `127.0.0.1:${port}`, redisPassword: password };

  return {
    dir,
    redis: { host: "127.0.0.1", port, password, kill: () => crash(redis), start: startRedis },
    pubsub: ({ name = "pubsub", metadata = {} } = {}) =>
      component("pubsub.redis", name, {
        ...access,
        concurrency: "100",
        processingTimeout: "2000",
        redeliverInterval: "500",
        ...metadata,
      }),
    state: ({ name = "state", metadata = {} } = {}) =>
      component("state.redis", name, { ...access, ...metadata }),
    secrets(values, { name = "secrets" } = {}) {
      const file = join(home.secrets, `${name}.json`);
      writeFileSync(file, JSON.stringify(values), { mode: 0o600 });
      return component("secretstores.local.file", name, { secretsFile: file });
    },
    tail: (name) => units.get(name)?.tail ?? [],
    async stop() {
      const sidecars = [...units].filter(([name]) => name !== "redis" && name !== "sentry");
      await Promise.all(sidecars.map(([, each]) => each.stop()));
      await Promise.all([...units.values()].map((each) => each.stop()));
      await guard.close();
      rmSync(dir, { recursive: true, force: true });
    },
    [internals]: { home, obtained, guard, units, sentryPort, unit },
  };
}

/** Starts a sidecar on the given infra; resolves when it is ready. Throws with its last words otherwise. */
export async function startSidecar(infra: Infra, settings: SidecarSettings): Promise<Sidecar> {
  const { home, obtained, sentryPort, unit } = infra[internals];
  const { appId } = settings;
  const folder = mkdtempSync(join(home.dir, `${appId}-`));
  const resources = join(folder, "components");
  mkdirSync(resources);
  for (const [file, yaml] of Object.entries(settings.components ?? {}))
    writeFileSync(join(resources, file), yaml);
  const config = join(folder, "config.yaml");
  writeFileSync(config, settings.configuration ?? configuration(home));

  const ports = await Promise.all([reserve(), reserve(), reserve(), reserve()]);
  const [http, grpc, internal, metrics] = ports;
  const daprApiToken = settings.daprApiToken ?? crypto.randomUUID();
  const appApiToken = settings.appApiToken ?? crypto.randomUUID();
  const anchors = sentryPort === null ? null : trustAnchors(home);
  const sidecar = unit(
    appId,
    sidecarCommand({
      daprd: obtained.daprd,
      appId,
      appPort: settings.appPort,
      httpPort: http.port,
      grpcPort: grpc.port,
      internalPort: internal.port,
      metricsPort: metrics.port,
      resources: [resources, ...(settings.resources ?? [])],
      config,
      sentryAddress: sentryPort === null ? undefined : `127.0.0.1:${sentryPort}`,
      logLevel: settings.logLevel,
    }),
    sidecarEnvironment({
      daprApiToken,
      appApiToken,
      names: home.names,
      redisPort: infra.redis.port,
      ...(anchors ? { trustAnchors: anchors } : {}),
    }),
  );
  const start = async () => {
    await sidecar.start();
    let died = false;
    sidecar.once("exit", () => {
      died = true;
    });
    await until(
      `The sidecar of ${appId}`,
      async () => {
        if (died) throw new Error(`The sidecar of ${appId} died:\n${sidecar.tail.join("\n")}`);
        return sidecarReady(http.port, daprApiToken);
      },
      READY_MS,
    );
  };
  await Promise.all(ports.map((each) => each.release()));
  await start();
  return {
    appId,
    url: `http://127.0.0.1:${http.port}`,
    httpPort: http.port,
    grpcPort: grpc.port,
    daprApiToken,
    appApiToken,
    env: {
      APP_ID: appId,
      APP_PORT: String(settings.appPort ?? ""),
      DAPR_HTTP_PORT: String(http.port),
      DAPR_GRPC_PORT: String(grpc.port),
      DAPR_API_TOKEN: daprApiToken,
      APP_API_TOKEN: appApiToken,
    },
    kill: () => crash(sidecar),
    start,
    stop: () => sidecar.stop(),
    tail: () => [...sidecar.tail],
  };
}

/** Dies without a goodbye and stays dead. */
async function crash(unit: Unit): Promise<void> {
  await unit.stop(0);
}

function configuration(home: Home): string {
  return [
    "apiVersion: dapr.io/v1alpha1",
    "kind: Configuration",
    "metadata: { name: test }",
    "spec:",
    "  nameResolution:",
    "    component: sqlite",
    `    configuration: { connectionString: ${JSON.stringify(home.names)} }`,
    "",
  ].join("\n");
}
