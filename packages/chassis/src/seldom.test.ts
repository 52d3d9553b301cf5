import { expect, test } from "bun:test";
import { seldom } from "./seldom.ts";

test("one of a kind is let through in a while, with how many were not", () => {
  let now = 1_000;
  const may = seldom(1_000, () => now);
  expect(may("broker")).toBe(0);
  for (let i = 0; i < 300; i++) expect(may("broker")).toBeUndefined();
  expect(may("disk")).toBe(0);
  now += 999;
  expect(may("broker")).toBeUndefined();
  now += 1;
  expect(may("broker")).toBe(301);
  expect(may("broker")).toBeUndefined();
  now += 1_000;
  expect(may("broker")).toBe(1);
});

test("kinds without end do not fill the memory", () => {
  const may = seldom(1_000, () => 0);
  for (let i = 0; i < 10_000; i++) expect(may(`error ${i}`)).toBe(0);
  expect(may("error 9999")).toBeUndefined();
  expect(may("error 1")).toBe(0);
});
