import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lastLines, names, render } from "./commands/logs.ts";
import { type Line, LogFile, lines, normalise } from "./logs.ts";

const folder = mkdtempSync(join(tmpdir(), "souk-logs-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
beforeEach(() => {
  for (const name of names(folder)) rmSync(join(folder, `${name}.log`));
});

const line = (time: string, process: string, msg: string): Line => ({ time, level: "info", process, msg });

describe("normalise", () => {
  test("a line of pino", () => {
    expect(
      normalise('{"level":40,"time":1700000000000,"message":"careful","orderId":"o-1"}', "orders", "stdout"),
    ).toEqual({
      time: "2023-11-14T22:13:20.000Z",
      level: "warn",
      process: "orders",
      msg: "careful",
      orderId: "o-1",
    });
  });

  test("a line of daprd", () => {
    const text = '{"app_id":"orders","level":"error","msg":"no","time":"2023-11-14T22:13:20.1234567Z"}';
    expect(normalise(text, "orders-sidecar", "stdout")).toMatchObject({
      level: "error",
      msg: "no",
      app_id: "orders",
    });
  });

  test("plain text, in colours or not; what is printed as an error is one", () => {
    expect(normalise("\u001b[31mboom\u001b[0m", "orders", "stderr")).toMatchObject({
      level: "error",
      msg: "boom",
    });
    expect(normalise("{not json", "orders", "stdout")).toMatchObject({ level: "info", msg: "{not json" });
    expect(normalise('{"time":"never","msg":1}', "orders", "stdout")).toMatchObject({
      level: "info",
      msg: "",
    });
  });
});

test("lines are cut wherever the stream is", () => {
  const found: string[] = [];
  const cut = lines((each) => found.push(each));
  for (const part of ["on", "e\ntwo\r\n", "\n", "thr", "ee"]) cut.push(part);
  expect(found).toEqual(["one", "two"]);
  cut.end();
  expect(found).toEqual(["one", "two", "three"]);
});

test("a file is turned over by size, readable by its owner only, and two old ones are kept", () => {
  const log = new LogFile(folder, "orders", 300);
  for (let i = 0; i < 40; i++) log.write(line("2026-01-01T00:00:00.000Z", "orders", `line ${i}`));
  log.close();
  for (const suffix of ["", ".1", ".2"]) {
    const path = `${log.path}${suffix}`;
    expect(statSync(path).mode & 0o077).toBe(0);
    expect(statSync(path).size).toBeLessThanOrEqual(300);
  }
  expect(existsSync(`${log.path}.3`)).toBe(false);
  expect(readFileSync(log.path, "utf8")).toContain("line 39");
  // What is written after it was closed is nobody's.
  log.write(line("2026-01-01T00:00:00.000Z", "orders", "late"));
  for (const suffix of [".1", ".2"]) rmSync(`${log.path}${suffix}`);
});

test("the logs of several processes are merged by time", () => {
  const orders = new LogFile(folder, "orders");
  const sidecar = new LogFile(folder, "orders-sidecar");
  orders.write(line("2026-01-01T00:00:01.000Z", "orders", "one"));
  sidecar.write(line("2026-01-01T00:00:02.000Z", "orders-sidecar", "two"));
  orders.write(line("2026-01-01T00:00:03.000Z", "orders", "three"));
  expect(names(folder, "orders")).toEqual(["orders", "orders-sidecar"]);
  expect(lastLines(folder, names(folder), 10).map((each) => each.msg)).toEqual(["one", "two", "three"]);
  expect(lastLines(folder, names(folder), 2).map((each) => each.msg)).toEqual(["two", "three"]);
  expect(lastLines(folder, names(folder), 0)).toEqual([]);
  expect(lastLines(folder, names(folder), 9, (each) => each.msg !== "two").map((each) => each.msg)).toEqual([
    "one",
    "three",
  ]);
});

test("a line for a person has its time, its process, and what else it says", () => {
  const said = { ...line("2026-01-01T10:11:12.345Z", "orders", "placed"), orderId: "o-1", scope: "noise" };
  expect(render(said, false)).toBe("10:11:12.345 orders               placed orderId=o-1");
  expect(render(said, true)).toContain("\u001b[");
});
