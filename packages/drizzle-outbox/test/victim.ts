// A process that dies at a given step, and the one that comes after it.
//   bun victim.ts <dialect> <address> <log> run <step> <nth> | recover | storm <round>
import { appendFileSync } from "node:fs";
import { faults } from "../src/faults.ts";
import { type DialectName, insert, outbox } from "../src/index.ts";
import { openAt, shop, until } from "./databases.ts";

const [dialect = "sqlite", address = "", log = "", mode = "", step = "", nth = "1"] = process.argv.slice(
  2,
) as [DialectName, ...string[]];
const { orders, effects } = shop(dialect);

/** The world outside, which keeps what it was told even when this process dies. */
const tell = (...line: (string | number)[]) => appendFileSync(log, `${line.join(" ")}\n`);

const db = await openAt(dialect, address);
const box = outbox(db, {
  batch: mode === "run" ? 3 : 50,
  async send(events) {
    await new Promise((resolve) => setTimeout(resolve, 5)); // Commits go on meanwhile.
    for (const { key, data } of events) tell("sent", key, data as string);
  },
  onError(error) {
    // Where the machine is busy the short lease runs out while its job runs: whoever took it over does it.
    if (!String(error).includes("its change is dropped")) console.error(error);
  },
});
const relay = box.relay();
const work = box.work(
  { charge: async ({ key }) => ({ writes: [insert(effects, { event: key, by: "job" })] }) },
  { lease: 300 },
);

async function place(name: string, key: string): Promise<void> {
  await box.commit({
    writes: [insert(orders, { id: name, version: 1, status: "open", total: 1 })],
    events: [{ topic: "orders", type: "placed", key, data: name }],
    jobs: [{ kind: "charge", key: name, at: Date.now() }],
  });
  tell("placed", name);
}

const deliver = (event: string) =>
  box.once(event, "victim", async () => ({ writes: [insert(effects, { event, by: "once" })] }));

if (mode === "run") {
  let passed = 0;
  faults.at = (point) => {
    if (point === step && ++passed === Number(nth)) process.kill(process.pid, "SIGKILL");
  };
  for (let i = 0; i < 6; i++) await Promise.all([place(`o-${i}`, `k-${i % 2}`), deliver(`e-${i}`)]);
}
if (mode === "storm") {
  // Until somebody kills it. Names go up, so that their order within a key is known.
  for (let i = 0; ; i++) {
    const name = `${step.padStart(3, "0")}-${String(i).padStart(6, "0")}`;
    tell("try", name);
    await new Promise((resolve) => setTimeout(resolve, 2)); // Or the backlog is all there is to see.
    await Promise.all([
      ...[0, 1, 2].map((n) => place(`${name}-${n}`, `k-${(i + n) % 40}`)),
      deliver(`e-${name}`),
      deliver(`e-${name}`),
    ]);
  }
}
if (mode === "recover") {
  // A broker delivers again what it does not know to be handled.
  for (const event of process.argv.slice(6)) await deliver(event);
  await until(async () => (await box.pending()).jobs === 0);
  await box.drain();
}
await until(async () => (await box.pending()).jobs === 0);
await box.drain();
await relay.stop();
await work.stop();
await db.close();
