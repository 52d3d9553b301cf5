import { providers } from "../../services/payments/providers/index.ts";
import type { Provider } from "../../services/payments/providers/provider.ts";
import type { TestProvider } from "../../services/payments/providers/test.ts";
import type { Bug } from "./bug.ts";
import { Dead, type Incarnation, type Process } from "./process.ts";
import type { World } from "./world.ts";

/**
 * Puts a network between payments and its provider: calls take time, and some get lost on their way there or back.
 * @returns the provider itself, whose book outlives the processes that call it
 */
export function provide(world: World, payments: Process, bug: Bug | undefined): TestProvider {
  const all = providers(payments.config) as Map<string, Provider>;
  const inner = all.get("test") as TestProvider;
  const carry =
    <R extends { orderId: string }, A>(
      name: string,
      perform: (request: R, signal: AbortSignal) => Promise<A>,
    ) =>
    async (request: R, signal: AbortSignal): Promise<A> => {
      const caller = world.clock.current as Incarnation;
      caller.step("before", `${name} of ${request.orderId}`);
      await passing(world);
      if (world.dice.chance(world.network.unanswered)) throw new Error("The provider cannot be reached");
      const answer = await perform(request, signal);
      world.say("provider", `${name} ${request.orderId}: ${said(answer)}`);
      caller.step("after", `${name} of ${request.orderId}`);
      await passing(world);
      if (world.dice.chance(world.network.unanswered)) throw new Error("The provider's answer got lost");
      if (!caller.alive) throw new Dead();
      return answer;
    };
  const outer: Provider = {
    authorise: carry("authorise", (request, signal) => inner.authorise(request, signal)),
    capture: carry("capture", (request, signal) => inner.capture(request, signal)),
    void: carry("void", (request, signal) => inner.void(request, signal)),
    renew: carry("renew", (request, signal) => inner.renew(request, signal)),
    refund: carry("refund", (request, signal) => inner.refund(request, signal)),
    askedSince: (since, page) => inner.askedSince(since, page),
    statement: (orderId) => inner.statement(orderId),
  };
  all.set("test", bug?.provider?.(outer) ?? outer);
  return inner;
}

/** Times are left out: they are another run's. */
const said = (answer: unknown): string =>
  typeof answer === "object" ? JSON.stringify({ ...answer, until: undefined }) : String(answer);

const passing = (world: World): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, world.latency());
  });
