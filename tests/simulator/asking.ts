import { type Answer, call } from "./call.ts";
import type { App } from "./plan.ts";
import type { Process } from "./process.ts";
import type { World } from "./world.ts";

/** A request, and what makes it safe to send again. */
export interface Ask {
  name: string;
  app: App;
  method: string;
  path: string;
  body?: string;
  type?: string;
  /** Makes it safe to ask again. */
  key?: string;
  ifMatch?: string | null;
  /** Staff, when nothing is said. */
  by?: "staff" | "customer";
}

const patience = 5_000;

/** Sends requests as a careful client does: until there is an answer, with the same Idempotency-Key. */
export class Asking {
  readonly #world: World;
  readonly #processes: ReadonlyMap<App, Process>;

  constructor(world: World, processes: ReadonlyMap<App, Process>) {
    this.#world = world;
    this.#processes = processes;
  }

  #mayFail(app: App): boolean {
    return this.#world.plan.faults.some((fault) => fault.do === "disk-errors" && fault.app === app);
  }

  /** Asks until there is an answer that is one. */
  ask(ask: Ask, answered: (answer: Answer) => unknown): void {
    const { clock, dice } = this.#world;
    const process = this.#processes.get(ask.app) as Process;
    let over = false;
    const again = (ms: number) => {
      over = true;
      clock.after(ms, undefined, () => this.ask(ask, answered));
    };
    const timeout = clock.after(patience, undefined, () => {
      if (over) return;
      this.#world.say("client", `${ask.name}: ${ask.method} ${ask.path} got no answer`);
      again(0);
    });
    // On its way there.
    if (dice.chance(this.#world.network.unanswered)) return;
    call(
      this.#world,
      process,
      ask.name,
      () => requestOf(ask),
      (answer) => {
        // On its way back.
        if (over || (answer && dice.chance(this.#world.network.unanswered))) return;
        timeout.cancelled = true;
        if (answer === undefined) return again(300);
        this.#world.say("client", `${ask.name}: ${ask.method} ${ask.path}: ${answer.status}${brief(answer)}`);
        const { status } = answer;
        if (status >= 500 && status !== 503 && !this.#mayFail(ask.app))
          this.#world.violate(`${ask.method} ${ask.path} is answered ${status}`);
        if (status >= 500 || (status === 409 && answer.body.includes('"in-progress"'))) return again(300);
        over = true;
        answered(answer);
      },
    );
  }
}

function requestOf({ method, path, body, type, key, ifMatch, by = "staff" }: Ask): Request {
  const headers: Record<string, string> = { authorization: `Bearer ${by}`, traceparent };
  if (body !== undefined) {
    headers["content-type"] = type ?? "application/json";
    headers["content-length"] = String(body.length);
  }
  if (key !== undefined) headers["idempotency-key"] = key;
  if (ifMatch) headers["if-match"] = ifMatch;
  return new Request(`http://app${path}`, { method, headers, body });
}

const traceparent = "00-11111111111111111111111111111111-2222222222222222-01";

function brief({ status, body }: Answer): string {
  try {
    const { id, code } = JSON.parse(body) as { id?: string; code?: string };
    return status < 300 ? (id ? ` ${id}` : "") : ` ${code ?? ""}`;
  } catch {
    return "";
  }
}
