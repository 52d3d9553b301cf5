/** The keyrings of encrypted fields in the secret files of an installation. */
import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { type Home, readJson, secretsFile, writeLasting } from "./home.ts";

export interface Keyring {
  current: string;
  keys: Record<string, string>;
}

/** The services that have a keyring. */
export function keyringsIn(home: Home): string[] {
  if (!existsSync(home.secrets)) return [];
  return readdirSync(home.secrets)
    .filter((file) => file.endsWith(".json"))
    .map((file) => file.slice(0, -".json".length))
    .filter((app) => readJson<{ fields?: string }>(secretsFile(home, app))?.fields !== undefined)
    .sort();
}

export function keyringOf(home: Home, app: string): Keyring {
  const { fields } = JSON.parse(readFileSync(secretsFile(home, app), "utf8")) as { fields: string };
  return JSON.parse(fields) as Keyring;
}

/** Changes the keyring of a service in its secret file, and nothing else there. */
export function changeKeyring(home: Home, app: string, change: (ring: Keyring) => Keyring): Keyring {
  const secrets = JSON.parse(readFileSync(secretsFile(home, app), "utf8")) as Record<string, string>;
  const ring = change(keyringOf(home, app));
  const text = JSON.stringify({ ...secrets, fields: JSON.stringify(ring) }, null, 2);
  writeLasting(secretsFile(home, app), `${text}\n`);
  return ring;
}

/** With one more key, which is not in use yet; the same, when there is such a key already. */
export function withNext(ring: Keyring): Keyring {
  const last = newest(ring);
  if (last !== ring.current) return ring;
  const id = `k${numberOf(last) + 1}`;
  return { ...ring, keys: { ...ring.keys, [id]: randomBytes(32).toString("base64url") } };
}

/** With its newest key in use. */
export const withNewest = (ring: Keyring): Keyring => ({ ...ring, current: newest(ring) });

/** With the key that is in use, and no other. */
export const withCurrentOnly = ({ current, keys }: Keyring): Keyring => ({
  current,
  keys: { [current]: keys[current] ?? "" },
});

const numberOf = (id: string): number => Number(/^k(\d+)$/.exec(id)?.[1] ?? 0);
const newest = ({ current, keys }: Keyring): string =>
  Object.keys(keys).reduce((best, id) => (numberOf(id) > numberOf(best) ? id : best), current);
