import { expect, test } from "bun:test";
import { fuzzShop, told } from "../fuzz/run.ts";

test("the front door keeps its word whatever comes", async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const failures = await fuzzShop({ cases: 200, seed });
  expect(failures.map((failure) => told(failure, "--shop")).join("\n")).toBe("");
});
