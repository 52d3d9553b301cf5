import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { type Infra, startInfra, startSidecar } from "../testing.ts";
import { load, type Measured } from "./measure.ts";

/** The bare apps, running: the same sidecars, broker and mTLS as the shop, and none of its code. */
export interface Raw {
  /** One order, from its POST until it is through. */
  order(): Promise<void>;
  stop(): Promise<void>;
}

const names = ["gateway", "orders", "inventory", "payments"];

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

function client(base: string): Pick<Raw, "order"> {
  const waiting = new Map<string, () => void>();
  let from = 0;
  let looking = false;
  async function look(): Promise<void> {
    looking = true;
    while (waiting.size > 0) {
      await pause(5);
      const ids = (await (await fetch(`${base}/api/done?from=${from}`)).json()) as string[];
      from += ids.length;
      for (const id of ids) {
        waiting.get(id)?.();
        waiting.delete(id);
      }
    }
    looking = false;
  }
  return {
    async order() {
      const id = crypto.randomUUID();
      const done = new Promise<void>((resolve) => waiting.set(id, resolve));
      const response = await fetch(`${base}/api/orders`, { method: "POST", body: JSON.stringify({ id }) });
      if (response.status !== 202) {
        waiting.delete(id);
        throw new Error(`the bare gateway answered ${response.status}: ${await response.text()}`);
      }
      if (!looking) void look();
      await done;
    },
  };
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

export async function measureRaw(
  concurrencies: number[],
  ms: number,
  warmUpMs: number,
): Promise<Map<number, Measured>> {
  const raw = await startRaw();
  try {
    await untilItAnswers(raw);
    const results = new Map<number, Measured>();
    for (const concurrency of concurrencies) {
      results.set(concurrency, await load(raw.order, { concurrency, ms, warmUpMs }));
    }
    return results;
  } finally {
    await raw.stop();
  }
}
