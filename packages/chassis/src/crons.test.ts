import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { type Db, openPostgres } from "drizzle-outbox";
import { server } from "../../drizzle-outbox/test/postgres.ts";
import { counter } from "../test/counter/service.ts";
import { Asked, type Store } from "../test/counter/store.ts";
import { until } from "../test/until.ts";
import { router, type Service, service } from "./service.ts";
import { type TestService, testService } from "./testing/index.ts";

setDefaultTimeout(60_000);

const folder = join(import.meta.dir, "../test/counter");
const minute = 60_000;
const three = Date.parse("2026-07-29T03:00:00Z");

let runs: number[] = [];
let broken = false;
const ticking: Service<Store> = {
  ...counter(),
  crons: {
    sweep({ name, at }, { store, id }) {
      runs.push(at);
      if (broken) throw new Error("not today");
      return store.heard(id(), `${name} ${new Date(at).toISOString()}`);
    },
  },
};

afterEach(() => {
  runs = [];
  broken = false;
});

/** One service on SQLite with three sidecars' ticks, or three replicas of it on one PostgreSQL. */
for (const place of ["one process on SQLite", "three replicas on PostgreSQL"]) {
  describe(`a tick, ${place}`, () => {
    let replicas: TestService<Store>[];
    let databases: Db[];
    const first = () => replicas[0] as TestService<Store>;

    beforeEach(async () => {
      databases = [];
      if (place.includes("SQLite")) {
        const app = await testService(ticking, { folder });
        replicas = [app, app, app];
        return;
      }
      const url = await (await server()).database();
      databases = await Promise.all([openPostgres(url), openPostgres(url), openPostgres(url)]);
      replicas = [];
      for (const db of databases) replicas.push(await testService(ticking, { folder, db }));
    });
    afterEach(async () => {
      await Promise.all([...new Set(replicas)].map((replica) => replica.stop()));
      await Promise.all(databases.map((db) => db.close()));
    });

    test("of every sidecar in the same minute has its effect once, the next minute's as well", async () => {
      for (const from of [three, three + minute])
        await Promise.all(replicas.map((replica, late) => replica.tick("sweep", from + late * 700)));
      // One that was held up, and comes after all is done.
      await first().tick("sweep", three + 59_999);
      expect((await first().store.all()).sort()).toEqual([
        "sweep 2026-07-29T03:00:00.000Z",
        "sweep 2026-07-29T03:01:00.000Z",
      ]);
      expect(runs.sort()).toEqual([three, three + minute]);
    });

    test("whose handler throws is tried again until it is done, and stands for those that come meanwhile", async () => {
      broken = true;
      await expect(first().tick("sweep", three)).rejects.toThrow("will be tried again");
      await expect(first().tick("sweep", three + minute)).rejects.toThrow("will be tried again");
      broken = false;
      await until("it is done", async () => (await first().store.all()).length > 0);
      expect(await first().store.all()).toEqual(["sweep 2026-07-29T03:00:00.000Z"]);
      // Done is done: the next one begins anew.
      await first().tick("sweep", three + 2 * minute);
      expect(await first().store.all()).toHaveLength(2);
    });
  });
}

test("what a tick changes is published, with the trace of the tick", async () => {
  const app = await testService(ticking, { folder });
  await app.tick("sweep", three);
  const [event] = await app.published();
  expect(event).toMatchObject({ type: "counter.heard", data: { text: "sweep 2026-07-29T03:00:00.000Z" } });
  // And events still come in beside it.
  expect(await app.deliver(Asked, { text: "why" })).toBe("SUCCESS");
  await app.stop();
});

test("a schedule that there is not is not found, and nobody ticks without the sidecar's token", async () => {
  const app = await testService(ticking, { folder, env: { APP_API_TOKEN: "t0ken" } });
  const post = (name: string, headers: Record<string, string> = {}) =>
    app.request(`/_crons/${name}`, { method: "POST", headers });
  expect((await post("sweep")).status).toBe(401);
  expect((await post("other", { "dapr-api-token": "t0ken" })).status).toBe(404);
  expect((await post("sweep", { "dapr-api-token": "t0ken" })).status).toBe(200);
  await until("it ran", () => runs.length === 1);
  await app.stop();
});

test("a service that keeps nothing on disk has no crons", async () => {
  const forgetful = service<undefined>({
    name: "forgetful",
    routes: router<undefined>(),
    crons: { sweep: () => undefined },
  });
  await expect(testService(forgetful, { folder })).rejects.toThrow("crons, and no store");
});
