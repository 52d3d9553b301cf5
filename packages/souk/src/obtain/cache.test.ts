import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Cache, cacheFolder } from "./cache.ts";
import { otherProcess, type Releases, releases, removeSandboxes, sandbox, untilSaid } from "./fixtures.ts";
import { withLock } from "./lock.ts";
import { releaseTarget } from "./release.ts";
import { silent } from "./types.ts";

afterAll(removeSandboxes);

test("the folder: SOUK_CACHE, else the system's place for caches", () => {
  expect(cacheFolder({ SOUK_CACHE: "/a", XDG_CACHE_HOME: "/b", HOME: "/c" })).toBe("/a");
  expect(cacheFolder({ XDG_CACHE_HOME: "/b", HOME: "/c" })).toBe("/b/souk");
  expect(cacheFolder({ XDG_CACHE_HOME: "relative", HOME: "/c" }, "linux")).toBe("/c/.cache/souk");
  expect(cacheFolder({ HOME: "/c" }, "darwin")).toBe("/c/Library/Caches/souk");
});

describe("an entry", () => {
  const published = async () => {
    const cache = new Cache(join(sandbox().root, "cache"));
    await cache.alone("x", { report: silent, what: "x" }, async (work) => {
      mkdirSync(join(work, "done", "deep"), { recursive: true });
      writeFileSync(join(work, "done", "a"), "aaa");
      writeFileSync(join(work, "done", "deep", "b"), "bb");
      await cache.publish("key", join(work, "done"), { version: "1" });
    });
    return cache;
  };

  test("is there once it is published, with what was said of it", async () => {
    const cache = await published();
    expect(await cache.entry("key")).toEqual({ folder: join(cache.folder, "key"), info: { version: "1" } });
    expect(await cache.entry("other")).toBeNull();
    expect(readdirSync(join(cache.folder, "work"))).toEqual([]);
  });

  test("is none when a file is missing or cut, or its list is", async () => {
    const cache = await published();
    const file = (name: string) => join(cache.folder, "key", name);
    writeFileSync(file("a"), "aa");
    expect(await cache.entry("key")).toBeNull();
    writeFileSync(file("a"), "aaa");
    expect(await cache.entry("key")).not.toBeNull();
    rmSync(file("deep/b"));
    expect(await cache.entry("key")).toBeNull();
    writeFileSync(file("souk.json"), '{"files":');
    expect(await cache.entry("key")).toBeNull();
  });

  test("that is broken is replaced", async () => {
    const cache = await published();
    writeFileSync(join(cache.folder, "key", "a"), "");
    const fresh = join(cache.folder, "fresh");
    mkdirSync(fresh);
    writeFileSync(join(fresh, "c"), "c");
    await cache.publish("key", fresh, { version: "2" });
    expect((await cache.entry("key"))?.info).toEqual({ version: "2" });
    expect(existsSync(join(cache.folder, "key", "a"))).toBe(false);
  });
});

describe("two processes", () => {
  test("a lock is waited for, and is free when its holder is killed", async () => {
    const file = join(sandbox().root, "locks", "x");
    const holder = otherProcess("lock", process.env, file);
    await untilSaid(holder.stdout, "held");
    const steps: string[] = [];
    const report = {
      ...silent,
      step(text: string) {
        steps.push(text);
        holder.kill("SIGKILL");
      },
    };
    expect(await withLock(file, { report, what: "Dapr" }, async () => "mine")).toBe("mine");
    expect(steps).toEqual([`Dapr: process ${holder.pid} is at it already; waiting for it`]);
  });

  test("waiting for a lock can be aborted", async () => {
    const file = join(sandbox().root, "locks", "x");
    const stop = new AbortController();
    const report = { ...silent, step: () => stop.abort(new Error("Ctrl-C")) };
    await withLock(file, { report, what: "outer" }, async () => {
      const inner = withLock(file, { report, what: "inner", signal: stop.signal }, async () => "never");
      await expect(inner).rejects.toThrow("Ctrl-C");
    });
  });

  let server: Releases;
  afterEach(() => server?.stop());
  const asset = `daprd_${releaseTarget()}.tar.gz`;

  test("that start at once download once", async () => {
    const box = sandbox();
    server = releases("1.18.2", 100_000);
    const env = { ...box.env, SOUK_DAPR_RELEASES: server.url };
    const [open, first] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    server.fault = (name) => {
      if (name !== asset) return undefined;
      first.resolve();
      return { hold: open.promise };
    };
    const one = otherProcess("dapr", env, box.source);
    await first.promise;
    const two = otherProcess("dapr", env, box.source);
    await untilSaid(two.stdout, "waiting for it");
    open.resolve();
    expect(await Promise.all([one.exited, two.exited])).toEqual([0, 0]);
    expect(server.requests.filter((request) => request === `GET ${asset}`).length).toBe(1);
  });

  test("one killed in the middle leaves nothing that is taken for whole, and the next goes on", async () => {
    const box = sandbox();
    server = releases("1.18.2", 100_000);
    const env = { ...box.env, SOUK_DAPR_RELEASES: server.url };
    const [open, asked] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    server.fault = (name) => {
      if (name !== asset) return undefined;
      asked.resolve();
      return { hold: open.promise };
    };
    const killed = otherProcess("dapr", env, box.source);
    await asked.promise;
    killed.kill("SIGKILL");
    await killed.exited;
    const cache = box.env.SOUK_CACHE as string;
    expect(readdirSync(join(cache, "work")).length).toBe(1);
    expect(readdirSync(cache).filter((name) => name.startsWith("daprd"))).toEqual([]);
    server.fault = () => undefined;
    open.resolve();
    const next = otherProcess("dapr", env, box.source);
    expect(await next.exited).toBe(0);
    expect(readdirSync(join(cache, "work"))).toEqual([]);
    expect(readdirSync(cache).filter((name) => name.startsWith("daprd")).length).toBe(1);
  });
});
