import { call } from "./call.ts";
import { apps } from "./plan.ts";
import { definitions, type Process } from "./process.ts";
import { processOf, type Shop } from "./shop.ts";

/** The sidecars' cron bindings: each schedule of each service ticks, by two sidecars at once now and then. */
export function tickAll(shop: Shop): void {
  for (const app of apps)
    for (const name of Object.keys(definitions[app].crons ?? {})) {
      const ms = (shop.world.plan.ticks as Record<string, number>)[name];
      if (ms === undefined) throw new Error(`A plan has to say how often ${name} of ${app} ticks`);
      tick(shop, processOf(shop, app), name, ms);
    }
}

function tick(shop: Shop, process: Process, name: string, ms: number): void {
  const { world } = shop;
  const { clock, dice } = world;
  clock.after(ms, undefined, () => {
    const readTimeUTC = new Date(clock.now).toISOString().replace("T", " ").replace("Z", " +0000 UTC");
    const headers = { "content-type": "application/json", "content-length": "2", readTimeUTC };
    const request = () => new Request(`http://app/_crons/${name}`, { method: "POST", headers, body: "{}" });
    for (let sidecars = dice.chance(0.2) ? 2 : 1; sidecars > 0; sidecars--)
      call(world, process, `${name} ${Math.round(world.elapsed)}`, request, () => undefined);
    tick(shop, process, name, ms);
  });
}
