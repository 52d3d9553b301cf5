import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { untilNextLook } from "../orders-watch.ts";
import { type Infra, startInfra, startSidecar } from "../testing.ts";
import { load, type Measured, throughput } from "./measure.ts";

/** The bare apps, running: the same sidecars, broker and mTLS as the shop, and none of its code. */
export interface Raw {
  /** Begins an order: resolves with its id when it is taken. */
  place(): Promise<string>;
  /** Resolves when all of these are through. */
  through(ids: string[]): Promise<unknown>;
  /** One order, from its POST until it is through. */
  order(): Promise<void>;
  stop(): Promise<void>;
}

const names = ["gateway", "orders", "inventory", "payments", "shipping", "notifications"];

export async function startRaw(): Promise<Raw> {
  const infra = await startInfra({ mtls: true });
  const apps: Bun.Subprocess[] = [];
  try {
    const ports = new Map<string, number>();
    await Promise.all(
      names.map(async (name) => {
        const { port, process } = await startApp(infra, name);
        ports.set(name, port);
        apps.push(process);
      }),
    );
    const gateway = ports.get("gateway") ?? 0;
    return {
      ...client(`http://127.0.0.1:${gateway}`),
      stop: () => end(infra, apps),
    };
  } catch (error) {
    await end(infra, apps);
    throw error;
  }
}

async function startApp(infra: Infra, appId: string): Promise<{ port: number; process: Bun.Subprocess }> {
  const [daprApiToken, appApiToken] = [crypto.randomUUID(), crypto.randomUUID()];
  const app = Bun.spawn({
    cmd: [process.execPath, join(import.meta.dir, "raw-app.ts")],
    env: { ...process.env, APP_ID: appId, DAPR_API_TOKEN: daprApiToken, APP_API_TOKEN: appApiToken },
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  const { value } = await app.stdout.getReader().read();
  const port = Number(new TextDecoder().decode(value));
  if (!port) throw new Error(`the bare app ${appId} did not start`);
  const sidecar = await startSidecar(infra, {
    appId,
    appPort: port,
    daprApiToken,
    appApiToken,
    components: {
      "pubsub.yaml": infra.pubsub({ metadata: { processingTimeout: "10s", redeliverInterval: "2s" } }),
    },
    logLevel: "warn",
  });
  app.stdin.write(`${sidecar.url}\n`);
  await app.stdin.flush();
  return { port, process: app };
}

async function end(infra: Infra, apps: Bun.Subprocess[]): Promise<void> {
  for (const app of apps) app.kill();
  await infra.stop();
}

function client(base: string): Omit<Raw, "stop"> {
  const waiting = new Map<string, () => void>();
  const done = new Set<string>();
  let from = 0;
  let looking = false;
  async function look(): Promise<void> {
    looking = true;
    while (waiting.size > 0) {
      // As often as the shop's customers look.
      await pause(untilNextLook(waiting.size, 5));
      const ids = (await (await fetch(`${base}/api/done?from=${from}`)).json()) as string[];
      from += ids.length;
      for (const id of ids) {
        done.add(id);
        waiting.get(id)?.();
        waiting.delete(id);
      }
    }
    looking = false;
  }
  async function place(): Promise<string> {
    const id = crypto.randomUUID();
    const response = await fetch(`${base}/api/orders`, { method: "POST", body: JSON.stringify({ id }) });
    if (response.status !== 202)
      throw new Error(`the bare gateway answered ${response.status}: ${await response.text()}`);
    return id;
  }
  function through(ids: string[]): Promise<unknown> {
    const left = ids.filter((id) => !done.has(id));
    const ends = left.map((id) => new Promise<void>((resolve) => waiting.set(id, resolve)));
    if (!looking && left.length > 0) void look();
    return Promise.all(ends);
  }
  return { place, through, order: async () => void (await through([await place()])) };
}

/** A sidecar lets nobody through before its app's first health check. */
async function untilItAnswers(raw: Raw): Promise<void> {
  const until = performance.now() + 10_000;
  for (;;) {
    try {
      return await raw.order();
    } catch (error) {
      if (performance.now() > until) throw error;
      await pause(100);
    }
  }
}

/** What a machine can do: orders by how many are under way at once, and a second when nobody waits for them. */
export interface RawLimits {
  orders: Map<number, Measured>;
  throughput: number;
}

export async function measureRaw(concurrencies: number[], ms: number, warmUpMs: number): Promise<RawLimits> {
  const raw = await startRaw();
  try {
    await untilItAnswers(raw);
    const orders = new Map<number, Measured>();
    for (const concurrency of concurrencies) {
      orders.set(concurrency, await load(raw.order, { concurrency, ms, warmUpMs }));
    }
    const concurrency = Math.max(...concurrencies);
    return {
      orders,
      throughput: await throughput({ begin: raw.place, ended: raw.through }, { concurrency, ms }),
    };
  } finally {
    await raw.stop();
  }
}

/** What a machine can do in between: the means of what it could before and after. */
export function between(before: RawLimits, after: RawLimits): RawLimits {
  const mean = (a: number, b: number) => (a + b) / 2;
  const orders = [...before.orders].map(([concurrency, one]): [number, Measured] => {
    const other = after.orders.get(concurrency) ?? one;
    const [perSecond, p50] = [mean(one.perSecond, other.perSecond), mean(one.p50, other.p50)];
    const count = one.count + other.count;
    return [concurrency, { perSecond, p50, p99: mean(one.p99, other.p99), count }];
  });
  return { orders: new Map(orders), throughput: mean(before.throughput, after.throughput) };
}
