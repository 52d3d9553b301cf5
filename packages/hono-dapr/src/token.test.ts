import { describe, expect, test } from "bun:test";
import { Hono } from "hono";
import { appToken, sameText } from "./token.ts";

describe("appToken", () => {
  const app = (token: string | undefined) => new Hono().use(appToken(token)).get("/", (c) => c.text("in"));

  test("lets only the sidecar in", async () => {
    const guarded = app("secret");
    expect((await guarded.request("/", { headers: { "dapr-api-token": "secret" } })).status).toBe(200);
    for (const token of ["", "secre", "secrets", "SECRET", "secretsecret"]) {
      const response = await guarded.request("/", { headers: { "dapr-api-token": token } });
      expect(response.status).toBe(401);
      expect(await response.text()).not.toContain("secret");
    }
    expect((await guarded.request("/")).status).toBe(401);
  });

  test("without a token lets everybody in", async () => {
    expect((await app(undefined).request("/")).status).toBe(200);
    expect((await app("").request("/")).status).toBe(200);
  });
});

test("sameText compares", () => {
  expect(sameText("abc", "abc")).toBe(true);
  expect(sameText("", "abc")).toBe(false);
  expect(sameText("abcabc", "abc")).toBe(false);
  expect(sameText("", "")).toBe(true);
});
