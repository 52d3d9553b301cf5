/** Does to a running shop what a plan of faults says, and sees to it that each of them ends. */
import { setTimeout as pause } from "node:timers/promises";
import type { Link, Shop } from "../shop.ts";
import { type Cut, describe, type Fault, type Target } from "./faults.ts";
import type { PostgresServer } from "./postgres.ts";
import type { Wire } from "./wire.ts";

/** The wires of a shop by service and link. */
export class Wires {
  readonly #wires = new Map<string, Wire[]>();
  readonly #lay: (port: number) => Promise<Wire>;

  constructor(lay: (port: number) => Promise<Wire>) {
    this.#lay = lay;
  }

  /** Lays one more. @returns the port to connect to */
  async lay(app: string, link: Cut, port: number): Promise<number> {
    const laid = await this.#lay(port);
    const key = `${app} ${link}`;
    this.#wires.set(key, [...(this.#wires.get(key) ?? []), laid]);
    return laid.port;
  }

  route = ({ app, from, to }: Link, port: number): Promise<number> =>
    this.lay(app, to === "app" || to === "sidecar" ? "app-sidecar" : (`${from}-${to}` as Cut), port);

  of(app: string, link: Cut): Wire[] {
    return this.#wires.get(`${app} ${link}`) ?? [];
  }

  close(): void {
    for (const wire of [...this.#wires.values()].flat()) wire.close();
  }
}

/** A fault that happened. Times in milliseconds since the epoch. */
export interface Happened {
  what: string;
  kind: Fault["kind"];
  from: number;
  to: number;
}

export interface Victims {
  shop: Shop;
  wires: Wires;
  postgres?: PostgresServer;
}

/** How long a fault waits for a victim that is just being started again. */
const victimWithinMs = 10_000;

/**
 * Inflicts all of them at their time, until `stop` is aborted; resolves when every one has ended.
 * @param tell what begins now
 */
export async function inflict(
  faults: readonly Fault[],
  victims: Victims,
  stop: AbortSignal,
  tell: (what: string) => void,
): Promise<Happened[]> {
  const began = performance.now();
  const happened: Happened[] = [];
  const frozen = new Map<string, number>();
  await Promise.all(
    faults.map(async (fault) => {
      await wait(fault.at - (performance.now() - began), stop);
      if (stop.aborted) return;
      const from = Date.now();
      const what = describe(fault);
      if (!(await hurt(fault, victims, frozen, stop, () => tell(what)))) return;
      happened.push({ what, kind: fault.kind, from, to: Date.now() });
    }),
  );
  return happened.sort((a, b) => a.from - b.from);
}

/** Says whether it came to that. */
async function hurt(
  fault: Fault,
  victims: Victims,
  frozen: Map<string, number>,
  stop: AbortSignal,
  begin: () => void,
): Promise<boolean> {
  if (fault.kind === "cut") {
    begin();
    const mend = victims.wires.of(fault.app, fault.link).map((wire) => wire.cut(fault.manner));
    await wait(fault.ms, stop);
    for (const each of mend) each();
    return true;
  }
  const { target } = fault;
  if (!(await runs(target, victims, stop))) return false;
  begin();
  if (fault.kind === "kill") {
    await signal(target, victims, "SIGKILL");
    return true;
  }
  // Of several freezes at once the last one to end lets it go on.
  const key = `${target.kind} ${target.name}`;
  frozen.set(key, (frozen.get(key) ?? 0) + 1);
  await signal(target, victims, "SIGSTOP");
  await wait(fault.ms, stop);
  const left = (frozen.get(key) ?? 1) - 1;
  frozen.set(key, left);
  if (left === 0) await signal(target, victims, "SIGCONT");
  return true;
}

async function signal(
  { kind, name }: Target,
  { shop, postgres }: Victims,
  signal: "SIGKILL" | "SIGSTOP" | "SIGCONT",
): Promise<void> {
  if (kind === "postgres") await postgres?.signal(signal);
  else await shop.kill(name, kind === "sidecar" ? "sidecar" : "app", signal);
}

async function runs(target: Target, victims: Victims, stop: AbortSignal): Promise<boolean> {
  const until = performance.now() + victimWithinMs;
  while (!isThere(target, victims)) {
    if (stop.aborted || performance.now() > until) return false;
    await wait(20, stop);
  }
  return true;
}

function isThere({ kind, name }: Target, { shop, postgres }: Victims): boolean {
  const { run } = shop;
  if (kind === "postgres") return postgres?.runs() ?? false;
  if (kind === "redis" || kind === "sentry") return run[kind].pid !== null;
  const service = run.services[name];
  return (kind === "app" ? service?.pid : service?.sidecarPid) != null;
}

const wait = (ms: number, stop: AbortSignal): Promise<void> =>
  pause(Math.max(0, ms), undefined, { signal: stop }).catch(() => undefined);
