import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import { type Api, openApi } from "../api-client.ts";
import { OrdersWatch } from "../orders-watch.ts";
import { table } from "../retail/report.ts";
import { startShop } from "../shop.ts";
import { vitals } from "../vitals.ts";
import { load, type Measured, throughput } from "./measure.ts";
import { between, measureRaw } from "./raw.ts";

const concurrencies = [1, 8, 32];

interface Report {
  machine: { cores: number; model: string };
  startUp: { coldMs: number; warmMs: number };
  orders: Record<number, Measured & { raw: Measured; ratio: number }>;
  /** Orders a second that are confirmed when nobody waits for it before the next. */
  throughput: { perSecond: number; raw: number; ratio: number };
  catalog: Measured;
  memory: { name: string; pssMiB: number }[];
}

/** Registers `bench`. */
export function benchCommand(program: Command): void {
  program
    .command("bench")
    .description("measure a shop of its own against the raw limits of this machine")
    .option("--seconds <n>", "how long each load runs", "8")
    .option("--json <file>", "write the figures to this file as well")
    .action(async ({ seconds, json }: { seconds: string; json?: string }) => {
      const ms = Number(seconds) * 1000;
      if (!(ms >= 1000)) throw new Error(`--seconds must be a number from 1, not "${seconds}"`);
      const report = await measure(ms, (text) => process.stderr.write(`${text}\n`));
      if (json) writeFileSync(json, `${JSON.stringify(report, null, 2)}\n`);
      process.stdout.write(render(report));
    });
}

/** What the shop did. */
type Shown = Pick<Report, "startUp" | "catalog" | "memory"> & {
  orders: Map<number, Measured>;
  perSecond: number;
};

/** Others may use the machine, too: the raw limits are measured before the shop and after it. */
async function measure(ms: number, say: (text: string) => void): Promise<Report> {
  const warmUpMs = Math.min(3_000, ms / 2);
  say("raw limits: the same hops and publishes, without the shop's code…");
  const before = await measureRaw(concurrencies, ms, warmUpMs);
  const { startUp, orders, perSecond, catalog, memory } = await measureShop(ms, warmUpMs, say);
  say("raw limits once more…");
  const raw = between(before, await measureRaw(concurrencies, ms, warmUpMs));
  const compared = [...orders].map(([concurrency, measured]) => {
    const limit = raw.orders.get(concurrency);
    if (!limit) throw new Error(`no raw limit at ${concurrency}`);
    return [concurrency, { ...measured, raw: limit, ratio: measured.perSecond / limit.perSecond }] as const;
  });
  return {
    machine: { cores: cpus().length, model: cpus()[0]?.model ?? "" },
    startUp,
    orders: Object.fromEntries(compared),
    throughput: { perSecond, raw: raw.throughput, ratio: perSecond / raw.throughput },
    catalog,
    memory,
  };
}

async function measureShop(ms: number, warmUpMs: number, say: (text: string) => void): Promise<Shown> {
  const home = mkdtempSync(join(tmpdir(), "souk-bench-"));
  try {
    say("a shop, started fresh…");
    const cold = performance.now();
    await (await startShop({ home, port: 0, quiet: true, env: quiet })).stop();
    const coldMs = performance.now() - cold;
    say("the same shop again, warm…");
    const warm = performance.now();
    const shop = await startShop({ home, port: 0, quiet: true, env: quiet });
    const warmMs = performance.now() - warm;
    try {
      const api = await openApi(join(home, "dev-client.json"), shop.url);
      const skus = await stock(api);
      const orders = new Map<number, Measured>();
      const { place, confirmed } = buyer(api, skus);
      const buy = async () => confirmed(await place());
      for (const concurrency of concurrencies) {
        say(`orders to confirmed, ${concurrency} at a time…`);
        orders.set(concurrency, await load(buy, { concurrency, ms, warmUpMs }));
      }
      const concurrency = Math.max(...concurrencies);
      say(`orders as fast as they are taken, ${concurrency} requests at a time…`);
      const perSecond = await throughput(
        { begin: place, ended: (ids) => Promise.all(ids.map(confirmed)) },
        { concurrency, ms },
      );
      say("catalog reads…");
      const catalog = await load(reader(api, skus), { concurrency: 32, ms, warmUpMs });
      const memory = vitals(shop.run).map(({ name, pssMiB }) => ({ name, pssMiB }));
      return { startUp: { coldMs, warmMs }, orders, perSecond, catalog, memory };
    } finally {
      await shop.stop();
    }
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

// One machine asks for everybody.
const quiet = { LOG_LEVEL: "warn", RATE_LIMITS: "off" };

/** A hundred products with more stock than the load can buy. */
async function stock(api: Api): Promise<string[]> {
  const skus = Array.from({ length: 100 }, (_, index) => `BENCH-${index}`);
  const lines = skus.map((sku) =>
    JSON.stringify({
      sku,
      name: `Bench ${sku}`,
      price: { amount: 255, currency: "GBP" },
      kind: "physical",
      onHand: 1_000_000,
    }),
  );
  await api.call("/api/products/import", {
    method: "POST",
    headers: { "content-type": "application/x-ndjson" },
    body: lines.join("\n"),
  });
  const until = performance.now() + 10_000;
  for (;;) {
    const last = await api.call<{ onHand: number }>(`/api/stock/${skus.at(-1)}`).catch(() => undefined);
    if (last?.body.onHand === 1_000_000) return skus;
    if (performance.now() > until) throw new Error("the products did not reach inventory within 10 s");
  }
}

/** Orders of one to three lines, from the POST until the shop says confirmed. */
function buyer(api: Api, skus: string[]) {
  const watch = new OrdersWatch(api, 5);
  let next = 0;
  async function place(): Promise<string> {
    const first = next++;
    const lines = Array.from({ length: 1 + (first % 3) }, (_, index) => ({
      sku: skus[(first * 7 + index) % skus.length],
      quantity: 1,
    }));
    const { body } = await api.call<{ id: string }>("/api/orders", {
      method: "POST",
      body: {
        lines,
        customer: { email: "bench@example.com", name: "Bench" },
        shippingAddress: { name: "Bench", line1: "1 Main Street", city: "London", country: "GB" },
        payment: { method: "test", token: "tok_ok" },
      },
    });
    return body.id;
  }
  async function confirmed(id: string): Promise<void> {
    const { status } = await watch.settled(id);
    if (status !== "confirmed") throw new Error(`order ${id} is ${status}`);
  }
  return { place, confirmed };
}

function reader(api: Api, skus: string[]): () => Promise<void> {
  let next = 0;
  return async () => {
    await api.call(`/api/products/${skus[next++ % skus.length]}`, { guest: true });
  };
}

function render({ machine, startUp, orders, throughput, catalog, memory }: Report): string {
  const one = (value: number): string => value.toFixed(value < 100 ? 1 : 0);
  const total = memory.reduce((sum, { pssMiB }) => sum + pssMiB, 0);
  return [
    "",
    `${machine.cores} cores, ${machine.model}`,
    "",
    ...table(
      ["orders to confirmed", "orders/s", "p50 ms", "p99 ms", "raw/s", "raw p50", "ratio"],
      Object.entries(orders).map(([concurrency, figures]) => [
        `concurrency ${concurrency}`,
        one(figures.perSecond),
        one(figures.p50),
        one(figures.p99),
        one(figures.raw.perSecond),
        one(figures.raw.p50),
        figures.ratio.toFixed(2),
      ]),
    ),
    "",
    `orders that nobody waits for before the next: ${one(throughput.perSecond)}/s confirmed; raw ${one(throughput.raw)}/s; ratio ${throughput.ratio.toFixed(2)}`,
    `catalog reads through the gateway, concurrency 32: ${one(catalog.perSecond)}/s, p50 ${one(catalog.p50)} ms, p99 ${one(catalog.p99)} ms`,
    `start-up: ${one(startUp.warmMs)} ms warm; fresh, and stopped again: ${one(startUp.coldMs)} ms`,
    "",
    ...table(
      ["memory (PSS)", "MiB"],
      [...memory.map(({ name, pssMiB }) => [name, one(pssMiB)]), ["all", one(total)]],
    ),
    "",
  ].join("\n");
}
