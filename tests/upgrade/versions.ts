import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CloudEvent } from "hono-dapr";
import { publishedIn } from "hono-dapr/testing";
import { freePort } from "../../packages/drizzle-outbox/test/postgres.ts";
import { eventually } from "../e2e/shop.ts";

// Orders as processes of two versions, and a world around them: the test is their sidecar, inventory and payments.

const root = join(import.meta.dir, "../..");
const token = "t0ken";
const keyring = JSON.stringify({ current: "k1", keys: { k1: randomBytes(32).toString("base64url") } });

export type Version = "old" | "new";

/** The old version, unpacked: its own packages, and today's libraries. */
export function unpack(): { folder: string; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), "orders-before-"));
  const { status, stderr } = spawnSync("tar", [
    "-xzf",
    join(import.meta.dir, "orders-before.tar.gz"),
    "-C",
    folder,
  ]);
  if (status !== 0) throw new Error(`tar: ${stderr}`);
  const modules = join(folder, "node_modules");
  mkdirSync(modules);
  const own = readdirSync(join(folder, "packages"));
  for (const name of own) symlinkSync(join(folder, "packages", name), join(modules, name));
  for (const name of readdirSync(join(root, "node_modules")))
    if (!own.includes(name) && !name.startsWith("."))
      symlinkSync(join(root, "node_modules", name), join(modules, name));
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

export interface Replica {
  version: Version;
  url: string;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** SIGTERM, and its end. */
  stop(): Promise<void>;
}

/** Where replicas keep their data: a folder, or a PostgreSQL URL. */
export interface Store {
  folder: string;
  url?: string;
}

/** What the broker has been given, each event once, in order. */
export class World {
  readonly published = new Map<string, CloudEvent<Record<string, unknown>>>();
  /** Orders whose questions are not answered: they end by their deadline. */
  readonly silentFor = new Set<string>();
  /** Those of them that are over. */
  rejected = new Set<string>();
  readonly #answered = new Set<string>();
  readonly #replicas: Replica[] = [];
  readonly #old: string;
  readonly #sidecar = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: async (request) => {
      if (new URL(request.url).pathname.startsWith("/v1.0/publish")) {
        const events = publishedIn(await request.json()) as CloudEvent<Record<string, unknown>>[];
        for (const event of events) this.published.set(event.id, event);
      }
      const secret = /^\/v1\.0\/secrets\/secrets\/([\w-]+)$/.exec(new URL(request.url).pathname)?.[1];
      if (secret) return Response.json({ [secret]: keyring });
      return new Response(null, { status: 204 });
    },
  });

  constructor(old: string) {
    this.#old = old;
  }

  /** Starts a replica; resolves when it answers. */
  async start(version: Version, store: Store, env: Record<string, string> = {}): Promise<Replica> {
    const port = await freePort();
    const folder = version === "old" ? this.#old : root;
    const child = Bun.spawn({
      cmd: [process.execPath, join(folder, "packages/chassis/src/serve.ts")],
      cwd: join(folder, "services/orders"),
      env: {
        ...process.env,
        APP_PORT: String(port),
        DAPR_HTTP_PORT: String(this.#sidecar.port),
        APP_API_TOKEN: token,
        SOUK_DATA: store.folder,
        DATABASE_URL: store.url ?? "",
        LOG_LEVEL: "error",
        // As long as the old version runs, nothing is written that it cannot read.
        SEAL_FIELDS: "no",
        FIELD_KEYS_REFRESH_MS: "100",
        ...env,
      },
      stdout: "inherit",
      stderr: "inherit",
    });
    const replica: Replica = {
      version,
      url: `http://127.0.0.1:${port}`,
      kill: () => this.#end(replica, child, "SIGKILL"),
      stop: () => this.#end(replica, child, "SIGTERM"),
    };
    this.#replicas.push(replica);
    await eventually(
      `${version} answers`,
      async () => {
        if (child.exitCode !== null) throw new Error(`${version} ended with ${child.exitCode}`);
        const answer = await fetch(`${replica.url}/health`).catch(() => undefined);
        return answer?.ok === true;
      },
      30_000,
    );
    return replica;
  }

  async #end(replica: Replica, child: Bun.Subprocess, signal: NodeJS.Signals): Promise<void> {
    this.#replicas.splice(this.#replicas.indexOf(replica), 1);
    child.kill(signal);
    await child.exited;
  }

  /** Delivers an event to a replica, as a broker does that is not sure whether it has. */
  async deliver(replica: Replica, topic: string, type: string, id: string, data: unknown): Promise<string> {
    const event = {
      specversion: "1.0",
      id,
      type,
      source: topic,
      time: new Date().toISOString(),
      topic,
      data,
    };
    const response = await fetch(`${replica.url}/_events/${topic}`, {
      method: "POST",
      headers: { "content-type": "application/json", "dapr-api-token": token },
      body: JSON.stringify(event),
    });
    return response.ok ? ((await response.json()) as { status: string }).status : String(response.status);
  }

  /** Answers what was asked since: each answer goes to every replica there is, the first one first or last. */
  async answer(): Promise<void> {
    for (const { id, type, data } of [...this.published.values()]) {
      const { orderId } = data as { orderId: string };
      if (this.#answered.has(id) || this.silentFor.has(orderId)) continue;
      const reply = replies[type];
      if (reply === undefined) continue;
      const replicas = this.#answered.size % 2 ? this.#replicas : this.#replicas.toReversed();
      for (const replica of replicas)
        for (const [topic, as, of] of reply(orderId)) {
          const status = await this.deliver(replica, topic, as, `${as} ${id}`, of);
          if (status !== "SUCCESS") throw new Error(`${replica.version} answers ${as} with ${status}`);
        }
      this.#answered.add(id);
    }
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#replicas].map((replica) => replica.kill()));
    await this.#sidecar.stop(true);
  }
}

type Reply = [topic: string, type: string, data: unknown];

const replies: Record<string, (orderId: string) => Reply[]> = {
  "order.placed": (orderId) => [["inventory", "stock.reserved", { orderId, lines: [] }]],
  "order.reserved": (orderId) => [
    ["payments", "payment.captured", { orderId, amount: gbp(255), held: gbp(255) }],
  ],
  "order.aborting": (orderId) => [
    ["inventory", "stock.released", { orderId, lines: [] }],
    ["payments", "payment.voided", { orderId, amount: gbp(0), held: gbp(0) }],
  ],
};

export const gbp = (amount: number) => ({ amount, currency: "GBP" });

export const product = (sku: string) => ({
  sku,
  name: "Holder",
  price: gbp(255),
  kind: "physical",
  version: 1,
});

export interface Placed {
  id: string;
  orderKey: string;
  status: string;
}

/** Places a guest's order; the same key gives the same order. */
export async function place(replica: Replica, sku: string, key: string): Promise<Placed> {
  const response = await fetch(`${replica.url}/orders`, {
    method: "POST",
    headers: { "content-type": "application/json", "dapr-api-token": token, "idempotency-key": key },
    body: JSON.stringify({
      lines: [{ sku, quantity: 1 }],
      customer: { email: "ada@example.com", name: "Ada" },
      shippingAddress: { name: "Ada", line1: "1 Main Street", city: "London", country: "GB" },
      payment: { method: "test", token: "tok_ok" },
    }),
  });
  if (response.status !== 202)
    throw new Error(`${replica.version}: ${response.status} ${await response.text()}`);
  return (await response.json()) as Placed;
}

export async function statusAt(replica: Replica, { id, orderKey }: Placed): Promise<string> {
  const headers = { "order-key": orderKey, "dapr-api-token": token };
  const response = await fetch(`${replica.url}/orders/${id}`, { headers });
  return response.ok ? ((await response.json()) as Placed).status : String(response.status);
}
