import type { Process } from "./process.ts";
import type { World } from "./world.ts";

/** What a service answers. */
export interface Answer {
  status: number;
  body: string;
  headers: Headers;
}

/**
 * Sends a request to a service as its sidecar would. `answered` hears nothing when the process dies before it has
 * answered, and `undefined` when there is none.
 */
export function call(
  world: World,
  to: Process,
  name: string,
  request: () => Request,
  answered: (answer: Answer | undefined) => void,
): void {
  world.clock.after(world.latency(), undefined, () => {
    const { incarnation } = to;
    const running = incarnation?.running;
    if (!incarnation?.alive || !running || incarnation.stopping) {
      world.clock.after(world.latency(), undefined, () => answered(undefined));
      return;
    }
    const serve = async () => {
      const response = await running.fetch(request());
      const body = await response.text();
      if (!incarnation.alive) return;
      const answer = { status: response.status, body, headers: response.headers };
      world.clock.after(world.latency(), undefined, () => answered(answer));
    };
    world.clock.after(0, incarnation, serve, name);
  });
}
