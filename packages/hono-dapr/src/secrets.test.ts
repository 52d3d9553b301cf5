import { expect, test } from "bun:test";
import { dapr } from "./index.ts";
import { fakeSidecar } from "./testing/index.ts";

const secrets = { secrets: { plain: "p", database: { user: "u", password: "w" }, single: { key: "k" } } };

test("a secret is one value, or several by name", async () => {
  const store = fakeSidecar({ secrets }).sidecar("a").secrets("secrets");
  expect(await store.get("plain")).toBe("p");
  expect(await store.get("single")).toBe("k");
  expect(await store.values("database")).toEqual({ user: "u", password: "w" });
  await expect(store.get("database")).rejects.toThrow("has no single value");
});

test("a secret may be forbidden", async () => {
  const fake = fakeSidecar({ secrets });
  fake.deny({ secret: "plain", from: "a" });
  await expect(fake.sidecar("a").secrets("secrets").get("plain")).rejects.toMatchObject({ status: 403 });
  expect(await fake.sidecar("b").secrets("secrets").get("plain")).toBe("p");
});

test("an empty value, as the store of environment variables gives for what is not set, is an error", async () => {
  const sidecar = dapr({ endpoint: "http://sidecar", fetch: async () => Response.json({ missing: "" }) });
  await expect(sidecar.secrets("env").get("missing")).rejects.toMatchObject({ status: 404 });
});
