import { afterAll, afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { obtainDapr } from "./dapr.ts";
import {
  archiveOf,
  type Releases,
  releases,
  removeSandboxes,
  type Sandbox,
  sandbox,
  sha256Of,
} from "./fixtures.ts";
import { releaseTarget } from "./release.ts";
import { CannotObtain, ChecksumMismatch } from "./types.ts";

afterAll(removeSandboxes);

const asset = `daprd_${releaseTarget()}.tar.gz`;
const patience = { answer: 2000, stall: 2000, retry: 1, progress: 0 };
let box: Sandbox;
let server: Releases;

beforeEach(() => {
  box = sandbox();
  server = releases("1.18.2", 300_000);
  box.env.SOUK_DAPR_RELEASES = server.url;
});
afterEach(() => server.stop());

/** Cuts the next `times` downloads off once so many bytes of each have arrived. */
function cutOff(bytes: number, times = Number.POSITIVE_INFINITY) {
  let arrived = Promise.withResolvers<void>();
  let goal = 0;
  server.fault = (name) => {
    if (name !== asset || times-- <= 0) return undefined;
    goal += bytes;
    arrived = Promise.withResolvers();
    return { cut: bytes, hold: arrived.promise };
  };
  box.report.progress = (done) => {
    if (done >= goal) arrived.resolve();
  };
}

const obtain = (need: ("daprd" | "sentry")[] = ["daprd"]) => obtainDapr({ ...box, need, patience });
const lockOf = () => JSON.parse(readFileSync(join(box.source, "release.lock.json"), "utf8"));
const files = () => readdirSync(box.env.SOUK_CACHE as string, { recursive: true, encoding: "utf8" });
const parts = () => files().filter((name) => name.endsWith(".part"));
const working = () => readdirSync(join(box.env.SOUK_CACHE as string, "work"));
const entries = () => files().filter((name) => name.endsWith("souk.json"));

describe("the official release", () => {
  test("is checked, remembered, kept, and not asked for again", async () => {
    const dapr = await obtain(["daprd", "sentry"]);
    expect(dapr).toMatchObject({ version: "1.18.2", origin: "release" });
    expect(Bun.spawnSync([dapr.daprd, "--version"]).stdout.toString()).toBe("1.18.2\n");
    expect(lockOf()["1.18.2"][asset]).toBe(sha256Of(server.files.get(asset) as Buffer));
    expect([...parts(), ...working()]).toEqual([]);

    server.stop();
    const again = await obtain(["daprd", "sentry"]);
    expect(again).toMatchObject({ daprd: dapr.daprd, sentry: dapr.sentry, origin: "cache" });
  });

  test("is refused when it is not what is published beside it", async () => {
    server.files.set(asset, archiveOf("daprd", "1.18.2", 5));
    await expect(obtain()).rejects.toThrow(ChecksumMismatch);
    expect(entries()).toEqual([]);
    expect(parts()).toEqual([]);
    expect(existsSync(join(box.source, "release.lock.json"))).toBe(false);
  });

  test("is refused when it is not what was seen before, before a byte of it is downloaded", async () => {
    const seen = "ab".repeat(32);
    const lock = JSON.stringify({ "1.18.2": { [asset]: seen } });
    writeFileSync(join(box.source, "release.lock.json"), lock);
    await expect(obtain()).rejects.toThrow(seen);
    expect(server.requests).toEqual([`GET ${asset}.sha256`]);
    expect(entries()).toEqual([]);
    expect(JSON.stringify(lockOf())).toBe(lock);
  });

  test("goes on where the connection was lost", async () => {
    cutOff(100_000, 2);
    await obtain();
    expect(server.requests.slice(1)).toEqual([
      `GET ${asset}`,
      `GET ${asset} from 100000`,
      `GET ${asset} from 200000`,
    ]);
  });

  test("is left when the server goes away in the middle, and taken up by the next attempt", async () => {
    cutOff(60_000);
    await expect(obtain()).rejects.toThrow(CannotObtain);
    expect(parts().length).toBe(1);
    expect(entries()).toEqual([]);
    server.fault = () => undefined;
    server.requests.length = 0;
    await obtain();
    expect(server.requests).toEqual([`GET ${asset}.sha256`, `GET ${asset} from 240000`]);
    expect(parts()).toEqual([]);
  });

  test("is downloaded anew when what was left does not fit", async () => {
    const archive = server.files.get(asset) as Buffer;
    const downloads = join(box.env.SOUK_CACHE as string, "downloads");
    mkdirSync(downloads, { recursive: true });
    const left = join(downloads, `${sha256Of(archive).slice(0, 16)}-${asset}.part`);
    writeFileSync(left, "something else altogether");
    expect((await obtain()).origin).toBe("release");
    expect(server.requests.slice(1)).toEqual([`GET ${asset} from 25`, `GET ${asset}`]);
  });

  test("a server that falls silent is given up", async () => {
    const never = Promise.withResolvers<void>();
    server.fault = (name) => (name === asset ? { hold: never.promise } : undefined);
    const impatient = { answer: 1000, stall: 50, retry: 1, progress: 0 };
    await expect(obtainDapr({ ...box, need: ["daprd"], patience: impatient })).rejects.toThrow(
      "nothing came for",
    );
    never.resolve();
  });

  test("that is not there, or not reachable, is passed over with one line and a list of the ways", async () => {
    server.files.clear();
    await expect(obtain()).rejects.toThrow(`there is no ${server.url}/v1.18.2/${asset}.sha256`);
    box.env.SOUK_DAPR_RELEASES = "http://127.0.0.1:1";
    box.steps.length = 0;
    const failed = await obtain().catch((error: Error) => error);
    expect(failed).toBeInstanceOf(CannotObtain);
    expect((failed as Error).message).toContain("DAPR_PATH=<the folder that holds them>");
    expect((failed as Error).message).toContain("build: there is no go on PATH");
    expect(box.steps.filter((step) => step.includes("cannot be reached")).length).toBe(1);
  });

  test("of a version that it is not does not get into the cache", async () => {
    const wrong = archiveOf("daprd", "1.17.0");
    server.files.set(asset, wrong);
    server.files.set(`${asset}.sha256`, Buffer.from(sha256Of(wrong)));
    await expect(obtain()).rejects.toThrow("does not run here as 1.18.2 (says 1.17.0)");
    expect(entries()).toEqual([]);
  });

  test("stops when it is aborted, with the reason given", async () => {
    const stop = new AbortController();
    const never = Promise.withResolvers<void>();
    const asked = Promise.withResolvers<void>();
    server.fault = (name) => {
      if (name !== asset) return undefined;
      asked.resolve();
      return { hold: never.promise };
    };
    const obtaining = obtainDapr({ ...box, need: ["daprd"], patience, signal: stop.signal });
    await asked.promise;
    stop.abort(new Error("Ctrl-C"));
    await expect(obtaining).rejects.toThrow("Ctrl-C");
    never.resolve();
    expect(working()).toEqual([]);
  });
});
