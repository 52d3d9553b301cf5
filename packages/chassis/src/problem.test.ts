import { expect, test } from "bun:test";
import { StorageUnavailable } from "drizzle-outbox";
import { DaprError, EtagMismatch, InvocationTimeout, SidecarUnreachable } from "hono-dapr";
import { toProblem } from "./problem.ts";

test.each([
  ["nothing answers at its address", new SidecarUnreachable("Nothing answered at http://127.0.0.1:3500")],
  [
    "it cannot reach the store",
    new DaprError(500, "ERR_STATE_GET", "Reading cart-1: dial tcp 127.0.0.1:6379"),
  ],
  ["it does not have the store", new DaprError(400, "ERR_STATE_STORE_NOT_FOUND", "state store is not found")],
  ["another service is too slow", new InvocationTimeout("http://carts/checkouts/1", 3_000)],
  ["others keep changing the value", new EtagMismatch(409, "ERR_STATE_SAVE", "possible etag mismatch")],
])(
  "what the sidecar cannot do is a 503 to ask again after, which says nothing of the inside: %s",
  (_, error) => {
    const problem = toProblem(error);
    expect(problem).toMatchObject({ status: 503, code: "service-unavailable" });
    expect(Number(problem.headers["retry-after"])).toBeGreaterThan(0);
    expect(problem.message).not.toMatch(/127|cart|ERR_|etag/);
  },
);

test("what the sidecar refuses, because we asked for the wrong thing, is our mistake", () => {
  const refused = new DaprError(400, "ERR_MALFORMED_REQUEST", "failed to unmarshal");
  expect(toProblem(refused)).toMatchObject({ status: 500, code: "internal" });
});

test("a database that cannot be reached is a 503 to ask again after, also when a query builder has wrapped it", () => {
  const unreachable = new StorageUnavailable("unreachable", "it cannot be reached");
  for (const error of [unreachable, new Error("Failed query: select …", { cause: unreachable })]) {
    expect(toProblem(error)).toMatchObject({ status: 503, code: "storage-unavailable" });
    expect(toProblem(error).headers?.["retry-after"]).toBeDefined();
  }
  expect(toProblem(new Error("else"))).toMatchObject({ status: 500, code: "internal" });
});
