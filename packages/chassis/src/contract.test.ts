import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { contractOf } from "./contract.ts";

interface Operation {
  parameters?: object[];
  requestBody?: object;
  responses: Record<string, object>;
}
interface Document {
  paths: Record<string, Record<string, Operation>>;
  components: Record<string, Record<string, object>>;
}

/** The document of a service that is written for the test: file name → code. */
async function documentOf(files: Record<string, string>): Promise<Document> {
  const folder = mkdtempSync(join(tmpdir(), "contract-test-"));
  symlinkSync(resolve(import.meta.dir, "../../../node_modules"), join(folder, "node_modules"));
  for (const [name, code] of Object.entries(files)) writeFileSync(join(folder, name), code);
  try {
    return JSON.parse((await contractOf(folder))["openapi.json"] ?? "") as Document;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const contracts = `
  import * as v from "valibot";
  export const Price = v.object({ amount: v.number() });
  export const Thing = v.object({ id: v.string(), price: Price });
  export const Unused = v.object({ never: v.string() });`;
const service = `
  import { body, problems, router, says, service } from "chassis";
  import { Thing } from "./contracts.ts";
  const answer = (c) => c.json({});
  export default service({
    name: "things",
    routes: router()
      .get("/things/:id", says("Read", { 200: Thing, ...problems(404) }), answer)
      .get("/stream", says("Follow", { 200: null }), answer)
      .put("/things/:id", says("Put", { 200: Thing, ...problems(412, 428) }), body(Thing), answer)
      .post("/things", says("Make", { 201: Thing }), body(Thing), answer)
      .post("/key", says("Own credentials", { 200: null }), answer),
    ownCredentials: ["/key"],
  });`;

test("the document says what is answered in the place of any route", async () => {
  const { paths } = await documentOf({ "contracts.ts": contracts, "service.ts": service });
  const statuses = (path: string, method: string) => Object.keys(paths[path]?.[method]?.responses ?? {});
  expect(statuses("/things/{id}", "get")).toEqual(["200", "304", "401", "404"]);
  expect(statuses("/stream", "get")).toEqual(["200", "401"]);
  expect(statuses("/things", "post")).toEqual(["201", "401", "413"]);
  expect(statuses("/key", "post")).toEqual(["200", "413"]);
});

test("what stands in many places is written once", async () => {
  const { paths, components } = await documentOf({ "contracts.ts": contracts, "service.ts": service });
  const thing = { $ref: "#/components/schemas/Thing" };
  expect(paths["/things"]?.post?.requestBody).toMatchObject({
    content: { "application/json": { schema: thing } },
  });
  expect(components.schemas?.Thing).toMatchObject({
    properties: { price: { $ref: "#/components/schemas/Price" } },
  });
  expect(Object.keys(components.schemas ?? {})).toEqual(["Price", "Problem", "Thing"]);
  expect(paths["/things/{id}"]?.get?.responses[404]).toEqual({ $ref: "#/components/responses/NotFound" });
});

test("headers follow from what is answered", async () => {
  const { paths } = await documentOf({ "contracts.ts": contracts, "service.ts": service });
  const { get, put } = paths["/things/{id}"] ?? {};
  expect(get?.parameters).toContainEqual({ $ref: "#/components/parameters/IfNoneMatch" });
  expect(put?.parameters).toContainEqual({ $ref: "#/components/parameters/IfMatch" });
  const etag = { headers: { ETag: { $ref: "#/components/headers/ETag" } } };
  for (const answer of [get?.responses[200], get?.responses[304], put?.responses[200]])
    expect(answer).toMatchObject(etag);
  expect(paths["/things"]?.post?.responses[201]).toMatchObject({
    headers: { Location: { $ref: "#/components/headers/Location" } },
  });
});

const examples = (name: string, example: object) =>
  `export const examples = { ${JSON.stringify(name)}: ${JSON.stringify(example)} };`;

test("an example is shown where it belongs, and says where its values come from", async () => {
  const id = { operation: "POST /api/things", at: "/id", like: "t-1" };
  const { paths } = await documentOf({
    "contracts.ts": contracts,
    "service.ts": service,
    "examples.ts": examples("PUT /things/{id}", {
      parameters: { id },
      body: { id: "t-1", price: { amount: 1 } },
      answer: { id: "t-1", price: { amount: 2 } },
    }),
  });
  const put = paths["/things/{id}"]?.put;
  expect(put?.parameters).toContainEqual(
    expect.objectContaining({
      name: "id",
      example: "t-1",
      "x-from": { operation: "POST /api/things", at: "/id" },
    }),
  );
  expect(put?.requestBody).toMatchObject({
    content: { "application/json": { example: { id: "t-1", price: { amount: 1 } } } },
  });
  expect(put?.responses[200]).toMatchObject({
    content: { "application/json": { example: { id: "t-1", price: { amount: 2 } } } },
  });
});

test("an example of what there is not is refused", async () => {
  const document = (name: string, example: object) =>
    documentOf({ "contracts.ts": contracts, "service.ts": service, "examples.ts": examples(name, example) });
  expect(document("GET /nothing", {})).rejects.toThrow("GET /nothing");
  expect(document("GET /stream", { parameters: { id: "1" } })).rejects.toThrow("names id");
  expect(document("GET /stream", { body: {} })).rejects.toThrow("has a body");
});
