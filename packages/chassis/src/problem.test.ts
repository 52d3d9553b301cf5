import { expect, test } from "bun:test";
import { StorageUnavailable } from "drizzle-outbox";
import { toProblem } from "./problem.ts";

test("a database that cannot be reached is a 503 to ask again after, also when a query builder has wrapped it", () => {
  const unreachable = new StorageUnavailable("unreachable", "it cannot be reached");
  for (const error of [unreachable, new Error("Failed query: select …", { cause: unreachable })]) {
    expect(toProblem(error)).toMatchObject({ status: 503, code: "storage-unavailable" });
    expect(toProblem(error).headers?.["retry-after"]).toBeDefined();
  }
  expect(toProblem(new Error("else"))).toMatchObject({ status: 500, code: "internal" });
});
