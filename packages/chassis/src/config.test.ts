import { expect, test } from "bun:test";
import { readConfig } from "./config.ts";

test("each service gets a database of its own from one connection string", () => {
  const env = { DATABASE_URL: "postgres://me@127.0.0.1:5432/{appID}" };
  expect(readConfig("orders", env).databaseUrl).toBe("postgres://me@127.0.0.1:5432/orders");
  expect(readConfig("orders", { ...env, APP_ID: "orders-2" }).databaseUrl).toBe(
    "postgres://me@127.0.0.1:5432/orders-2",
  );
  expect(readConfig("orders", { DATABASE_URL: "" }).databaseUrl).toBeUndefined();
});
