import { expect, test } from "bun:test";
import { Hono } from "hono";
import { dapr, onBinding } from "./index.ts";
import { fakeSidecar } from "./testing/index.ts";

test("an output binding is given the operation, and its answer comes back", async () => {
  const asked: unknown[] = [];
  const fake = fakeSidecar({
    bindings: { mail: (request) => void asked.push(request), echo: ({ data }) => data },
  });
  const sidecar = fake.sidecar("a");
  const metadata = { emailTo: "ann@example.com" };
  expect(await sidecar.binding("mail").invoke("create", "Hello", metadata)).toEqual({
    data: undefined,
    metadata: {},
  });
  expect(asked).toEqual([{ operation: "create", data: "Hello", metadata }]);
  expect((await sidecar.binding("echo").invoke("get", { a: [1] })).data).toEqual({ a: [1] });
});

test("an output binding that fails throws the component's reason", async () => {
  const broken = () => {
    throw new Error("mailbox full");
  };
  const sidecar = fakeSidecar({ bindings: { mail: broken } }).sidecar("a");
  await expect(sidecar.binding("mail").invoke("create")).rejects.toThrow("mailbox full");
});

test("what an output binding says about its answer is read from the headers", async () => {
  const answer = () => new Response("plain", { headers: { "metadata.statusCode": "201" } });
  const sidecar = dapr({ endpoint: "http://sidecar", fetch: async () => answer() });
  expect(await sidecar.binding("web").invoke("get")).toEqual({
    data: "plain",
    metadata: { statuscode: "201" },
  });
});

test("an input binding reaches its handler; one that throws is answered 500", async () => {
  const fake = fakeSidecar();
  const got: unknown[] = [];
  const handlers = [
    onBinding("tick", (data) => void got.push(data)),
    onBinding("broken", () => {
      throw new Error("no");
    }),
  ];
  const app = new Hono().onError((_, c) => c.body(null, 500));
  await fake.start("a", app.route("/", fake.sidecar("a").subscriptions(handlers)));
  expect((await fake.trigger("a", "tick", { at: 1 })).status).toBe(200);
  expect((await fake.trigger("a", "broken")).status).toBe(500);
  expect(got).toEqual([{ at: 1 }]);
});

test("daprd is told which input bindings the app wants", async () => {
  const app = dapr({ endpoint: "http://sidecar", appToken: "t" }).subscriptions([
    onBinding("tick", () => {}),
  ]);
  const headers = { "dapr-api-token": "t" };
  expect((await app.request("/tick", { method: "OPTIONS", headers })).status).toBe(200);
  expect((await app.request("/other", { method: "OPTIONS", headers })).status).toBe(404);
  expect((await app.request("/tick", { method: "POST" })).status).toBe(401);
});
