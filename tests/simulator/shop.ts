import type { TestProvider } from "../../services/payments/providers/test.ts";
import type { Broker } from "./broker.ts";
import type { Clients } from "./clients.ts";
import type { App } from "./plan.ts";
import type { Process } from "./process.ts";
import type { World } from "./world.ts";

/** A simulated shop, with all that is around it. */
export interface Shop {
  world: World;
  processes: ReadonlyMap<App, Process>;
  broker: Broker;
  clients: Clients;
  book: TestProvider;
}

export const processOf = ({ processes }: Shop, app: App): Process => processes.get(app) as Process;

const times =
  /"(at|askedAt|time|until|placed_at|made_at|counted_at|expires_at|touched_at)":("[^"]*"|-?\d+|null),?/g;

/**
 * All rows of all services, the provider's book too, as lines in order. Times are left out, and events go by what they
 * say instead of their ids, so that runs of one shop in which things came in another order can be compared.
 */
export function stores({ processes, broker, book }: Shop): Record<App, string[]> {
  const events = new Map<string, string>();
  for (const owed of broker.owed.values())
    for (const [id, { type, subject, data }] of owed)
      events.set(id, `${type} ${subject} ${JSON.stringify(data)}`);
  const kept = {} as Record<App, string[]>;
  for (const [app, { disk }] of processes) {
    const tables = disk.rows<{ name: string }>(
      "select name from sqlite_master where type = 'table' and name not in ('sqlite_sequence', 'outbox_migrations', 'idempotency', 'reconciliations')",
    );
    kept[app] = tables
      .flatMap(({ name }) =>
        disk.rows(`select * from "${name}"`).map((row) => {
          if (typeof row.state === "string") row.state = JSON.parse(row.state);
          // That of all parcels of the order when this one changed: two may arrive in either order.
          if (name === "shipments") delete row.version;
          if (name === "outbox_inbox") row.event = events.get(String(row.event)) ?? String(row.event);
          return `${name} ${JSON.stringify(row).replace(times, "")}`;
        }),
      )
      .sort();
  }
  kept.payments.push(
    ...book
      .book()
      .map((line) => `book ${JSON.stringify(line).replace(times, "")}`)
      .sort(),
  );
  return kept;
}
