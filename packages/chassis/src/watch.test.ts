import { expect, test } from "bun:test";
import { Watch } from "./watch.ts";

const never = new AbortController().signal;

function watched() {
  const versions = new Map<string, number>();
  const asked: string[][] = [];
  let trouble: Error | undefined;
  const watch = new Watch(async (ids) => {
    asked.push(ids);
    if (trouble) throw trouble;
    return versions;
  });
  return {
    watch,
    versions,
    asked,
    fail(error: Error | undefined) {
      trouble = error;
    },
  };
}

test("a change wakes those who wait for it, and nobody else", async () => {
  const { watch, versions } = watched();
  versions.set("a", 1).set("b", 1);
  const woken: string[] = [];
  const wait = (id: string) => watch.changed(id, 1, never).then(() => woken.push(id));
  const others = new AbortController();
  const b = watch.changed("b", 1, others.signal);
  const both = [wait("a"), wait("a")];
  versions.set("a", 2);
  await Promise.all(both);
  expect([woken, watch.waiting]).toEqual([["a", "a"], 1]);
  others.abort();
  await b;
  expect(watch.waiting).toBe(0);
});

test("what changed before anybody waited, or is gone, is noticed as well", async () => {
  const { watch, versions } = watched();
  versions.set("a", 7);
  await watch.changed("a", 6, never);
  await watch.changed("nothing", 1, never);
});

test("many who follow are one question; nobody who follows, none", async () => {
  const { watch, versions, asked } = watched();
  for (let i = 0; i < 300; i++) versions.set(`t${i % 100}`, 1);
  const waiting = Array.from({ length: 300 }, (_, i) => watch.changed(`t${i % 100}`, 0, never));
  await Promise.all(waiting);
  expect(asked).toHaveLength(1);
  expect(asked[0]).toHaveLength(100);
});

test("a question that fails is told to those who wait, and is asked again by whoever waits next", async () => {
  const { watch, versions, fail } = watched();
  fail(new Error("away"));
  expect(watch.changed("a", 1, never)).rejects.toThrow("away");
  await watch.changed("a", 1, never).catch(() => {});
  fail(undefined);
  versions.set("a", 2);
  await watch.changed("a", 1, never);
  expect(watch.waiting).toBe(0);
});
