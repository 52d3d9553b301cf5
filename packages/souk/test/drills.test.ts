import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { Verdict } from "../src/drills/verdict.ts";

const launcher = join(import.meta.dir, "../bin/souk.mjs");

/** Runs a drill as a user does; the progress goes where it can be seen. */
async function drill(...args: string[]): Promise<Verdict> {
  const child = Bun.spawn(["node", launcher, "drill", ...args, "--json"], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  const said = await new Response(child.stdout).text();
  const code = await child.exited;
  if (!said.startsWith("{")) throw new Error(`drill ${args.join(" ")} ended with ${code}: ${said}`);
  const verdict = JSON.parse(said) as Verdict;
  expect(code).toBe(verdict.passed ? 0 : 1);
  return verdict;
}

// How quick a shop is depends on the machine, which is the command's business; what is right does not.
describe("in short,", () => {
  test("500 buyers at once for 50 units: exactly 50 are sold, every time", async () => {
    const { failures, figures } = await drill("flash-sale", "--rounds", "3");
    expect(failures).toEqual([]);
    expect(figures).toMatchObject({ "rounds with exactly 50 sold": 3, orders: 1_500 });
  }, 240_000);

  test("without a broker every order is taken, and finished when it is back", async () => {
    const { failures, figures } = await drill("broker-down", "--seconds", "5");
    expect(failures).toEqual([]);
    expect(figures["taken (202)"]).toBe(figures["orders placed"] as number);
    expect(figures.confirmed).toBe(figures["orders placed"] as number);
    expect(figures.confirmed).toBeGreaterThan(200);
  }, 240_000);

  test("every event three times and out of order ends like every event once", async () => {
    const { failures, figures } = await drill("triple", "--orders", "40");
    expect(failures).toEqual([]);
    expect(figures.deliveries).toBeGreaterThanOrEqual(3 * Number(figures["events by subscriber"]));
    expect(figures["first deliveries out of order"]).toBeGreaterThan(50);
    expect(figures["things compared"]).toBeGreaterThan(300);
  }, 240_000);

  test("far more customers than it can serve: what it took is finished, the rest was told to come back", async () => {
    const { failures, figures } = await drill("overload", "--seconds", "5");
    expect(failures).toEqual([]);
    expect(figures["orders taken"]).toBeGreaterThan(50);
    expect(figures["refused, %"]).toBeGreaterThan(5);
  }, 240_000);
});
