import { expect, test } from "bun:test";
import { Lag } from "./lag.ts";

test("rises at once, and fades when looks come in time again", () => {
  let now = 0;
  const lag = new Lag(() => now);
  const look = (after: number) => {
    now += after;
    lag.looked(now);
  };
  look(20);
  expect(lag.value).toBe(0);
  look(320);
  expect(lag.value).toBe(300);
  look(20);
  expect(lag.value).toBe(240);
  for (let i = 0; i < 40; i++) look(20);
  expect(lag.value).toBeLessThan(1);
});

test("is seen by itself when the process is busy", async () => {
  const lag = new Lag();
  await Bun.sleep(50);
  const until = performance.now() + 200;
  while (performance.now() < until);
  await Bun.sleep(30);
  expect(lag.value).toBeGreaterThan(50);
});
