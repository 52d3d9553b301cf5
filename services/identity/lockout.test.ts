import { describe, expect, test } from "bun:test";
import { account, address, openAt, type Policy, recent } from "./lockout.ts";

const minute = 60_000;
const hour = 60 * minute;
/** Failures, one a millisecond, the last one now. */
const failures = (count: number, now = 1_000_000_000): number[] =>
  Array.from({ length: count }, (_, i) => now - count + 1 + i);
const waits = (count: number, policy: Policy, now = 1_000_000_000): number =>
  Math.max(0, openAt(failures(count, now), policy, now) - now);

describe("an account", () => {
  test.each([
    [0, 0],
    [4, 0],
    [5, 30_000],
    [6, minute],
    [7, 2 * minute],
    [8, 4 * minute],
    [11, 32 * minute],
    [12, hour],
    [13, hour],
    [1_000, hour],
  ])("after %d wrong passwords waits %d ms", (count, wait) => expect(waits(count, account)).toBe(wait));

  test("opens again at the moment that was said, and not before", () => {
    const at = openAt(failures(5, 1_000), account, 1_000);
    expect(at).toBe(31_000);
    expect(openAt(failures(5, 1_000), account, 30_999)).toBeGreaterThan(30_999);
    expect(openAt(failures(5, 1_000), account, 31_000)).not.toBeGreaterThan(31_000);
  });

  test("is given some 35 tries a day, whoever tries", () => {
    const tried: number[] = [];
    for (let now = 1; now <= 24 * hour; ) {
      tried.push(now);
      now = Math.max(now + 1, openAt(tried, account, now));
    }
    expect(tried.length).toBeGreaterThan(25);
    expect(tried.length).toBeLessThanOrEqual(36);
  });

  test("forgets failures after a day", () => {
    const now = 10 * 24 * hour;
    expect(openAt(failures(50, now - account.window), account, now)).toBe(0);
    expect(recent([now - account.window, now - account.window + 1], account, now)).toHaveLength(1);
  });

  test("is not locked by failures that a clock of before has dated into the future", () =>
    expect(openAt(failures(50, 2_000_000), account, 1_000_000)).toBe(0));
});

describe("a network address", () => {
  test.each([
    [99, 0],
    [100, 30_000],
    [101, minute],
    [104, 8 * minute],
    [105, 15 * minute],
    [500, 15 * minute],
  ])("after %d wrong passwords waits %d ms", (count, wait) => expect(waits(count, address)).toBe(wait));
});
