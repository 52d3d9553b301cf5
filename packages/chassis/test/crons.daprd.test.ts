import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { migrate, openPostgres } from "drizzle-outbox";
import { dapr } from "hono-dapr";
import { pino } from "pino";
import { type Infra, startInfra, startSidecar } from "souk/testing";
import { server } from "../../drizzle-outbox/test/postgres.ts";
import { compose } from "../src/compose.ts";
import { readConfig } from "../src/config.ts";
import { counter } from "./counter/service.ts";
import { until } from "./until.ts";

setDefaultTimeout(60_000);

const folder = join(import.meta.dir, "counter");
const sweep = `
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: { name: counter-sweep }
spec:
  type: bindings.cron
  version: v1
  metadata:
    - { name: schedule, value: "* * * * * *" }
    - { name: route, value: /_crons/sweep }
    - { name: direction, value: input }
`;

let infra: Infra;
beforeAll(async () => {
  infra = await startInfra();
});
afterAll(() => infra.stop());

test("two replicas, each with a sidecar that ticks every second: every second has its effect once", async () => {
  const url = await (await server()).database();
  const ran: number[] = [];
  const asked = [0, 0];
  const ends: (() => Promise<unknown>)[] = [];
  for (const replica of [0, 1]) {
    const db = await openPostgres(url);
    await migrate(db, join(folder, "migrations"));
    const appToken = crypto.randomUUID();
    let app = (_: Request): Promise<Response> => Promise.resolve(new Response(null, { status: 503 }));
    const listening = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch(request) {
        if (new URL(request.url).pathname === "/_crons/sweep") asked[replica] = (asked[replica] ?? 0) + 1;
        return app(request);
      },
    });
    const running = await compose(
      {
        ...counter(),
        crons: {
          sweep({ at }) {
            ran.push(at);
            return undefined;
          },
        },
      },
      {
        config: readConfig("counter", { CRON_SLOT_MS: "1000", APP_API_TOKEN: appToken }),
        sidecar: dapr({ appId: "counter", appToken, endpoint: "http://127.0.0.1:9" }),
        db,
        log: pino({ level: "silent" }),
        folder,
      },
    );
    app = running.fetch;
    const sidecar = await startSidecar(infra, {
      appId: `counter-${replica}`,
      appPort: listening.port,
      appApiToken: appToken,
      components: { "sweep.yaml": sweep },
    });
    ends.push(async () => {
      await sidecar.stop();
      await listening.stop(true);
      await running.stop();
      await db.close();
    });
  }
  asked.fill(0);
  await until("each has ticked for some seconds", () => asked.every((times) => times >= 4));
  for (const end of ends) await end();
  expect(ran.length).toBeGreaterThan(2);
  expect(new Set(ran).size).toBe(ran.length);
});
