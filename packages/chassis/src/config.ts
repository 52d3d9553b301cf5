/** Everything a service is told from outside, read once when it starts; nothing else reads the environment. */
export interface Config {
  /** App id, as in `dapr.yaml`. */
  name: string;
  /** Port on which the sidecar reaches the app; 0 picks a free one. */
  appPort: number;
  /** Address to listen on. The app port stays on loopback whatever this says; only a public port may follow it. */
  host: string;
  /** Port of the public face, for a service that has one. */
  publicPort: number;
  /** Base URL under which clients reach the shop; also the issuer of its tokens. */
  publicUrl: string;
  /** Folder of the service's SQLite file. */
  dataDir: string;
  /** PostgreSQL connection string, with the service's name for `{appID}`; without it the service keeps a SQLite file. */
  databaseUrl?: string;
  /** Token that the sidecar shows to the app. */
  appToken?: string;
  logLevel: string;
  development: boolean;
  /** What is left of the environment, for settings that only one service knows. */
  env: Readonly<Record<string, string | undefined>>;
}

/** @throws {Error} naming the variable that cannot be read as what it should be */
export function readConfig(name: string, env: Record<string, string | undefined> = process.env): Config {
  const publicPort = port(env, "PORT", 8080);
  const appId = env.APP_ID ?? name;
  return {
    name: appId,
    appPort: port(env, "APP_PORT", 0),
    host: env.HOST ?? "127.0.0.1",
    publicPort,
    publicUrl: (env.PUBLIC_URL ?? `http://localhost:${publicPort}`).replace(/\/+$/, ""),
    dataDir: env.SOUK_DATA ?? ".",
    // Services share a server, never a database: their tables have the same names.
    databaseUrl: env.DATABASE_URL?.replaceAll("{appID}", appId) || undefined,
    appToken: env.APP_API_TOKEN || undefined,
    logLevel: env.LOG_LEVEL ?? "info",
    development: (env.NODE_ENV ?? "development") === "development",
    env,
  };
}

/** A whole number of an own setting, in the unit that its name says. */
export function integer(config: Config, name: string, fallback: number): number {
  const raw = config.env[name];
  if (raw === undefined || raw === "") return fallback;
  const value = Number(raw);
  if (!Number.isSafeInteger(value) || value < 0)
    throw new Error(`${name} must be a whole number, not "${raw}"`);
  return value;
}

function port(env: Record<string, string | undefined>, name: string, fallback: number): number {
  const raw = env[name];
  if (raw === undefined || raw === "") return fallback;
  const value = Number(raw);
  if (!Number.isInteger(value) || value < 0 || value > 65535) {
    throw new Error(`${name} must be a port number (0-65535), not "${raw}"`);
  }
  return value;
}
