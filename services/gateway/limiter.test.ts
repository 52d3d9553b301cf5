import { expect, test } from "bun:test";
import { network, SlidingWindow } from "./limiter.ts";

const start = 1_800_000_000_000;

test("lets through as many as the limit says, and says how many are left", () => {
  const window = new SlidingWindow(3, 60_000);
  expect(window.take("a", start)).toEqual({ allowed: true, left: 2, wait: 60 });
  expect(window.take("a", start + 500).left).toBe(1);
  expect(window.take("a", start).left).toBe(0);
  expect(window.take("a", start + 10_000)).toEqual({ allowed: false, left: 0, wait: 70 });
  expect(window.take("b", start).allowed).toBe(true);
});

test("the window slides: there is no edge at which twice the limit gets through", () => {
  const window = new SlidingWindow(100, 60_000);
  for (let i = 0; i < 100; i++) window.take("a", start + 59_000);
  const through = (at: number): number => {
    let count = 0;
    while (window.take("a", at).allowed) count++;
    return count;
  };
  expect(through(start + 60_000)).toBe(0);
  expect(through(start + 90_000)).toBe(50);
  expect(through(start + 240_000)).toBe(100);
});

test("who waits as long as they are told gets through, and not a second sooner", () => {
  for (const [limit, pace] of [
    [1, 1],
    [3, 7_000],
    [10, 900],
    [100, 311],
    [7, 59_999],
  ] as const) {
    const window = new SlidingWindow(limit, 60_000);
    let at = start + 17_000;
    for (let refusals = 0; refusals < 5; ) {
      const { allowed, wait } = window.take("a", at);
      if (allowed) at += pace;
      else {
        refusals++;
        expect(window.share("a", at + (wait - 1) * 1_000).allowed && wait > 1).toBe(false);
        at += wait * 1_000;
        expect(window.share("a", at).allowed).toBe(true);
      }
      if (pace * limit > 60_000 && at > start + 600_000) break;
    }
  }
});

test("a flood of clients shares one share", () => {
  const window = new SlidingWindow(2, 60_000);
  for (let i = 0; i < 100_000; i++) window.take(`c${i}`, start);
  expect([1, 2, 3].map((n) => window.take(`more${n}`, start).allowed)).toEqual([true, true, false]);
  expect(window.take("c1", start).allowed).toBe(true);
});

test.each([
  ["192.0.2.7", "192.0.2.7"],
  ["::ffff:192.0.2.7", "192.0.2.7"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
  ["2001:db8::1", "2001:db8:0:0::/64"],
  ["::1", "0:0:0:0::/64"],
  ["", ""],
])("%s counts as %s", (ip, counted) => {
  expect(network(ip)).toBe(counted);
});
