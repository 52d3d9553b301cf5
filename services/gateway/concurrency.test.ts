import { expect, test } from "bun:test";
import fc from "fast-check";
import { ConcurrencyLimit } from "./concurrency.ts";

/** Answers of so many milliseconds, as many at once as the limit allows, for so long. */
function answers(
  limit: ConcurrencyLimit,
  ms: (atOnce: number) => number,
  from: number,
  forMs: number,
): number {
  let now = from;
  while (now < from + forMs) {
    const atOnce = limit.value;
    const took = ms(atOnce);
    for (let i = 0; i < atOnce; i++) limit.answered(took, atOnce, now + (took * i) / atOnce);
    now += took;
  }
  return now;
}

test("settles where answers take as long as they may, whatever the service can do", () => {
  for (const perSecond of [100, 400, 800]) {
    const limit = new ConcurrencyLimit(250);
    // All that are under way share what the service does in a second (Little's law).
    answers(limit, (atOnce) => (atOnce / perSecond) * 1_000, 0, 60_000);
    const latency = (limit.value / perSecond) * 1_000;
    expect(latency).toBeGreaterThan(240);
    expect(latency).toBeLessThan(400);
  }
});

test("follows a service that becomes slower, and one that becomes quicker", () => {
  const limit = new ConcurrencyLimit(250);
  const now = answers(limit, (atOnce) => atOnce / 0.8, 0, 60_000);
  const before = limit.value;
  const later = answers(limit, (atOnce) => atOnce / 0.1, now, 20_000);
  expect(limit.value).toBeLessThan(before / 4);
  answers(limit, (atOnce) => atOnce / 0.8, later, 20_000);
  expect(limit.value).toBeGreaterThan(before * 0.9);
});

test("does not grow by answers to few", () => {
  const limit = new ConcurrencyLimit(250);
  const before = limit.value;
  for (let now = 0; now < 60_000; now += 10) limit.answered(1, 2, now);
  expect(limit.value).toBe(before);
});

test("a few slow answers among many quick ones do not move it", () => {
  const limit = new ConcurrencyLimit(250);
  for (let now = 0; now < 20_000; now++) limit.answered(now % 10 === 0 ? 5_000 : 20, limit.value, now);
  expect(limit.value).toBe(256);
});

test("stays between its bounds, whatever is measured", () => {
  const one = fc.tuple(fc.double({ min: 0, max: 60_000, noNaN: true }), fc.nat(1_000), fc.nat(500));
  fc.assert(
    fc.property(fc.array(one, { maxLength: 2_000 }), (samples) => {
      const limit = new ConcurrencyLimit(250);
      let now = 0;
      for (const [ms, atOnce, after] of samples) {
        now += after;
        limit.answered(ms, atOnce, now);
        expect(limit.value).toBeGreaterThanOrEqual(8);
        expect(limit.value).toBeLessThanOrEqual(256);
      }
    }),
  );
});
