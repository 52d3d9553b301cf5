import { fileURLToPath } from "node:url";
import type { Config, Log, Service } from "chassis";
import { dapr } from "hono-dapr";
import { compose, type Running } from "../../packages/chassis/src/compose.ts";
import { sqliteOn } from "../../packages/drizzle-outbox/src/sqlite.ts";
import catalog from "../../services/catalog/service.ts";
import inventory from "../../services/inventory/service.ts";
import orders from "../../services/orders/service.ts";
import payments from "../../services/payments/service.ts";
import shipping from "../../services/shipping/service.ts";
import type { Bug } from "./bug.ts";
import type { Owner } from "./clock.ts";
import { type Controller, Disk } from "./disk.ts";
import type { App } from "./plan.ts";
import type { World } from "./world.ts";

export const definitions = { catalog, inventory, orders, payments, shipping } as unknown as Record<
  App,
  Service<unknown>
>;

/** Where a process sends its calls to the sidecar. */
export interface Outside {
  publish(from: Incarnation, topic: string, body: string, answer: (response: Response) => void): void;
}

/** Whoever runs this is dead. */
export class Dead extends Error {}

/** A process from its start to its end. */
export class Incarnation implements Owner {
  alive = true;
  frozenUntil = 0;
  /** Takes no new requests. */
  stopping = false;
  running: Running<unknown> | undefined;
  /** It dies when it has gone so many steps. */
  fuse = Number.POSITIVE_INFINITY;
  power: "on" | "cut" = "on";
  down = 0;
  readonly of: Process;

  constructor(of: Process) {
    this.of = of;
  }

  get skew(): number {
    return this.of.skew;
  }

  /** A point at which it may die. @throws {Dead} */
  step(when: string, what: string): void {
    if (this.alive && this.fuse-- <= 0) this.of.kill(`${when} ${what.replace(/\s+/g, " ").slice(0, 70)}`);
    if (!this.alive) throw new Dead();
  }
}

/** A service of the shop: its disk, which stays, and its process, which comes and goes. */
export class Process {
  readonly app: App;
  readonly disk: Disk;
  readonly config: Config;
  readonly skew: number;
  incarnation: Incarnation | undefined;
  readonly #world: World;
  readonly #outside: Outside;
  readonly #definition: Service<unknown>;
  #errorsUntil = 0;
  #errorShare = 0;
  readonly #ids = new Set<string>();

  constructor(app: App, world: World, outside: Outside, bug: Bug | undefined) {
    this.app = app;
    this.#world = world;
    this.#outside = outside;
    this.#definition = bug?.service?.(definitions[app], app) ?? definitions[app];
    const { plan } = world;
    this.skew = plan.skew[app] ?? 0;
    this.config = configOf(app, {
      CHECKOUT_DEADLINE_MS: String(plan.deadline),
      PROVIDER_TIMEOUT_MS: String(plan.providerTimeout),
      TEST_PROVIDER_BOOK: ":memory:",
      AUTHORISATION_LIFETIME_MS: String(plan.authorisationLifetime),
      CRON_SLOT_MS: "1",
      // What is sealed is never the same twice, and the same seed must lead to the same stores.
      SEAL_FIELDS: "no",
      FIELD_KEYS_REFRESH_MS: "86400000",
      FLAGS_REFRESH_MS: "86400000",
    });
    const powerCuts = plan.faults.some((fault) => fault.do === "crash" && fault.power === "cut");
    const { rewrite } = bug ?? {};
    this.disk = new Disk(folderOf(app), {
      powerCuts,
      forgetful: bug?.forgetsLastCommit,
      rewrite: rewrite && ((text) => rewrite(app, text)),
    });
  }

  start(): void {
    const world = this.#world;
    const incarnation = new Incarnation(this);
    this.incarnation = incarnation;
    const controller: Controller = {
      step: (when, text) => incarnation.step(when, text),
      error: (text) => this.#diskError(text),
    };
    world.clock.after(0, incarnation, async () => {
      try {
        incarnation.running = await compose(this.#definition, {
          config: this.config,
          sidecar: this.#sidecar(incarnation),
          db: sqliteOn(this.disk.driver(controller), ":memory:"),
          log: this.#log(incarnation),
          now: () => Date.now(),
          id: () => this.#id(),
          verify: async (token) => ({
            id: "simulator",
            kind: "client",
            scopes: token === "customer" ? customer : staff,
          }),
        });
        world.say(this.app, "runs");
      } catch (error) {
        if (incarnation.alive) world.violate(`${this.app} does not start: ${error}`);
      }
    });
  }

  kill(where: string): void {
    const { incarnation } = this;
    if (!incarnation?.alive) return;
    incarnation.alive = false;
    this.disk.crash(incarnation.power);
    this.#world.say(this.app, `DIES ${where}${incarnation.power === "cut" ? ", power cut" : ""}`);
    this.#world.clock.after(incarnation.down, undefined, () => this.start());
  }

  /** SIGTERM: finishes what is under way, and is started again `down` ms later. */
  restart(down: number): void {
    const { incarnation } = this;
    const running = incarnation?.running;
    if (!incarnation?.alive || !running || incarnation.stopping) return;
    this.#world.say(this.app, "is told to stop");
    incarnation.stopping = true;
    incarnation.down = down;
    this.#world.clock.after(0, incarnation, async () => {
      await running.stop();
      this.kill("in order");
    });
    this.#world.clock.after(8_000, incarnation, () => this.kill("because it took too long to stop"));
  }

  failDisk(ms: number, share: number): void {
    this.#errorsUntil = this.#world.clock.now + ms;
    this.#errorShare = share;
    this.#world.say(this.app, `DISK ERRORS for ${ms} ms, ${share * 100} %`);
  }

  /** An id that says which request asked for it, so that it is the same in whatever order they come. */
  #id(): string {
    const name = this.#world.clock.label ?? "id";
    let id = name;
    for (let n = 2; this.#ids.has(id); n++) id = `${name}.${n}`;
    this.#ids.add(id);
    return id;
  }

  #diskError(text: string): Error | undefined {
    if (this.#world.clock.now >= this.#errorsUntil || (text !== "begin immediate" && text !== "commit"))
      return undefined;
    return this.#world.dice.chance(this.#errorShare) ? new Error("disk I/O error") : undefined;
  }

  #sidecar(incarnation: Incarnation) {
    return dapr({
      endpoint: "http://sidecar",
      appId: this.app,
      fetch: (input, init) =>
        new Promise((resolve) => {
          const secret = /^http:\/\/sidecar\/v1\.0\/secrets\/secrets\/([\w-]+)$/.exec(input)?.[1];
          if (secret !== undefined) return resolve(Response.json({ [secret]: keyring }));
          // Nothing is set, and nobody will.
          const flags = /^http:\/\/sidecar\/v1\.0\/configuration\/configuration(\/subscribe)?\?/.exec(input);
          if (flags)
            return resolve(flags[1] ? Response.json({ id: "w" }) : new Response(null, { status: 204 }));
          const topic = /^http:\/\/sidecar\/v1\.0\/publish\/bulk\/pubsub\/([\w-]+)\?/.exec(input)?.[1];
          if (topic === undefined) throw new Error(`The simulator knows nothing of ${input}`);
          incarnation.step("before", `publishing to ${topic}`);
          this.#outside.publish(incarnation, topic, String(init?.body), resolve);
          incarnation.step("after", `publishing to ${topic}`);
        }),
    });
  }

  #log(incarnation: Incarnation): Log {
    const say = (level: string) => (about: Record<string, unknown>, message: string) => {
      if (incarnation.alive) this.#world.say(this.app, `${level} ${message} ${JSON.stringify(about)}`);
    };
    const nothing = () => undefined;
    return { info: nothing, debug: nothing, warn: say("warns:"), error: say("error:") } as unknown as Log;
  }
}

/** The keys of encrypted fields: all zeros. */
const keyring = JSON.stringify({ current: "k1", keys: { k1: Buffer.alloc(32).toString("base64url") } });

const folderOf = (app: App): string => fileURLToPath(new URL(`../../services/${app}`, import.meta.url));

const staff = new Set(["orders:manage", "catalog:write", "inventory:write", "payments:manage"]);
const customer = new Set(["orders:read", "orders:write"]);

export const configOf = (name: string, env: Record<string, string>): Config => ({
  name,
  appPort: 0,
  host: "127.0.0.1",
  publicPort: 0,
  publicUrl: "http://shop.simulated",
  dataDir: ".",
  logLevel: "silent",
  development: false,
  env,
});
