import { afterEach, expect, test } from "bun:test";
import { join } from "node:path";
import { counter } from "../test/counter/service.ts";
import { Asked } from "../test/counter/store.ts";
import { testService } from "./testing/index.ts";

const broken = new Set<string>();
afterEach(() => broken.clear());
const start = () => testService(counter(broken), { folder: join(import.meta.dir, "../test/counter") });

test("an event has its effect once, and what follows from it is published", async () => {
  const app = await start();
  for (let time = 0; time < 3; time++)
    expect(await app.deliver(Asked, { text: "why" }, { id: "e-1" })).toBe("SUCCESS");
  expect(await app.store.all()).toEqual(["why"]);
  expect((await app.published()).map(({ type }) => type)).toEqual(["counter.heard"]);
  await app.stop();
});

test.each(["", "soon", 7, null, [[]]])("an event is handled although its time is none: %p", async (time) => {
  const app = await start();
  const event = {
    specversion: "1.0",
    id: "e-1",
    source: "test",
    type: Asked.type,
    time,
    data: { text: "why" },
  };
  const body = JSON.stringify(event);
  const delivered = await app.request(`/_events/${Asked.topic}`, { method: "POST", body });
  expect(await delivered.json()).toEqual({ status: "SUCCESS" });
  expect(await app.store.all()).toEqual(["why"]);
  await app.stop();
});

test("an unknown path is a problem, and an error says nothing of the inside", async () => {
  const app = await start();
  const missing = await app.request("/nothing");
  expect([missing.status, missing.headers.get("content-type")]).toEqual([404, "application/problem+json"]);
  await app.stop();
});
