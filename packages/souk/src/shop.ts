/**
 * Runs a shop: Redis, Sentry, and for each service of dapr.yaml its process and its sidecar.
 *
 * ```ts
 * const shop = await startShop({ home: "/tmp/a-shop", port: 0, quiet: true });   // resolves when all are ready
 * await fetch(`${shop.url}/api/products`);
 * await shop.kill("orders", "app");      // SIGKILL; it is started again, as after any death
 * await shop.stop();                     // everything, in order
 * ```
 */
import { Database } from "bun:sqlite";
import { existsSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { finishRestore } from "./backup/place.ts";
import { admit, dropOldCertificates, sentryTokenFile, trustAnchors } from "./certificates.ts";
import { configurationStore, declaredFlags } from "./configuration.ts";
import { baseEnvironment } from "./environment.ts";
import { forget, type Home, homeOf, prepare, redisPassword, secretsFile, secretsOf } from "./home.ts";
import type { Lock } from "./lock.ts";
import { type Level, type Line, LogFile } from "./logs.ts";
import { catcherCommand, catcherEnvironment, mailServer, sendsMail } from "./mail/unit.ts";
import type { Reporter } from "./obtain/index.ts";
import { type Obtained, obtain } from "./obtained.ts";
import { isFree, type Reservation, reserve } from "./ports.ts";
import { commandOf, end, type Holder, holderOf, identify, processesOf } from "./processes.ts";
import { type App, findRoot, type Project, readProject } from "./project.ts";
import { clearRedis, redisAnswers, writeRedisConfig } from "./redis.ts";
import { copyResources } from "./resources.ts";
import {
  claim,
  leftovers,
  type Run,
  readRun,
  runnerOf,
  type Started,
  writeProcesses,
  writeRun,
} from "./run.ts";
import {
  answers,
  sentryCommand,
  sidecarCommand,
  sidecarEnvironment,
  sidecarReady,
  until,
} from "./sidecar.ts";
import { keepStreamsShort } from "./streams.ts";
import { diskTrouble, explain } from "./trouble.ts";
import { Guard, Unit } from "./unit.ts";

/** The process of a service, or the sidecar beside it. */
export type Part = "app" | "sidecar";

/** A connection that a part of a service makes on this machine. */
export interface Link {
  app: string;
  from: Part;
  to: Part | "redis" | "sentry";
}

export interface ShopOptions {
  /** The checkout. Default: the one this file is in. */
  root?: string;
  /** Where it keeps everything. Default: SOUK_HOME, else `.souk` of the checkout. */
  home?: string;
  /** The gateway's public port. 0 takes a free one. Default: 8080. */
  port?: number;
  /** Where the gateway listens. Default: loopback only. */
  host?: string;
  /** Variables for every service, over those of dapr.yaml; a function says them for each. */
  env?: Record<string, string> | ((app: string) => Record<string, string>);
  /** Puts something of the caller's into a connection, a proxy say: from the port it leads to, the one to use instead. */
  route?: (link: Link, port: number) => Promise<number>;
  /** Forgets all data first. */
  fresh?: boolean;
  /** Says nothing on the screen; the log has it all the same. */
  quiet?: boolean;
  /** Told what happens. Default: prints it, unless quiet. */
  say?: (level: Level, text: string) => void;
  /** Told about the obtaining of Dapr and Redis. */
  report?: Reporter;
  /** Aborting it during the start stops what has been started and throws the signal's reason. */
  signal?: AbortSignal;
  /** Aborting it makes a stop that is under way immediate. */
  force?: AbortSignal;
  /** Called when a service becomes ready. Milliseconds since the start began. */
  onReady?: (service: string, ms: number) => void;
}

export interface Shop {
  url: string;
  home: Home;
  /** As in run.json. */
  readonly run: Run;
  /** Ends one process by force (SIGKILL unless said otherwise), as an accident would. */
  kill(name: string, part?: Part, signal?: NodeJS.Signals): Promise<void>;
  /** Ends one process and keeps it down until `start`. */
  halt(name: string, part?: Part): Promise<void>;
  start(name: string, part?: Part): Promise<void>;
  /** Resolves when every service and sidecar is ready. */
  ready(withinMs?: number): Promise<void>;
  /** The last lines that a process printed. */
  tail(name: string, part?: Part): string[];
  /** Stops everything, in order; `force` does it at once. May be called again with force. */
  stop(options?: { force?: boolean }): Promise<void>;
  /** Resolves when it has been stopped. */
  stopped: Promise<void>;
}

/** Another runner has this folder. */
export class AlreadyRunning extends Error {
  override name = "AlreadyRunning";
  constructor(readonly home: Home) {
    const run = readRun(home);
    const runner = runnerOf(home);
    super(
      run
        ? `This shop is already running (pid ${run.pid}): ${run.url}. Stop it with: npx souk down`
        : runner
          ? `Process ${runner.pid} (${commandOf(runner.pid)}) has this shop's folder (${home.dir}). End it with: npx souk down`
          : `Another process is starting or stopping this shop (${home.dir}). Wait for it, or see: npx souk doctor`,
    );
  }
}

/** The gateway's port is taken. */
export class PortBusy extends Error {
  override name = "PortBusy";
  constructor(
    readonly port: number,
    readonly holder: Holder | null,
    /** What to do besides stopping the holder. */
    otherwise = `, or choose another port: PORT=${port + 1} npm start`,
  ) {
    const who = holder?.pid
      ? `held by pid ${holder.pid}${holder.command ? ` (${holder.command.slice(0, 120)})` : ""}`
      : "held by a process of another user";
    super(
      `Port ${port} is ${who}. Stop that process${holder?.pid ? ` (kill ${holder.pid})` : ""}${otherwise}.`,
    );
  }
}

/** A process did not come up; the message has its last words. */
export class StartFailed extends Error {
  override name = "StartFailed";
}

export const DEFAULT_PORT = 8080;
const READY_MS = 120_000;
/** So many deaths before it was ever ready: it will not become ready. */
const HOPELESS = 5;
/** Longer than a service takes to finish what it has begun. */
const APP_GRACE_MS = 12_000;
const SIDECAR_GRACE_MS = 8_000;
const INFRA_GRACE_MS = 8_000;

interface Service {
  app: App;
  unit: Unit;
  sidecar: Unit;
  ports: Record<"app" | "http" | "grpc" | "internal" | "metrics", Reservation>;
  tokens: { dapr: string; app: string };
}

/**
 * Starts a shop; resolves when every service is ready.
 *
 * Throws AlreadyRunning, PortBusy, StartFailed, ProjectError, CannotObtain, or the reason of `signal`.
 */
export async function startShop(options: ShopOptions = {}): Promise<Shop> {
  const root = options.root ?? findRoot(fileURLToPath(new URL(".", import.meta.url)));
  const project = readProject(root);
  const home = homeOf(root, options.home);
  let held: Lock | null = null;
  let runner: Runner | undefined;
  try {
    prepare(home);
    held = claim(home);
    if (!held) throw new AlreadyRunning(home);
    options.signal?.throwIfAborted();
    runner = new Runner(project, home, held, options);
    await runner.start();
    return runner;
  } catch (error) {
    if (runner) await runner.stop();
    else held?.release();
    const why = diskTrouble(error, home);
    throw why === undefined ? error : new StartFailed(why, { cause: error });
  }
}

class Runner implements Shop {
  readonly stopped: Promise<void>;
  #run: Run;
  #log: LogFile | null = null;
  #guard: Guard | null = null;
  #redis: Unit | null = null;
  #sentry: Unit | null = null;
  #mail: Unit | null = null;
  #streams: { stop(): void } | null = null;
  #services = new Map<string, Service>();
  #logs: LogFile[] = [];
  #logless = false;
  #began = performance.now();
  #stopping: Promise<void> | null = null;
  #done = Promise.withResolvers<void>();
  #unsaved = false;
  #publicPort: Reservation | null = null;

  constructor(
    readonly project: Project,
    readonly home: Home,
    readonly held: Lock,
    readonly options: ShopOptions,
  ) {
    this.stopped = this.#done.promise;
    options.force?.addEventListener("abort", () => {
      if (this.#stopping) this.stop({ force: true });
    });
    const { pid, began } = identify(process.pid);
    const port = options.port ?? DEFAULT_PORT;
    this.#run = {
      pid,
      began,
      state: "starting",
      startedAt: new Date().toISOString(),
      root: project.root,
      home: home.dir,
      port,
      url: `http://localhost:${port}`,
      services: {},
      redis: { port: 0, pid: null, state: "idle" },
      sentry: { port: 0, healthPort: 0, pid: null, state: "idle" },
    };
  }

  get url(): string {
    return this.#run.url;
  }

  get run(): Run {
    return this.#run;
  }

  async start(): Promise<void>;
  async start(name: string, part?: Part): Promise<void>;
  async start(name?: string, part: Part = "app"): Promise<void> {
    if (name !== undefined) return this.#startUnit(this.#unit(name, part));
    const { signal } = this.options;
    await this.#cleanUp();
    await this.#choosePort();
    signal?.throwIfAborted();
    const obtained = await obtain({
      report: this.options.report,
      signal,
      runtimePath: this.project.apps.find((app) => app.runtimePath)?.runtimePath,
    });
    signal?.throwIfAborted();
    this.#began = performance.now();
    this.#guard = new Guard(this.home.dir);
    await this.#prepareUnits(obtained);
    signal?.throwIfAborted();

    // The services need nothing to come up with; their sidecars need Redis, Sentry and its certificate.
    await Promise.all([
      this.#startInfra(),
      ...[...this.#services.values()].map((each) => this.#startUnit(each.unit)),
    ]);
    signal?.throwIfAborted();
    this.#streams = keepStreamsShort(this.#run.redis.port, redisPassword(this.home));
    await this.#startSidecars();
    await this.ready(READY_MS);
    this.#run.state = "ready";
    this.#save();
    this.#say("info", `ready after ${Math.round(performance.now() - this.#began)} ms`, false);
  }

  async kill(name: string, part: Part = "app", signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    await this.#unit(name, part).kill(signal);
  }

  async halt(name: string, part: Part = "app"): Promise<void> {
    await this.#unit(name, part).stop(0);
  }

  tail(name: string, part: Part = "app"): string[] {
    return [...this.#unit(name, part).tail];
  }

  async ready(withinMs = 30_000): Promise<void> {
    // The way in asks the others whether they are ready: it is asked last.
    const all = [...this.#services.values()];
    const isWayIn = ({ app }: Service) => app.env.PORT !== undefined;
    const first = all.filter((each) => !isWayIn(each));
    await Promise.all(first.map((each) => this.#untilReady(each, withinMs)));
    await Promise.all(all.filter(isWayIn).map((each) => this.#untilReady(each, withinMs)));
  }

  stop({ force = false } = {}): Promise<void> {
    if (force && this.#stopping) {
      for (const unit of this.#units()) unit.stop(0);
    }
    this.#stopping ??= this.#stopAll(force);
    return this.#stopping;
  }

  async #stopAll(force: boolean): Promise<void> {
    this.#run.state = "stopping";
    this.#save();
    const grace = (ms: number) => (force ? 0 : ms);
    const services = [...this.#services.values()];
    const all = (units: Unit[], ms: number) => Promise.all(units.map((unit) => unit.stop(grace(ms))));
    // The way in first: then nobody's request meets a service that is gone.
    const gateway = this.#services.get("gateway");
    if (gateway) await gateway.unit.stop(grace(APP_GRACE_MS));
    await all(
      services.map((each) => each.unit),
      APP_GRACE_MS,
    );
    await all(
      services.map((each) => each.sidecar),
      SIDECAR_GRACE_MS,
    );
    this.#streams?.stop();
    if (this.#mail) await this.#mail.stop(grace(INFRA_GRACE_MS));
    if (this.#sentry) await this.#sentry.stop(grace(INFRA_GRACE_MS));
    if (this.#redis) await this.#redis.stop(grace(INFRA_GRACE_MS));
    await this.#guard?.close();
    rmSync(this.home.runFile, { force: true });
    rmSync(this.home.processesFile, { force: true });
    this.#say("info", "stopped", false);
    for (const log of this.#logs) log.close();
    this.held.release();
    this.#done.resolve();
  }

  /** Ends what a runner that was killed has left behind. */
  async #cleanUp(): Promise<void> {
    const left = leftovers(this.home, processesOf(this.home.dir));
    await end(left, 2_000);
    finishRestore(this.home);
    if (this.options.fresh) {
      forget(this.home);
      prepare(this.home);
    }
    this.#log = this.#openLog("souk");
    if (left.length > 0) this.#say("warn", `ended ${left.length} processes that an earlier start had left`);
    rmSync(this.home.runFile, { force: true });
    rmSync(this.home.processesFile, { force: true });
  }

  async #choosePort(): Promise<void> {
    if (this.#run.port === 0) {
      // Held until the gateway takes it: other shops look for free ports, too.
      const free = await reserve();
      this.#publicPort = free;
      this.#run.port = free.port;
      this.#run.url = `http://localhost:${free.port}`;
      return;
    }
    const { port } = this.#run;
    const holder = holderOf(port);
    if (holder || !(await isFree(port))) throw new PortBusy(port, holder);
  }

  async #prepareUnits(obtained: Obtained): Promise<void> {
    const { home, options, project } = this;
    const base = baseEnvironment(home.dir);
    const [redisPort, sentryPort, healthPort] = await Promise.all([reserve(), reserve(), reserve()]);
    this.#run.redis.port = redisPort.port;
    this.#run.sentry.port = sentryPort.port;
    this.#run.sentry.healthPort = healthPort.port;

    const launch = obtained.redis.launch({
      port: redisPort.port,
      dir: home.redis,
      configFile: writeRedisConfig(home),
    });
    this.#redis = this.#make({
      name: "redis",
      command: launch.command,
      cwd: home.redis,
      env: { ...base, ...launch.env },
      graceMs: INFRA_GRACE_MS,
      before: async () => {
        await clearRedis(launch);
        await redisPort.release();
      },
    });

    if (dropOldCertificates(home)) this.#say("info", "the certificates were about to end; new ones are made");
    admit(
      home,
      project.apps.map((app) => app.id),
    );
    this.#sentry = this.#make({
      name: "sentry",
      command: sentryCommand(obtained.sentry, home, sentryPort.port, healthPort.port),
      cwd: home.dir,
      env: { ...base, NAMESPACE: "default" },
      graceMs: INFRA_GRACE_MS,
      before: async () => {
        await Promise.all([sentryPort.release(), healthPort.release()]);
      },
    });

    if (sendsMail(project)) await this.#prepareMail(base);

    const resources = copyResources(
      home,
      project.apps.flatMap((app) => app.resources),
    );
    for (const app of project.apps) {
      const [main, http, grpc, internal, metrics] = await Promise.all([
        reserve(),
        reserve(),
        reserve(),
        reserve(),
        reserve(),
      ]);
      const secrets = secretsOf(home, app.id);
      const tokens = { dapr: secrets["dapr-api-token"], app: secrets["app-api-token"] };
      const route = (from: Part, to: Link["to"], port: number) =>
        options.route?.({ app: app.id, from, to }, port) ?? port;
      const [viaApp, viaSidecar, viaRedis, viaSentry] = await Promise.all([
        route("sidecar", "app", main.port),
        route("app", "sidecar", http.port),
        route("sidecar", "redis", redisPort.port),
        route("sidecar", "sentry", sentryPort.port),
      ]);
      const { PORT, ...declared } = app.env;
      // Only the gateway has a public port in dapr.yaml.
      const isPublic = PORT !== undefined;
      const unit = this.#make({
        name: app.id,
        command: app.command[0] === "bun" ? [process.execPath, ...app.command.slice(1)] : app.command,
        cwd: app.dir,
        env: {
          ...base,
          ...declared,
          PUBLIC_URL: process.env.SOUK_PUBLIC_URL ?? this.#run.url,
          SOUK_DATA: home.data,
          DEV_CLIENT_FILE: home.devClient,
          DEV_ADMIN_FILE: home.devAdmin,
          SOUK_HOME: home.dir,
          ...(typeof options.env === "function" ? options.env(app.id) : options.env),
          APP_ID: app.id,
          APP_PORT: String(main.port),
          APP_PROTOCOL: app.appProtocol,
          DAPR_HTTP_PORT: String(viaSidecar),
          DAPR_GRPC_PORT: String(grpc.port),
          DAPR_API_TOKEN: tokens.dapr,
          APP_API_TOKEN: tokens.app,
          ...(isPublic ? { PORT: String(this.#run.port), HOST: options.host ?? "127.0.0.1" } : {}),
        },
        graceMs: APP_GRACE_MS,
        before: async () => {
          await Promise.all([main.release(), isPublic ? this.#publicPort?.release() : undefined]);
        },
      });
      const sidecar = this.#make({
        name: `${app.id}-sidecar`,
        command: sidecarCommand({
          daprd: obtained.daprd,
          appId: app.id,
          appPort: viaApp,
          httpPort: http.port,
          grpcPort: grpc.port,
          internalPort: internal.port,
          metricsPort: metrics.port,
          resources: app.resources.map((folder) => resources.get(folder) ?? folder),
          config: app.config,
          sentryAddress: `127.0.0.1:${viaSentry}`,
          appProtocol: app.appProtocol,
          logLevel: process.env.SOUK_DAPR_LOG_LEVEL ?? app.logLevel,
          maxBodySize: app.maxBodySize,
          readBufferSize: app.readBufferSize,
          maxConcurrency: app.maxConcurrency,
        }),
        cwd: app.dir,
        env: base,
        graceMs: SIDECAR_GRACE_MS,
        before: async () => {
          await Promise.all([http.release(), grpc.release(), internal.release(), metrics.release()]);
          Object.assign(
            sidecar.options.env,
            sidecarEnvironment({
              daprApiToken: tokens.dapr,
              appApiToken: tokens.app,
              trustAnchors: trustAnchors(home) ?? "",
              sentryToken: sentryTokenFile(home, app.id),
              redisPort: viaRedis,
              secretsFile: secretsFile(home, app.id),
              names: home.names,
              mail: this.#run.mail && mailServer(this.#run.mail.smtpPort),
            }),
          );
        },
      });
      this.#services.set(app.id, {
        app,
        unit,
        sidecar,
        ports: { app: main, http, grpc, internal, metrics },
        tokens,
      });
      this.#run.services[app.id] = {
        appPort: main.port,
        daprHttpPort: http.port,
        daprGrpcPort: grpc.port,
        metricsPort: metrics.port,
        pid: null,
        sidecarPid: null,
        state: "idle",
        sidecarState: "idle",
        restarts: 0,
        sidecarRestarts: 0,
      };
    }
    this.#save();
  }

  async #prepareMail(base: Record<string, string>): Promise<void> {
    const [smtp, web] = await Promise.all([reserve(), reserve()]);
    const url = `http://localhost:${web.port}`;
    this.#run.mail = { url, port: web.port, smtpPort: smtp.port, pid: null, state: "idle" };
    this.#mail = this.#make({
      name: "mail",
      command: catcherCommand(),
      cwd: this.home.dir,
      env: { ...base, ...catcherEnvironment(this.home.mail, smtp.port, web.port) },
      graceMs: INFRA_GRACE_MS,
      before: async () => {
        await Promise.all([smtp.release(), web.release()]);
      },
    });
  }

  #make(settings: {
    name: string;
    command: string[];
    cwd: string;
    env: Record<string, string>;
    graceMs: number;
    before: () => Promise<void>;
    onLine?: (line: Line) => void;
  }): Unit {
    if (!this.#guard) throw new Error("The guard comes before what it guards.");
    const log = this.#openLog(settings.name);
    const unit = new Unit({
      ...settings,
      env: { ...settings.env },
      log,
      guard: this.#guard,
      say: (level, text) => this.#say(level, text),
      explain: (tail) => explain(tail, this.home),
    });
    unit.on("change", () => this.#save());
    return unit;
  }

  /** A disk that takes no logs stops nobody from working. */
  #openLog(name: string): LogFile {
    const log = new LogFile(this.home.logs, name, undefined, (error) => {
      if ((error !== undefined) === this.#logless) return;
      this.#logless = error !== undefined;
      if (error)
        this.#say(
          "error",
          `No logs are written, the shop goes on without: ${diskTrouble(error, this.home) ?? error}`,
        );
      else this.#say("info", "Logs are written again");
    });
    this.#logs.push(log);
    return log;
  }

  async #startInfra(): Promise<void> {
    const { home } = this;
    const { mail, redis, sentry } = this.#run;
    const password = redisPassword(home);
    await Promise.all([this.#redis, this.#sentry, this.#mail].map((unit) => this.#startUnit(unit)));
    await Promise.all([
      this.#until("mail", this.#mail, () => answers(`http://127.0.0.1:${mail?.port}/health`)),
      this.#until("redis", this.#redis, () => redisAnswers(redis.port, password)),
      this.#until("sentry", this.#sentry, async () => {
        return (
          trustAnchors(home) !== null && (await answers(`http://127.0.0.1:${sentry.healthPort}/healthz`))
        );
      }),
    ]);
    const store = configurationStore({ port: redis.port, password });
    await store
      .make(declaredFlags(this.project).map(({ key }) => key))
      // It is the logs that would be longer.
      .catch(() => undefined)
      .finally(store.close);
  }

  /** What stops is not started any more. */
  async #startUnit(unit: Unit | null): Promise<void> {
    if (!this.#stopping) await unit?.start();
  }

  /** Several sidecars that make the file of addresses at once can hang: the first makes it alone. */
  async #startSidecars(): Promise<void> {
    const [first, ...rest] = [...this.#services.values()];
    if (!first) return;
    if (forgetAddresses(this.home)) {
      await Promise.all([first, ...rest].map((each) => this.#startUnit(each.sidecar)));
      return;
    }
    await this.#startUnit(first.sidecar);
    await this.#until(`${first.app.id}-sidecar`, first.sidecar, () => knowsAddresses(this.home));
    await Promise.all(rest.map((each) => this.#startUnit(each.sidecar)));
  }

  async #untilReady(service: Service, withinMs: number): Promise<void> {
    const { app, ports, sidecar, tokens, unit } = service;
    const headers = { "dapr-api-token": tokens.app };
    await Promise.all([
      this.#until(`${app.id}-sidecar`, sidecar, () => sidecarReady(ports.http.port, tokens.dapr), withinMs),
      this.#until(app.id, unit, () => answers(`http://127.0.0.1:${ports.app.port}/ready`, headers), withinMs),
    ]);
    this.options.onReady?.(app.id, performance.now() - this.#began);
  }

  /** Waits for a process to be ready, and gives up on one that dies again and again. */
  async #until(name: string, unit: Unit | null, ask: () => Promise<boolean> | boolean, withinMs = READY_MS) {
    if (!unit) return;
    const tail = () =>
      unit.tail
        .slice(-8)
        .map((line) => `\n    ${line}`)
        .join("");
    const meaning = () => (unit.meaning === undefined ? "" : `\n  ${unit.meaning}`);
    const hopeless = unit.failures + HOPELESS;
    let asked = false;
    try {
      await until(
        name,
        async () => {
          if (unit.failures >= hopeless)
            throw new StartFailed(
              `${name} ends as soon as it is started. Its last words:${tail()}\n  All of them: npx souk logs ${name}${meaning()}`,
            );
          asked = true;
          return unit.pid !== null && ask();
        },
        withinMs,
        this.#run.state === "starting" ? this.options.signal : undefined,
      );
    } catch (error) {
      if (asked && error instanceof Error && error.message.includes("took longer"))
        throw new StartFailed(
          `${name} is not ready after ${withinMs / 1000} s. Its last words:${tail()}\n  All of them: npx souk logs ${name}${meaning()}`,
        );
      throw error;
    }
  }

  #unit(name: string, part: Part): Unit {
    const service = this.#services.get(name);
    const unit =
      name === "redis"
        ? this.#redis
        : name === "sentry"
          ? this.#sentry
          : name === "mail"
            ? this.#mail
            : part === "app"
              ? service?.unit
              : service?.sidecar;
    if (!unit) throw new Error(`There is no ${name} in ${this.project.file}.`);
    return unit;
  }

  #units(): Unit[] {
    const services = [...this.#services.values()].flatMap((each) => [each.unit, each.sidecar]);
    return [this.#redis, this.#sentry, this.#mail, ...services].filter((unit) => unit !== null);
  }

  #say(level: Level, text: string, aloud = true): void {
    this.#log?.write({ time: new Date().toISOString(), level, process: "souk", msg: text });
    if (this.options.say) {
      if (aloud) this.options.say(level, text);
    } else if (!this.options.quiet && aloud) console.error(text);
  }

  /** Brings run.json and the list of processes up to date. */
  #save(): void {
    const started: Started[] = [];
    for (const unit of this.#units()) if (unit.id) started.push({ name: unit.name, ...unit.id });
    const guard = this.#guard?.pid;
    if (guard) started.push({ name: "watchdog", ...identify(guard) });
    const state = (unit: Unit | null) => ({ pid: unit?.pid ?? null, state: unit?.state ?? "idle" });
    Object.assign(this.#run.redis, state(this.#redis));
    Object.assign(this.#run.sentry, state(this.#sentry));
    if (this.#run.mail) Object.assign(this.#run.mail, state(this.#mail));
    for (const [name, service] of this.#services) {
      const run = this.#run.services[name];
      if (!run) continue;
      run.pid = service.unit.pid;
      run.sidecarPid = service.sidecar.pid;
      run.state = service.unit.state;
      run.sidecarState = service.sidecar.state;
      run.restarts = service.unit.restarts;
      run.sidecarRestarts = service.sidecar.restarts;
    }
    try {
      writeProcesses(this.home, started);
      writeRun(this.home, this.#run);
    } catch (error) {
      // A folder that was removed, or a full disk, must not keep the shop from being stopped.
      if (!this.#unsaved)
        this.#say("error", `What runs cannot be written to ${this.home.dir}: ${String(error)}`);
      this.#unsaved = true;
    }
  }
}

/** Empties the file of addresses, so that nobody is sent to a sidecar of yesterday. Says whether there was one. */
function forgetAddresses(home: Home): boolean {
  if (!existsSync(home.names)) return false;
  try {
    const db = new Database(home.names, { readwrite: true });
    try {
      db.exec("DELETE FROM hosts");
      return true;
    } finally {
      db.close();
    }
  } catch (error) {
    // Half-made by a start that was killed: the first sidecar makes a new one.
    for (const suffix of ["", "-wal", "-shm"]) rmSync(`${home.names}${suffix}`, { force: true });
    if (error instanceof Error) return false;
    throw error;
  }
}

/** Whether the first sidecar has made the file of addresses and is in it. */
function knowsAddresses(home: Home): boolean {
  if (!existsSync(home.names)) return false;
  const db = new Database(home.names, { readonly: true });
  try {
    return db.query("SELECT 1 FROM hosts").get() !== null;
  } catch (error) {
    if (error instanceof Error && /no such table|locked|busy/i.test(error.message)) return false;
    throw error;
  } finally {
    db.close();
  }
}
