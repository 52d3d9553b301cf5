import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { contractOf } from "./contract.ts";

interface Document {
  paths: Record<string, Record<string, { responses: Record<string, object> }>>;
}

test("the document says what is answered in the place of any route", async () => {
  const folder = mkdtempSync(join(tmpdir(), "contract-test-"));
  symlinkSync(resolve(import.meta.dir, "../../../node_modules"), join(folder, "node_modules"));
  writeFileSync(
    join(folder, "service.ts"),
    `import { router, says, service } from "chassis";
     const answer = (c) => c.json({});
     export default service({
       name: "things",
       routes: router()
         .get("/things", says("List", { 200: null }), answer)
         .post("/things", says("Make", { 201: null }), answer)
         .post("/key", says("Own credentials", { 200: null }), answer),
       ownCredentials: ["/key"],
     });`,
  );
  try {
    const files = await contractOf(folder);
    const { paths } = JSON.parse(files["openapi.json"] ?? "") as Document;
    const statuses = (path: string, method: string) => Object.keys(paths[path]?.[method]?.responses ?? {});
    expect(statuses("/things", "get")).toEqual(["200", "304", "401"]);
    expect(statuses("/things", "post")).toEqual(["201", "401", "413"]);
    expect(statuses("/key", "post")).toEqual(["200", "413"]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
