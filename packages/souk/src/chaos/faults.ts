/** What will be done to the shop: decided by the seed alone, before anything happens. */
import { random } from "./random.ts";

export type Target =
  | { kind: "app" | "sidecar"; name: string }
  | { kind: "redis" | "sentry" | "postgres"; name: string };

/** Between whom a connection is cut. */
export type Cut = "app-sidecar" | "sidecar-redis" | "sidecar-sentry" | "app-postgres";

/**
 * How it is cut: new and old connections are reset (`refuse`), nothing passes but all stay open (`hang`), or everything
 * is reset again and again (`reset`).
 */
export type Manner = "refuse" | "hang" | "reset";

/** `at` and `ms` are milliseconds; `at` counts from the beginning of the run. */
export type Fault = { at: number } & (
  | { kind: "kill"; target: Target }
  | { kind: "freeze"; target: Target; ms: number }
  | { kind: "cut"; app: string; link: Cut; manner: Manner; ms: number }
);

export interface FaultOptions {
  seed: string;
  count: number;
  /** The length of the run in milliseconds. */
  ms: number;
  services: string[];
  /** Services that have a database of their own. */
  stores: string[];
  postgres: boolean;
  /** Never hurt: a service with its sidecar, `<service>-sidecar`, `redis`, `sentry`, `postgres`. */
  spare: string[];
}

export function faults(options: FaultOptions): Fault[] {
  const { count, ms, seed } = options;
  const { targets, links } = reachable(options);
  if (targets.length === 0) return [];
  const times = random(seed, "faults");
  // The first customers find a whole shop, and the last fault comes before the last customer.
  const at = Array.from({ length: count }, () => (0.03 + times.share() * 0.94) * ms).sort((a, b) => a - b);
  return at.map((at, index): Fault => {
    const chance = random(seed, `fault ${index + 1}`);
    const lasts = chance.int(500, 8_000);
    const kind = chance.pick({ kill: 50, freeze: 30, ...(links.length > 0 ? { cut: 20 } : {}) });
    if (kind === "cut") {
      const weights = Object.fromEntries(
        links.map(({ link }, place) => [place, link === "sidecar-sentry" ? 1 : 3]),
      );
      const { app, link } = links[Number(chance.pick(weights))] as (typeof links)[number];
      return { at, kind, app, link, manner: chance.one(["refuse", "hang", "reset"] as const), ms: lasts };
    }
    const weights = Object.fromEntries(targets.map((target, place) => [place, weightOf[target.kind]]));
    const target = targets[Number(chance.pick(weights))] as Target;
    return kind === "kill" ? { at, kind, target } : { at, kind, target, ms: lasts };
  });
}

/** There are several services and sidecars, but one of each of the others. */
const weightOf: Record<Target["kind"], number> = { app: 3, sidecar: 3, redis: 6, postgres: 6, sentry: 1 };

function reachable({ services, stores, postgres, spare }: FaultOptions) {
  const spared = new Set(spare);
  const app = (name: string) => !spared.has(name);
  const sidecar = (name: string) => app(name) && !spared.has(`${name}-sidecar`);
  const servers = (["redis", "sentry", ...(postgres ? (["postgres"] as const) : [])] as const).filter(
    (name) => !spared.has(name),
  );
  const targets: Target[] = [
    ...services.filter(app).map((name): Target => ({ kind: "app", name })),
    ...services.filter(sidecar).map((name): Target => ({ kind: "sidecar", name })),
    ...servers.map((name): Target => ({ kind: name, name })),
  ];
  const links = services
    .filter(sidecar)
    .flatMap((name): { app: string; link: Cut }[] => [
      { app: name, link: "app-sidecar" },
      ...(spared.has("redis") ? [] : [{ app: name, link: "sidecar-redis" as const }]),
      ...(spared.has("sentry") ? [] : [{ app: name, link: "sidecar-sentry" as const }]),
      ...(postgres && stores.includes(name) && !spared.has("postgres")
        ? [{ app: name, link: "app-postgres" as const }]
        : []),
    ]);
  return { targets, links };
}

/** As a person reads it: "freeze orders-sidecar for 2.1 s". */
export function describe(fault: Fault): string {
  const seconds = "ms" in fault ? ` for ${(fault.ms / 1000).toFixed(1)} s` : "";
  if (fault.kind === "cut") {
    const [from, to] = fault.link.split("-") as [string, string];
    const name = (part: string) =>
      part === "app" ? fault.app : part === "sidecar" ? `${fault.app}-sidecar` : part;
    return `cut ${name(from)} from ${name(to)} (${fault.manner})${seconds}`;
  }
  const { kind, name } = fault.target;
  return `${fault.kind === "kill" ? "kill -9" : "freeze"} ${kind === "sidecar" ? `${name}-sidecar` : name}${seconds}`;
}
