import type { Kit } from "chassis";
import { behind } from "./ways.ts";

/** What runs here, and how it is. */
export interface State {
  name: string;
  up: boolean;
  /** What is wrong, where something is. */
  detail?: string;
}

const holdsFor = 1_000;
const patience = 2_000;

/** Asks every service how it is, at most once a second. */
export class Readiness {
  #last: { states: Promise<State[]>; at: number } | undefined;

  /** Every service behind the gateway, and the broker as they see it. */
  states<S>(kit: Pick<Kit<S>, "sidecar" | "now">): Promise<State[]> {
    const now = kit.now();
    if (this.#last === undefined || Math.abs(now - this.#last.at) >= holdsFor)
      this.#last = { states: ask(kit), at: now };
    return this.#last.states;
  }
}

interface Dependency {
  status: string;
  detail?: string;
}

async function ask<S>(kit: Pick<Kit<S>, "sidecar">): Promise<State[]> {
  const asked = await Promise.all([...behind].sort().map((name) => one(kit, name)));
  const broker = asked.map(({ broker }) => broker).find((seen) => seen !== undefined && seen.status !== "up");
  return [
    ...asked.map(({ state }) => state),
    { name: "broker", up: broker === undefined, ...(broker?.detail ? { detail: broker.detail } : {}) },
  ];
}

async function one<S>(
  { sidecar }: Pick<Kit<S>, "sidecar">,
  name: string,
): Promise<{ state: State; broker?: Dependency }> {
  try {
    const response = await sidecar.fetch(`http://${name}/ready`, { timeout: patience });
    const said = (await response.json()) as { dependencies?: Record<string, Dependency> };
    if (said.dependencies === undefined)
      return { state: { name, up: false, detail: "it cannot be reached" } };
    const down = Object.entries(said.dependencies).filter(
      ([what, { status }]) => what !== "broker" && status !== "up",
    );
    const detail = down.map(([what, { detail }]) => (detail ? `${what}: ${detail}` : what)).join("; ");
    return {
      state: { name, up: response.ok, ...(response.ok ? {} : { detail: detail || "it is not ready" }) },
      broker: said.dependencies.broker,
    };
  } catch (error) {
    const detail =
      error instanceof Error && error.name === "InvocationTimeout"
        ? "it does not answer"
        : "it cannot be reached";
    return { state: { name, up: false, detail } };
  }
}
