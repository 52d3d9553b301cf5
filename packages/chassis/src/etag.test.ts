import { expect, test } from "bun:test";
import { Hono } from "hono";
import { cacheable, etag, requireMatch } from "./etag.ts";
import { problemResponse, toProblem } from "./problem.ts";

const app = new Hono();
app.onError((error, c) => problemResponse(c, toProblem(error)));
app.get("/", (c) => cacheable(c, { n: 1 }, "private", etag(3)));
app.put("/", (c) => {
  requireMatch(c, 3);
  return c.body(null, 204);
});

test.each([
  [undefined, 428],
  ['"2"', 412],
  ['W/"3"', 412],
  ['"3"', 204],
  ['"1", "3"', 204],
  ["*", 204],
])("a change with If-Match %s is answered with %i", async (header, status) => {
  const headers = new Headers();
  if (header) headers.set("if-match", header);
  expect((await app.request("/", { method: "PUT", headers })).status).toBe(status);
});

test.each([
  [undefined, 200],
  ['"2"', 200],
  ['"3"', 304],
  ['W/"3"', 304],
  ["*", 304],
])("a read with If-None-Match %s is answered with %i", async (header, status) => {
  const headers = new Headers();
  if (header) headers.set("if-none-match", header);
  const response = await app.request("/", { headers });
  expect([response.status, response.headers.get("etag")]).toEqual([status, '"3"']);
});
