import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Who tells what, and who is told: as the services' contracts say. */
export interface Contracts {
  /** Services that keep something. */
  keepers: string[];
  /** Where a type of event is published. */
  topicOf(type: string): string;
  /** The services that keep something and receive events of a type. */
  subscribersOf(topic: string, type: string): string[];
  /** The types of the events that a service receives. */
  receivedBy(service: string): Set<string>;
}

interface EventsFile {
  events: { topic: string; type: string }[];
  receives: { topic: string; type: string }[];
}

/** Reads `contract/events.json` of every service. A service keeps something when it has migrations. */
export function readContracts(root: string): Contracts {
  const folder = join(root, "services");
  const keepers = readdirSync(folder).filter((name) => existsSync(join(folder, name, "migrations")));
  const subscribers = new Map<string, string[]>();
  const received = new Map<string, Set<string>>();
  const topics = new Map<string, string>();
  for (const name of keepers) {
    const { events, receives } = JSON.parse(
      readFileSync(join(folder, name, "contract/events.json"), "utf8"),
    ) as EventsFile;
    for (const { topic, type } of events) topics.set(type, topic);
    received.set(name, new Set(receives.map(({ type }) => type)));
    for (const { topic, type } of receives) {
      const key = `${topic} ${type}`;
      subscribers.set(key, [...(subscribers.get(key) ?? []), name]);
    }
  }
  return {
    keepers,
    topicOf: (type) => topics.get(type) ?? "",
    subscribersOf: (topic, type) => subscribers.get(`${topic} ${type}`) ?? [],
    receivedBy: (service) => received.get(service) ?? new Set(),
  };
}
