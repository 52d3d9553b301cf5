/** A process of its own for tests: `dapr <source>` obtains, `lock <file>` holds a lock until it is killed. */
import { obtainDapr } from "./dapr.ts";
import { withLock } from "./lock.ts";

const [what, argument = ""] = process.argv.slice(2);
const report = { step: (text: string) => console.log(text), progress() {} };

if (what === "lock") {
  await withLock(argument, { report, what: "test" }, async () => {
    console.log("held");
    await new Promise(() => setInterval(() => undefined, 1000));
  });
} else {
  const patience = { answer: 2000, stall: 60_000, retry: 10, progress: 0 };
  const dapr = await obtainDapr({ report, source: argument, patience });
  console.log(JSON.stringify(dapr));
}
