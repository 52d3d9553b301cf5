// bun packages/drizzle-outbox/test/bench.ts [sqlite|postgres]…
// What grouping is worth: commits of an update by version, an insert and an event, with the relay running.
import { eq } from "drizzle-orm";
import { insert, outbox, update } from "../src/index.ts";
import { dialects, place, shop } from "./databases.ts";

const asked = process.argv.slice(2);
for (const dialect of dialects.filter((each) => asked.length === 0 || asked.includes(each))) {
  const at = await place(dialect);
  const db = await at.open();
  const { orders, effects } = shop(dialect);
  let sent = 0;
  let calls = 0;
  const box = outbox(db, {
    async send(events) {
      calls++;
      await new Promise((resolve) => setTimeout(resolve, 3)); // About what a bulk publish takes.
      sent += events.length;
    },
  });
  const relay = box.relay();
  let next = 0;
  const rows = Array.from({ length: 1000 }, (_, i) => ({
    id: `o-${i}`,
    version: 1,
    status: "open" as const,
    total: 1,
  }));
  await box.commit({ writes: [insert(orders, rows)] });
  const versions = rows.map(() => 1);
  const lines = [{ sku: "85123A", quantity: 6 }];
  const change = (i: number) => {
    const version = versions[i] ?? 0;
    versions[i] = version + 1;
    const id = `o-${i}`;
    return {
      writes: [
        update(orders, { version: version + 1, lines }, { id, version }, { rows: 1 }),
        insert(effects, { event: id, by: "bench" }),
      ],
      events: [
        {
          topic: "orders",
          type: "order.changed",
          key: id,
          data: { id, lines, total: { amount: 1530, currency: "GBP" } },
        },
      ],
    };
  };
  async function measure(
    name: string,
    count: number,
    concurrency: number,
    run: (i: number) => Promise<unknown>,
  ) {
    sent = calls = 0;
    const cpu = process.cpuUsage();
    const start = performance.now();
    const end = next + count;
    await Promise.all(
      Array.from({ length: concurrency }, async () => {
        while (next < end) await run(next++ % 1000);
      }),
    );
    const seconds = (performance.now() - start) / 1000;
    const { user, system } = process.cpuUsage(cpu);
    await box.drain();
    const perSecond = Math.round(count / seconds)
      .toLocaleString("en")
      .padStart(8);
    const each = ((user + system) / count).toFixed(0).padStart(6);
    process.stdout.write(
      `${dialect.padEnd(9)} ${name.padEnd(30)} ${perSecond}/s ${each} µs CPU  ${(sent / Math.max(1, calls)).toFixed(0).padStart(4)} events a call\n`,
    );
  }
  const slow = dialect === "sqlite" ? 500 : 1000;
  const fast = dialect === "sqlite" ? 20_000 : 5000;
  await measure("warm-up", 1000, 100, (i) => box.commit(change(i)));
  await measure("commit, one at a time", slow, 1, (i) => box.commit(change(i)));
  await measure("commit, 10 at a time", fast / 4, 10, (i) => box.commit(change(i)));
  await measure("commit, 100 at a time", fast, 100, (i) => box.commit(change(i)));
  let event = 0;
  await measure("once, 100 at a time", fast, 100, (i) => box.once(`e-${event++}`, "bench", () => change(i)));
  event = 0;
  await measure("once again: duplicates", fast, 100, () => box.once(`e-${event++}`, "bench", () => ({})));
  await measure("find, 1 at a time", fast, 1, (i) => db.find(orders, { id: `o-${i}` }));
  await measure("select by Drizzle, 1 at a time", fast, 1, (i) =>
    db
      .select()
      .from(orders)
      .where(eq(orders.id, `o-${i}`))
      .limit(1),
  );
  await relay.stop();
  await at.remove();
}
process.exit(0);
