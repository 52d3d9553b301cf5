import { isAbsolute, join } from "node:path";
import { Cache, cacheFolder } from "./cache.ts";
import { isExecutable, onPath, run } from "./exec.ts";
import { attempt } from "./passed-over.ts";
import { aptKey, type Distribution, readDistribution, redisByApt, redisInEntry } from "./redis-apt.ts";
import { redisByDocker } from "./redis-docker.ts";
import { CannotObtain, type Environment, type ObtainOptions, type Redis, type Reporter } from "./types.ts";
import { within } from "./versions.ts";

/** Streams with XAUTOCLAIM, which Dapr's Redis component uses. */
const OLDEST = "6.2.0";
const NAMES = ["redis-server", "valkey-server"] as const;

/**
 * A Redis or Valkey server to start: the one of REDIS_SERVER or PATH, else an earlier one from the cache, else a
 * Docker container, else Debian's package unpacked into the cache.
 *
 * Throws CannotObtain when no way is left, and the signal's reason when it is aborted.
 */
export async function obtainRedis(options: ObtainOptions & { distribution?: Distribution }): Promise<Redis> {
  const env = options.env ?? process.env;
  const { report, signal } = options;
  const context = { env, report, signal, distribution: options.distribution ?? readDistribution() };
  const redis = (await findRedis(context)) ?? (await obtainNew(new Cache(cacheFolder(env)), context));
  report.step(`${redis.kind} ${redis.version}: ${redis.from}`);
  return redis;
}

interface Context {
  distribution: Distribution;
  env: Environment;
  report: Reporter;
  signal?: AbortSignal;
}

async function findRedis(context: Context): Promise<Redis | null> {
  const { env, report } = context;
  const list = NAMES.flatMap((name) => onPath(name, env)).map((path) => ({ path, from: "PATH" }));
  if (env.REDIS_SERVER) {
    const given = isAbsolute(env.REDIS_SERVER) ? env.REDIS_SERVER : join(process.cwd(), env.REDIS_SERVER);
    const named = isExecutable(given) ? given : onPath(env.REDIS_SERVER, env)[0];
    if (named) list.unshift({ path: named, from: "REDIS_SERVER" });
    else report.step(`REDIS_SERVER names ${env.REDIS_SERVER}, which is no program: passed over`);
  }
  for (const { path, from } of list) {
    const server = await askServer(path, {}, context);
    if (server && within(server.version, OLDEST)) {
      return { ...server, origin: "found", from: `${from} (${path})`, launch: launcher([path], {}) };
    }
    const what = server ? `is version ${server.version}` : "does not say its version";
    report.step(`${path} (${from}) ${what}; ${OLDEST} or newer is needed: passed over`);
  }
  return null;
}

async function obtainNew(cache: Cache, context: Context): Promise<Redis> {
  const { report, signal } = context;
  const earlier = await unpacked(cache, context);
  if (earlier) return { ...earlier, origin: "cache", from: `the cache (${earlier.from})` };

  const reasons = [`found: no redis-server or valkey-server from ${OLDEST} at REDIS_SERVER or on PATH`];
  const say = (text: string) => report.step(text);
  const container = await attempt("Docker", reasons, say, () => redisByDocker(context));
  if (container) return container;

  const byApt = await cache.alone("redis", { report, signal, what: "Redis" }, async (work) => {
    // Whoever had the lock before may have put it there.
    if (await unpacked(cache, context)) return true;
    return attempt("apt-get", reasons, say, async () => {
      await redisByApt(cache, work, context, (path, libraries) => askServer(path, libraries, context));
      return true;
    });
  });
  const redis = byApt ? await unpacked(cache, context) : null;
  if (!redis) throw new CannotObtain(noWayLeft(reasons));
  return { ...redis, from: `unpacked by apt-get and dpkg-deb into ${redis.from}` };
}

/** What an earlier apt-get left in the cache, if it still runs: it may lean on libraries of the system. */
async function unpacked(cache: Cache, context: Context): Promise<Redis | null> {
  const entry = await cache.entry(aptKey(context.distribution));
  if (!entry) return null;
  const { path, env } = redisInEntry(entry);
  const server = await askServer(path, env, context);
  if (!server) return null;
  return { ...server, origin: "apt", from: entry.folder, launch: launcher([path], env) };
}

async function askServer(path: string, env: Record<string, string>, context: Context) {
  const options = { env: { ...context.env, ...env }, signal: context.signal, timeoutMs: 5_000 };
  const asked = await run(path, ["--version"], options);
  const version = /\bv=(\d+\.\d+\.\d+)/.exec(asked.stdout)?.[1];
  const kind: Redis["kind"] = /valkey/i.test(asked.stdout + path) ? "valkey" : "redis";
  return version ? { version, kind } : null;
}

const launcher =
  (program: string[], env: Record<string, string>): Redis["launch"] =>
  ({ port, dir, configFile }) => ({
    command: [
      ...program,
      ...(configFile ? [configFile] : []),
      ...["--port", String(port), "--bind", "127.0.0.1", "--dir", dir],
      ...["--daemonize", "no"],
    ],
    env,
  });

/**
 * The lines of a redis.conf for a broker that loses no accepted event: the log is synced at every command, nothing
 * is evicted, and only those who know the password come in.
 */
export const durableRedis = (password: string): string =>
  [
    `requirepass ${password}`,
    "appendonly yes",
    "appendfsync always",
    "no-appendfsync-on-rewrite no",
    // What a crash cut off was never answered; damage anywhere else is refused.
    "aof-load-truncated yes",
    'save ""',
    "maxmemory-policy noeviction",
    "",
  ].join("\n");

const noWayLeft = (reasons: string[]) =>
  `No Redis can be had here:
${reasons.map((reason) => `  - ${reason}`).join("\n")}
Any one of these will do:
  - Redis or Valkey from ${OLDEST} on PATH: brew install redis, apt-get install redis-server, dnf install valkey, …
  - REDIS_SERVER=<the path of a redis-server or valkey-server>
  - a Docker that answers
  - on Debian and Ubuntu: a network that reaches the package archive`;
