import { expect, test } from "bun:test";
import { fuzzShop, told } from "../fuzz/run.ts";

test("the front door keeps its word whatever comes", async () => {
  const seed = 1;
  const failures = await fuzzShop({ cases: 200, seed });
  expect(failures.map((failure) => told(failure, "--shop")).join("\n")).toBe("");
});
