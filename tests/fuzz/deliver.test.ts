import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { drop, type Received, react, router, service, TooEarly } from "chassis";
import { testService } from "chassis/testing";
import { Asked, type Store, store } from "../../packages/chassis/test/counter/store.ts";
import { judgeDelivery, sentOf } from "./deliver.ts";
import type { Fixture } from "./fixtures.ts";

// What the fuzzer must notice about events, it notices.

const counter = service<Store>({
  name: "counter",
  store,
  routes: router<Store>(),
  reactions: [
    react(Asked, ({ text }, { store, id }: Received<Store>) => {
      if (text === "fails") throw new Error("not today");
      if (text === "early") throw new TooEarly("not yet");
      return text === "dropped" ? drop("never") : store.heard(id(), text);
    }),
  ],
});
let target: Fixture;
beforeAll(async () => {
  const folder = join(import.meta.dir, "../../packages/chassis/test/counter");
  const app = await testService(counter, { folder });
  target = {
    service: "counter",
    operations: [],
    hints: {},
    reactions: counter.reactions ?? [],
    app: app as Fixture["app"],
    pulse: "/health",
    book: {},
    prefix: (path) => path,
    async send({ method, path, headers, body }) {
      const answer = await app.request(path, { method, body, headers: Object.fromEntries(headers) });
      return { status: answer.status, headers: answer.headers, text: await answer.text(), ms: 1 };
    },
    stop: () => app.stop(),
  };
});
afterAll(() => target.stop());

test.each([
  ["fine", undefined],
  ["early", undefined],
  ["dropped", "event: given up although it fits"],
  ["fails", "event: a handler failed"],
])("an event whose handler does this: %s", async (text, rule) => {
  const event = { specversion: "1.0", id: "{{new}}", source: "fuzz", type: "question.asked", data: { text } };
  const delivery = { topic: "questions", text: JSON.stringify(event) };
  expect((await judgeDelivery(delivery, sentOf(delivery, target), target))?.rule).toBe(rule);
});

test("a batch is judged event by event, as a sidecar hands it over", async () => {
  const event = (text: unknown) => ({
    specversion: "1.0",
    id: "{{new}}",
    source: "fuzz",
    type: "question.asked",
    data: { text },
  });
  const judged = async (...texts: unknown[]) => {
    const entries = texts.map((text, index) => ({ entryId: String(index), event: event(text) }));
    const delivery = { topic: "questions", text: JSON.stringify({ id: "b", entries }) };
    return (await judgeDelivery(delivery, sentOf(delivery, target), target))?.rule;
  };
  expect(await judged("fine", 1)).toBeUndefined();
  expect(await judged("fine", "dropped")).toBe("event: given up although it fits");
});

test("a type whose name looks like two lines counts like any other", async () => {
  const event = { specversion: "1.0", id: "e-2", source: "fuzz", type: "one\u2028two", data: 1 };
  const delivery = { topic: "counter-dead", text: JSON.stringify(event) };
  expect(await judgeDelivery(delivery, sentOf(delivery, target), target)).toBeUndefined();
});

test("an event that does not fit is a dead letter that says why", async () => {
  const event = { specversion: "1.0", id: "e-1", source: "fuzz", type: "question.asked", data: { text: 1 } };
  const delivery = { topic: "questions", text: JSON.stringify(event) };
  expect(await judgeDelivery(delivery, sentOf(delivery, target), target)).toBeUndefined();
});
