import type { Subscription } from "./delivery.ts";
import { type App, apps, type Plan } from "./plan.ts";
import { definitions, type Outside, Process } from "./process.ts";
import { Random } from "./random.ts";
import { surround } from "./surroundings.ts";
import { World } from "./world.ts";

/** What each service subscribes to, by its own word. */
export async function subscriptions(plan: Plan): Promise<Map<App, Subscription[]>> {
  const found = new Map<App, Subscription[]>();
  const nobody: Outside = { publish: () => undefined };
  for (const app of apps) {
    const world = new World({ ...plan, skew: {}, faults: [] });
    const process = new Process(app, world, nobody, undefined);
    process.start();
    const restore = surround(world.clock, new Random(0));
    try {
      await world.clock.next();
      const response = await process.incarnation?.running?.fetch(new Request("http://app/dapr/subscribe"));
      found.set(app, definitions[app].reactions ? ((await response?.json()) as Subscription[]) : []);
    } finally {
      restore();
      process.disk.close();
    }
  }
  return found;
}
