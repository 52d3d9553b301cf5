import { expect, test } from "bun:test";
import { connect } from "node:net";
import { untilSaid } from "./obtain/fixtures.ts";
import { isFree, reserve } from "./ports.ts";

test("ports are held until they are given up, and never given twice", async () => {
  const held = await Promise.all(Array.from({ length: 150 }, () => reserve()));
  expect(new Set(held.map(({ port }) => port)).size).toBe(150);
  const [first] = held;
  expect(await isFree(first?.port ?? 0)).toBe(false);
  await Promise.all(held.map((one) => one.release()));
  expect(await isFree(first?.port ?? 0)).toBe(true);
});

test("whoever connects too early does not keep a port from being given up", async () => {
  const held = await reserve();
  const early = connect(held.port, "127.0.0.1");
  await new Promise((connected) => early.once("connect", connected));
  await held.release();
  expect(await isFree(held.port)).toBe(true);
  early.destroy();
});

test("another process takes none that this one has given up for its users to bind", async () => {
  const own = await Promise.all(Array.from({ length: 40 }, () => reserve()));
  await Promise.all(own.map((one) => one.release()));
  const code = `const { reserve } = await import(${JSON.stringify(`${import.meta.dir}/ports.ts`)});
    const held = await Promise.all(Array.from({ length: 200 }, () => reserve()));
    console.log(JSON.stringify(held.map(({ port }) => port))); setInterval(() => {}, 60_000);`;
  // All live until the last has its ports: what one that is gone had held may be taken again.
  const children = [1, 2, 3].map(() => Bun.spawn([process.execPath, "-e", code], { stdout: "pipe" }));
  const others = await Promise.all(
    children.map(async ({ stdout }) => JSON.parse(await untilSaid(stdout, "\n")) as number[]),
  ).finally(() => {
    for (const child of children) child.kill();
  });
  const taken = new Set(others.flat());
  expect(taken.size).toBe(600);
  expect(own.filter(({ port }) => taken.has(port))).toEqual([]);
});
