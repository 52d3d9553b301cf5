/** The folder in which a shop keeps everything: `.souk` of the checkout, or SOUK_HOME. */
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";

export interface Home {
  dir: string;
  /** The databases of the services. */
  data: string;
  logs: string;
  redis: string;
  certs: string;
  secrets: string;
  /** What the mail catcher has caught. */
  mail: string;
  /** Who finds whom: the sidecars' file of addresses. */
  names: string;
  /** The process that starts, runs or ends what is here, from its first moment on. */
  runnerFile: string;
  /** What runs now, for other commands and for tests. */
  runFile: string;
  /** What was started, to end what a killed runner left. */
  processesFile: string;
  devClient: string;
  /** How to sign in as the first admin, in development. */
  devAdmin: string;
}

/** Where a shop of the checkout `root` keeps its things. Nothing is created. */
export function homeOf(root: string, dir = process.env.SOUK_HOME): Home {
  const base = dir ? resolve(dir) : join(root, ".souk");
  return {
    dir: base,
    data: join(base, "data"),
    logs: join(base, "logs"),
    redis: join(base, "redis"),
    certs: join(base, "certs"),
    secrets: join(base, "secrets"),
    mail: join(base, "mail"),
    names: join(base, "names.db"),
    runnerFile: join(base, "runner.json"),
    runFile: join(base, "run.json"),
    processesFile: join(base, "processes.json"),
    devClient: join(base, "dev-client.json"),
    devAdmin: join(base, "dev-admin.json"),
  };
}

/** Creates the folders, readable by their owner only. */
export function prepare(home: Home): void {
  for (const dir of [home.dir, home.data, home.logs, home.redis, home.certs, home.secrets]) {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    if ((statSync(dir).mode & 0o077) !== 0) chmodSync(dir, 0o700);
  }
}

const kept = ["runner.json", "start.out"];

/** Forgets everything but the lock, who has it, and what a waiting `up --detach` reads. */
export function forget(home: Home): void {
  if (!existsSync(home.dir)) return;
  for (const name of readdirSync(home.dir)) {
    if (!name.startsWith("lock.db") && !kept.includes(name))
      rmSync(join(home.dir, name), { recursive: true, force: true });
  }
}

/** Writes a file for its owner's eyes only, whole or not at all. */
export function writePrivate(path: string, text: string | Uint8Array, { flush = false } = {}): void {
  const draft = `${path}.${process.pid}.new`;
  writeFileSync(draft, text, { mode: 0o600, flush });
  renameSync(draft, path);
}

/**
 * As `writePrivate`, and on the disk when it returns: what is sealed with a key that a power cut takes back can never be
 * opened.
 */
export function writeLasting(path: string, text: string): void {
  writePrivate(path, text, { flush: true });
  const folder = openSync(dirname(path), "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/** A JSON file, or null when it is missing. Throws SyntaxError when it is not JSON. */
export function readJson<T>(path: string): T | null {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as T;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}

/** The secrets of one service in this installation, as its secret store shows them. */
export interface Secrets {
  "redis-password": string;
  /** Between the service and its sidecar: the service sends it. */
  "dapr-api-token": string;
  /** Between the service and its sidecar: the sidecar sends it. */
  "app-api-token": string;
  /** 32 random bytes (base64url) for what the service wants to sign or encrypt. */
  key: string;
  /** The keys of encrypted fields, as chassis reads them: JSON with a `current` id and 32 bytes (base64url) by id. */
  fields: string;
  /** 32 random bytes each (hex): the keys with which its sidecar encrypts what it keeps in the state store. */
  "state-1": string;
  "state-2": string;
  /** Of identity: what its lookup digests are keyed with. Another value finds nobody again, so it stays. */
  index?: string;
  /** Of identity and notifications: seals what is to be mailed. */
  mail?: string;
  /** Of orders and payments: the keys, as in `fields`, that seal the token by which a customer pays. */
  "payment-tokens"?: string;
  /** Of shipping: JSON, what each carrier signs its webhooks with (Standard Webhooks), by the carrier's name. */
  "carrier-webhooks"?: string;
}

/** Which services have a secret that not every service has. It is the same for all of them. */
const sharedSecrets = {
  "payment-tokens": ["orders", "payments"],
  index: ["identity"],
  mail: ["identity", "notifications"],
};

/** Where the secret store of a service reads. */
export function secretsFile(home: Home, app: string): string {
  return join(home.secrets, `${app}.json`);
}

/** The secrets of a service, made when they are asked for the first time. */
export function secretsOf(home: Home, app: string): Secrets {
  const path = secretsFile(home, app);
  const known = readJson<Partial<Secrets>>(path) ?? {};
  const secrets: Secrets = {
    // What somebody has put there besides, for a service that needs more, stays.
    ...known,
    "redis-password": redisPassword(home),
    "dapr-api-token": known["dapr-api-token"] ?? random(),
    "app-api-token": known["app-api-token"] ?? random(),
    key: known.key ?? random(),
    fields: known.fields ?? keyring(),
    "state-1": known["state-1"] ?? hex(),
    "state-2": known["state-2"] ?? hex(),
  };
  for (const name of ["payment-tokens", "index", "mail"] as const) {
    // A backup has them in the services' files only: what was sealed with them must open after a restore.
    if (sharedSecrets[name].includes(app))
      secrets[name] = shared(
        home,
        name,
        () => known[name] ?? (name === "payment-tokens" ? keyring : random)(),
      );
  }
  // A carrier to try it with; real ones are put there by whoever has a contract with them.
  if (app === "shipping") secrets["carrier-webhooks"] ??= JSON.stringify({ test: `whsec_${base64()}` });
  const text = `${JSON.stringify(secrets, null, 2)}\n`;
  if (!existsSync(path) || readFileSync(path, "utf8") !== text) writeLasting(path, text);
  return secrets;
}

export const redisPassword = (home: Home): string => shared(home, "redis-password");

/** A secret that several have, made when it is asked for the first time. */
function shared(home: Home, name: string, make = random): string {
  const path = join(home.secrets, name);
  if (!existsSync(path)) writeLasting(path, make());
  return readFileSync(path, "utf8").trim();
}

const hex = (): string => randomBytes(32).toString("hex");
const base64 = (): string => randomBytes(32).toString("base64");
const keyring = (): string => JSON.stringify({ current: "k1", keys: { k1: random() } });

function random(): string {
  return randomBytes(32).toString("base64url");
}
