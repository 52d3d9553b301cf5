/** Redis, Sentry and the mail catcher alone, where the official CLI expects them. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { admitAll, dropOldCertificates, trustAnchors } from "./certificates.ts";
import { baseEnvironment } from "./environment.ts";
import { type Home, prepare, redisPassword, secretsOf, writePrivate } from "./home.ts";
import { LogFile } from "./logs.ts";
import { catcherCommand, catcherEnvironment, mailServer } from "./mail/unit.ts";
import type { Reporter } from "./obtain/index.ts";
import { obtain } from "./obtained.ts";
import { isFree, reserve } from "./ports.ts";
import { end, holderOf, identify, processesOf } from "./processes.ts";
import { readProject } from "./project.ts";
import { clearRedis, redisAnswers, writeRedisConfig } from "./redis.ts";
import { claim, leftovers, writeProcesses } from "./run.ts";
import { AlreadyRunning, PortBusy } from "./shop.ts";
import { answers, sentryCommand, until } from "./sidecar.ts";
import { Guard, Unit } from "./unit.ts";

/** Where `dapr run -f` looks for Sentry when the configuration has mTLS on; it cannot be told otherwise. */
export const SENTRY_PORT = 50_001;
export const REDIS_PORT = 46_379;
const READY_MS = 30_000;

export interface Infrastructure {
  redisPort: number;
  sentryPort: number;
  /** The page with the mails that were sent. */
  mailUrl: string;
  /** The variables that `infra.env` exports. */
  names: string[];
  stop(): Promise<void>;
}

/** Starts them, Redis and Sentry on their fixed ports, and writes `infra.env`. Throws AlreadyRunning, PortBusy, CannotObtain. */
export async function startInfrastructure(options: {
  root: string;
  home: Home;
  report?: Reporter;
  signal?: AbortSignal;
  redisPort?: number;
  sentryPort?: number;
}): Promise<Infrastructure> {
  const { home, root, report, signal } = options;
  const redisPort = options.redisPort ?? REDIS_PORT;
  const sentryPort = options.sentryPort ?? SENTRY_PORT;
  prepare(home);
  const held = claim(home);
  if (!held) throw new AlreadyRunning(home);
  const units: Unit[] = [];
  let guard: Guard | null = null;
  const stop = async () => {
    for (const unit of units.toReversed()) await unit.stop();
    await guard?.close();
    rmSync(home.processesFile, { force: true });
    held.release();
  };
  try {
    await end(leftovers(home, processesOf(home.dir)), 2_000);
    for (const port of [redisPort, sentryPort]) {
      const holder = holderOf(port);
      if (holder || !(await isFree(port)))
        throw new PortBusy(port, holder, ": the official CLI and its sidecars look for us there");
    }
    const obtained = await obtain({ report, signal });
    guard = new Guard(home.dir);
    const watch = guard;
    const make = (name: string, command: string[], env: Record<string, string>): Unit => {
      const unit = new Unit({
        name,
        command,
        cwd: home.dir,
        env: { ...baseEnvironment(home.dir), ...env },
        log: new LogFile(home.logs, name),
        say: (_, text) => report?.step(text),
        guard: watch,
        graceMs: 8_000,
      });
      unit.on("change", () =>
        writeProcesses(home, [
          ...units.flatMap((each) => (each.id ? [{ name: each.name, ...each.id }] : [])),
          ...(watch.pid ? [{ name: "watchdog", ...identify(watch.pid) }] : []),
        ]),
      );
      units.push(unit);
      return unit;
    };

    const launch = obtained.redis.launch({
      port: redisPort,
      dir: home.redis,
      configFile: writeRedisConfig(home),
    });
    await clearRedis(launch);
    await make("redis", launch.command, launch.env).start();

    dropOldCertificates(home);
    // The official CLI starts every sidecar with the same variables, so none can carry a token of its own.
    admitAll(home);
    const health = await reserve();
    await health.release();
    await make("sentry", sentryCommand(obtained.sentry, home, sentryPort, health.port), {
      NAMESPACE: "default",
    }).start();
    const [smtp, web] = await Promise.all([reserve(), reserve()]);
    await Promise.all([smtp.release(), web.release()]);
    await make("mail", catcherCommand(), catcherEnvironment(home.mail, smtp.port, web.port)).start();
    const mailUrl = `http://localhost:${web.port}`;
    await until("Mail", () => answers(`${mailUrl}/health`), READY_MS, signal);
    await until("Redis", () => redisAnswers(redisPort, redisPassword(home)), READY_MS, signal);
    await until(
      "Sentry",
      async () => trustAnchors(home) !== null && answers(`http://127.0.0.1:${health.port}/healthz`),
      READY_MS,
      signal,
    );

    for (const app of readProject(root).apps) secretsOf(home, app.id);
    for (const suffix of ["", "-wal", "-shm"]) rmSync(`${home.names}${suffix}`, { force: true });
    const tokens = secretsOf(home, "infra");
    const variables: Record<string, string> = {
      DAPR_TRUST_ANCHORS: trustAnchors(home) ?? "",
      DAPR_HOST_IP: "127.0.0.1",
      DAPR_API_TOKEN: tokens["dapr-api-token"],
      APP_API_TOKEN: tokens["app-api-token"],
      NAMESPACE: "default",
      SOUK_REDIS: `127.0.0.1:${redisPort}`,
      // daprd puts the name of its app in.
      SOUK_SECRETS: join(home.secrets, "{appID}.json"),
      SOUK_NAMES: home.names,
      SOUK_HOME: home.dir,
      ...mailServer(smtp.port),
    };
    const quote = (value: string) => `'${value.replaceAll("'", "'\\''")}'`;
    writePrivate(
      join(home.dir, "infra.env"),
      [
        ...Object.entries(variables).map(([name, value]) => `export ${name}=${quote(value)}`),
        `export PATH=${quote(join(root, "node_modules/.bin"))}:"$PATH"`,
        'export NO_PROXY="localhost,127.0.0.1,::1,$NO_PROXY"',
        "",
      ].join("\n"),
    );
    return { redisPort, sentryPort, mailUrl, names: [...Object.keys(variables), "PATH", "NO_PROXY"], stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
