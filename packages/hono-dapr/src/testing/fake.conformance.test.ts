import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { dapr } from "../index.ts";
import { conformance, type World } from "./conformance.ts";
import { type App, fakeSidecar } from "./fake.ts";

async function openFake(): Promise<World> {
  const fake = fakeSidecar({
    retries: { max: 3, interval: 100 },
    secrets: { secrets: { greeting: "hello" } },
  });
  const apps = new Map<string, App>();
  return {
    async start(appId, build, open) {
      const sidecar = fake.sidecar(appId);
      const app = build(sidecar);
      apps.set(appId, app);
      if (open) fake.allow({ call: appId, path: open, method: "GET" });
      await fake.start(appId, app);
      return sidecar;
    },
    withToken: (appId, apiToken) =>
      dapr({ appId, apiToken, endpoint: `http://${appId}.sidecar`, fetch: fake.fetch(appId) }),
    put: async (topic, text) => fake.put(topic, text),
    around: async (appId, path, init) =>
      (await apps.get(appId)?.fetch(new Request(`http://127.0.0.1${path}`, init))) ??
      new Response(null, { status: 502 }),
    pass: (ms) => fake.clock.advance(ms),
    configure: (key, value) => fake.configure("configuration", key, value),
    async tick() {
      await fake.trigger("callee", "tick");
    },
    async close() {
      await fake.settle();
    },
  };
}

conformance("the fake sidecar", openFake, { describe, test, expect, beforeAll, afterAll });
