import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { watch } from "node:fs/promises";
import { dirname, join } from "node:path";
import { readSource } from "./build.ts";
import { obtainDapr } from "./dapr.ts";
import { fakeProgram, otherProcess, removeSandboxes, type Sandbox, sandbox, script } from "./fixtures.ts";

afterAll(removeSandboxes);

const patience = { answer: 1000, stall: 1000, retry: 1, progress: 0 };
let box: Sandbox;
beforeEach(() => {
  box = sandbox();
});

/** A `go` that notes what it is asked, and "builds" by copying finished programs. `before` runs in its build. */
function fakeGo(version: string, before = "") {
  for (const name of ["daprd", "sentry"]) fakeProgram(join(box.root, "built"), name, "1.18.2");
  script(
    join(box.bin, "go"),
    `
echo "$1 GOTOOLCHAIN=$GOTOOLCHAIN GOFLAGS=$GOFLAGS" >> ${box.root}/asked
case "$1" in
version) echo "go version go${version} linux/amd64" ;;
list) echo "go: downloading example.org/a v1.0.0" >&2; echo fmt; echo example.org/a ;;
build)
  echo "$GOMODCACHE $GOCACHE $GOTMPDIR $GOPATH" > ${box.root}/caches
  ${before}
  echo fmt >&2
  while [ "$1" != "-o" ]; do shift; done
  out=$2; shift 2
  for each in "$@"; do /bin/cp ${box.root}/built/$each $out/; done ;;
esac`,
  );
}
const obtain = (signal?: AbortSignal) => obtainDapr({ ...box, patience, signal });
const asked = () => readFileSync(join(box.root, "asked"), "utf8");
const working = () => readdirSync(join(box.env.SOUK_CACHE as string, "work"));

describe("a build from the Go module", () => {
  test("comes last, keeps its caches to itself and removes them, and is kept", async () => {
    fakeGo("1.26.8");
    const dapr = await obtain();
    expect(dapr).toMatchObject({ version: "1.18.2", origin: "build" });
    expect(box.steps.findIndex((step) => step.startsWith("official release: "))).toBeGreaterThan(-1);
    const caches = readFileSync(join(box.root, "caches"), "utf8").trim().split(" ");
    expect(caches.length).toBe(4);
    for (const folder of caches) {
      expect(folder).toStartWith(join(box.env.SOUK_CACHE as string, "work"));
      expect(existsSync(folder)).toBe(false);
    }
    expect(asked()).toContain("build GOTOOLCHAIN=local GOFLAGS=-mod=readonly -modcacherw");

    const before = asked();
    expect(await obtain()).toMatchObject({ daprd: dapr.daprd, sentry: dapr.sentry, origin: "cache" });
    expect(asked()).toBe(before);
  });

  test("is made anew when its sources change, and only then", async () => {
    fakeGo("1.26.8");
    const first = await obtain();
    writeFileSync(join(box.source, "release.lock.json"), "{}\n");
    expect((await obtain()).daprd).toBe(first.daprd);
    writeFileSync(join(box.source, "more.go"), "package main\n");
    const second = await obtain();
    expect(second.origin).toBe("build");
    expect(second.daprd).not.toBe(first.daprd);
  });

  test("lets an older Go fetch the one that is needed, and says no to one that cannot", async () => {
    fakeGo("1.21.3");
    await obtain();
    expect(asked()).toContain("build GOTOOLCHAIN=go1.26.5+auto");
    box = sandbox();
    fakeGo("1.19.8");
    await expect(obtain()).rejects.toThrow("is Go 1.19.8; 1.26.5 is needed");
  });

  test("that fails says why, and leaves nothing", async () => {
    fakeGo("1.26.8", 'echo "go: proxy.golang.org: no such host" >&2; exit 1');
    await expect(obtain()).rejects.toThrow("build: go build failed: go: proxy.golang.org: no such host");
    expect(working()).toEqual([]);
  });

  test("of which the program does not run is not kept", async () => {
    fakeGo("1.26.8");
    fakeProgram(join(box.root, "built"), "sentry", "edge");
    await expect(obtain()).rejects.toThrow("sentry of the build does not run here as 1.18.2 (says edge)");
  });

  // The build starts a process of its own that would live on for long; its end closes the pipe.
  const held = () => {
    const pipe = join(box.root, "pipe");
    Bun.spawnSync(["mkfifo", pipe]);
    const child = `exec 3> ${pipe}; : > ${box.root}/holding; echo fmt; exec /bin/sleep 300`;
    fakeGo("1.26.8", `/bin/sh -c '${child}' & wait`);
    return Bun.spawn(["cat", pipe], { stdout: "pipe" });
  };

  test("that is aborted is killed with all it started, and leaves nothing", async () => {
    const open = held();
    const stop = new AbortController();
    box.report.progress = (_, __, unit) => {
      if (unit === "packages") stop.abort(new Error("Ctrl-C"));
    };
    await expect(obtain(stop.signal)).rejects.toThrow("Ctrl-C");
    expect(await open.exited).toBe(0);
    expect(working()).toEqual([]);
  });

  test("whose owner is killed is ended by the next one, which starts clean", async () => {
    const open = held();
    const owner = otherProcess("dapr", box.env, box.source);
    await untilThere(join(box.root, "holding"));
    owner.kill("SIGKILL");
    await owner.exited;
    expect(working().length).toBe(1);
    fakeGo("1.26.8");
    expect((await obtain()).origin).toBe("build");
    expect(await open.exited).toBe(0);
    expect(working()).toEqual([]);
  });
});

test("the module of this repository says its Dapr and its Go", () => {
  const source = readSource(join(import.meta.dir, "../../../../dapr/runtime"));
  expect(source).toMatchObject({ version: "1.18.2", go: "1.26.5" });
  expect(source.hash).toMatch(/^[0-9a-f]{12}$/);
});

/** Resolves when a file appears. */
async function untilThere(file: string) {
  const stop = new AbortController();
  const changes = watch(dirname(file), { signal: stop.signal });
  if (existsSync(file)) return stop.abort();
  for await (const _ of changes) if (existsSync(file)) return;
}
