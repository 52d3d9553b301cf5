import { describe, expect, test } from "bun:test";
import { childTraceparent, newTraceparent, parseTraceparent } from "./traceparent.ts";

const trace = "4bf92f3577b34da6a3ce929d0e0e4736";
const span = "00f067aa0ba902b7";
const ones = (length: number) => new Uint8Array(length).fill(0x11);

describe("parseTraceparent", () => {
  test("reads the parts", () => {
    expect(parseTraceparent(`00-${trace}-${span}-01`)).toEqual({
      traceId: trace,
      parentId: span,
      sampled: true,
    });
    expect(parseTraceparent(`00-${trace}-${span}-02`)?.sampled).toBe(false);
  });

  test("takes what a later version adds", () => {
    expect(parseTraceparent(`cc-${trace}-${span}-01-more`)?.traceId).toBe(trace);
  });

  test.each([
    ["nothing", undefined],
    ["null", null],
    ["an empty text", ""],
    ["zeros, as daprd puts in", `00-${"0".repeat(32)}-${"0".repeat(16)}-00`],
    ["a span of zeros", `00-${trace}-${"0".repeat(16)}-01`],
    ["version ff", `ff-${trace}-${span}-01`],
    ["more after version 00", `00-${trace}-${span}-01-more`],
    ["upper case", `00-${trace.toUpperCase()}-${span}-01`],
    ["too little", `00-${trace}-${span}`],
  ])("refuses %s", (_, value) => {
    expect(parseTraceparent(value)).toBeNull();
  });
});

test("newTraceparent starts a trace", () => {
  expect(newTraceparent({ random: ones })).toBe(`00-${"11".repeat(16)}-${"11".repeat(8)}-01`);
  expect(newTraceparent({ random: ones, sampled: false })).toEndWith("-00");
  expect(newTraceparent()).not.toBe(newTraceparent());
  expect(parseTraceparent(newTraceparent())).not.toBeNull();
});

test("childTraceparent keeps the trace and whether it is sampled", () => {
  expect(childTraceparent(`00-${trace}-${span}-00`, ones)).toBe(`00-${trace}-${"11".repeat(8)}-00`);
  expect(childTraceparent("nonsense", ones)).toBe(newTraceparent({ random: ones }));
});
