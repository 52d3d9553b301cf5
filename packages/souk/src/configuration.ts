/** Flags and limits of a running shop: what its services declare, and what is set in the store that they watch. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { RedisClient } from "bun";
import type { Project } from "./project.ts";

/** As a service declares it, in its `contract/flags.json`. */
export interface Declared {
  key: string;
  says: string;
  default: unknown;
  /** The services that heed it. */
  services: string[];
}

/** A flag as a service's code has it. */
interface Flag {
  key: string;
  read(text: string): { value: unknown; refused?: undefined } | { refused: string };
}

/** What the services of a project declare, by name. */
export function declaredFlags({ apps }: Pick<Project, "apps">): Declared[] {
  const found = new Map<string, Declared>();
  for (const { id, dir } of apps) {
    const path = join(dir, "contract/flags.json");
    if (!existsSync(path)) continue;
    for (const flag of JSON.parse(readFileSync(path, "utf8")) as Omit<Declared, "services">[]) {
      const known = found.get(flag.key);
      if (known) known.services.push(id);
      else found.set(flag.key, { ...flag, services: [id] });
    }
  }
  return [...found.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
}

/** What every service that heeds a flag says against a text; undefined when all can read it. */
export async function refusal(
  { apps }: Pick<Project, "apps">,
  { key, services }: Declared,
  text: string,
): Promise<string | undefined> {
  if (text === "") return "an empty text is none: unset it";
  // Dapr's component takes what follows for a version.
  if (text.includes("||")) return "it must not hold ||";
  for (const { dir } of apps.filter(({ id }) => services.includes(id))) {
    const { default: definition } = (await import(join(dir, "service.ts"))) as {
      default: { flags?: Flag[] };
    };
    const refused = definition.flags?.find((flag) => flag.key === key)?.read(text).refused;
    if (refused !== undefined) return refused;
  }
  return undefined;
}

/** The store that Dapr's component reads. */
export interface ConfigurationStore {
  /** The texts that are set, by key. */
  all(keys: string[]): Promise<Record<string, string>>;
  set(key: string, text: string): Promise<void>;
  unset(key: string): Promise<void>;
  /** Makes keys that are not there empty: the component logs each look at one that is missing. */
  make(keys: string[]): Promise<void>;
  close(): void;
}

/** Opens the store of a shop: its private Redis. */
export function configurationStore(redis: { port: number; password: string }): ConfigurationStore {
  const client = new RedisClient(`redis://:${encodeURIComponent(redis.password)}@127.0.0.1:${redis.port}`, {
    connectionTimeout: 2_000,
  });
  return {
    async all(keys) {
      if (keys.length === 0) return {};
      const texts = (await client.send("MGET", keys)) as (string | null)[];
      return Object.fromEntries(
        keys.flatMap((key, at) => {
          // What somebody else wrote may have a version.
          const [text = ""] = (texts[at] ?? "").split("||");
          return text === "" ? [] : [[key, text]];
        }),
      );
    },
    set: async (key, text) => void (await client.send("SET", [key, text])),
    unset: async (key) => void (await client.send("SET", [key, ""])),
    async make(keys) {
      await Promise.all(keys.map((key) => client.send("SET", [key, "", "NX"])));
    },
    close: () => client.close(),
  };
}
