import { expect, test } from "bun:test";
import { moments } from "./moments.ts";

const iso = (dates: string[]) =>
  moments(dates).map((at) => (Number.isFinite(at) ? new Date(at).toISOString() : at));

test("the day stands first where nothing speaks against it", () => {
  expect(iso(["1/12/2010", "2/12/2010 8:26"])).toEqual([
    "2010-12-01T00:00:00.000Z",
    "2010-12-02T08:26:00.000Z",
  ]);
});

test("one date that cannot be read with the day first has all read with the month first", () => {
  expect(iso(["12/1/2010 8:26", "12/13/2010"])).toEqual([
    "2010-12-01T08:26:00.000Z",
    "2010-12-13T00:00:00.000Z",
  ]);
});

test("dates as databases write them, and years of two digits, are read", () => {
  expect(iso(["2009-12-01 07:45:09", "2009-12-01T07:46", "03.12.09"])).toEqual([
    "2009-12-01T07:45:09.000Z",
    "2009-12-01T07:46:00.000Z",
    "2009-12-03T00:00:00.000Z",
  ]);
});

test("what is no date, or lacks the time of the same day, is as old as the line before", () => {
  expect(iso(["", "1/12/2010 8:26", "soon", "1/12/2010", "99/99/2010", "2/12/2010"])).toEqual([
    Number.NEGATIVE_INFINITY,
    ...Array(4).fill("2010-12-01T08:26:00.000Z"),
    "2010-12-02T00:00:00.000Z",
  ]);
});
