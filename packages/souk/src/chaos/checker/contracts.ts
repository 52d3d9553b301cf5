import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Who tells what, and who is told: as the services' contracts say. */
export interface Contracts {
  /** Services that keep something. */
  keepers: string[];
  /** The services that keep something and receive events of a type. */
  subscribersOf(topic: string, type: string): string[];
  /** The types of the events that a service receives. */
  receivedBy(service: string): Set<string>;
}

interface EventsFile {
  receives: { topic: string; type: string }[];
}

/** Reads `contract/events.json` of every service. A service keeps something when it has migrations. */
export function readContracts(root: string): Contracts {
  const folder = join(root, "services");
  const keepers = readdirSync(folder).filter((name) => existsSync(join(folder, name, "migrations")));
  const subscribers = new Map<string, string[]>();
  const received = new Map<string, Set<string>>();
  for (const name of keepers) {
    const { receives } = JSON.parse(
      readFileSync(join(folder, name, "contract/events.json"), "utf8"),
    ) as EventsFile;
    received.set(name, new Set(receives.map(({ type }) => type)));
    for (const { topic, type } of receives) {
      const key = `${topic} ${type}`;
      subscribers.set(key, [...(subscribers.get(key) ?? []), name]);
    }
  }
  return {
    keepers,
    subscribersOf: (topic, type) => subscribers.get(`${topic} ${type}`) ?? [],
    receivedBy: (service) => received.get(service) ?? new Set(),
  };
}
