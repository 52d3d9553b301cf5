import { expect, test } from "bun:test";
import { Hono } from "hono";
import * as v from "valibot";
import { body } from "./body.ts";
import { problemResponse, toProblem } from "./problem.ts";

const app = new Hono()
  .post("/any", body(v.strictObject({ amount: v.optional(v.number()) })), (c) => c.json(c.req.valid("json")))
  .post("/list", body(v.array(v.number())), (c) => c.json(c.req.valid("json")));
app.onError((error, c) => problemResponse(c, toProblem(error)));

const post = (path: string, text: string, type = "application/json"): Response | Promise<Response> =>
  app.request(path, { method: "POST", body: text, headers: { "content-type": type } });

test("an array is no object, although nothing of the object is required", async () => {
  const refused = await post("/any", "[]");
  expect(refused.status).toBe(400);
  expect(await refused.json()).toMatchObject({ code: "invalid-body", errors: [{ pointer: "" }] });
  expect((await post("/any", "{}")).status).toBe(200);
  expect(await (await post("/list", "[1]")).json()).toEqual([1]);
});

test("another media type is refused before it is read", async () => {
  expect((await post("/any", "{}", "text/plain")).status).toBe(415);
});

test("nothing at all is as good as an empty object, where nothing is required", async () => {
  expect((await app.request("/any", { method: "POST" })).status).toBe(200);
  expect((await post("/any", "", "application/octet-stream")).status).toBe(200);
  expect((await app.request("/list", { method: "POST" })).status).toBe(415);
});

test("a problem says what was expected where, not what came", async () => {
  const refused = await post("/any", JSON.stringify({ amount: 'a "secret"' }));
  expect(await refused.json()).toMatchObject({
    errors: [{ pointer: "/amount", detail: "Invalid type: Expected number" }],
  });
});
