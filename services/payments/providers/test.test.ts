import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestProvider, testProvider } from "./test.ts";

const amount = { amount: 1_530, currency: "GBP" };
const patient = new AbortController().signal;

let folder: string;
let provider: TestProvider;

const open = () => testProvider(join(folder, "book.db"), { tok_slow: { answer: "approved", takes: 40 } });
const authorise = (token: string, signal = patient) =>
  provider.authorise({ key: "o-1:authorise", orderId: "o-1", amount, token }, signal);
const capture = (money = amount) =>
  provider.capture({ key: "o-1:capture", orderId: "o-1", amount: money }, patient);
const letGo = () => provider.void({ key: "o-1:void", orderId: "o-1" }, patient);
const refund = (number: number, minor: number) =>
  provider.refund(
    { key: `o-1:refund:${number}`, orderId: "o-1", amount: { ...amount, amount: minor } },
    patient,
  );
const book = () =>
  provider.book().map(({ operation, amount: minor, outcome }) => ({ operation, amount: minor, outcome }));

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "test-provider-"));
  provider = open();
});
afterEach(() => {
  provider.close();
  rmSync(folder, { recursive: true, force: true });
});

describe("an authorisation", () => {
  test.each([
    ["tok_ok", "approved"],
    ["tok_declined", "declined"],
    ["tok_of_nobody", "declined"],
    ["tok_slow", "approved"],
  ] as const)("with %s is %s, and stays so", async (token, outcome) => {
    expect(await authorise(token)).toBe(outcome);
    expect(await authorise(token)).toBe(outcome);
    // Whatever is asked later under the same key.
    expect(await authorise("tok_ok")).toBe(outcome);
    expect(book()).toEqual([{ operation: "authorise", amount: 1_530, outcome }]);
  });

  test("with tok_flaky fails twice, across a restart too, then is approved", async () => {
    await expect(authorise("tok_flaky")).rejects.toThrow("out of order");
    provider.close();
    provider = open();
    await expect(authorise("tok_flaky")).rejects.toThrow("out of order");
    expect(await authorise("tok_flaky")).toBe("approved");
    expect(provider.book()).toMatchObject([{ calls: 3, outcome: "approved" }]);
  });

  test("with tok_timeout never answers", async () => {
    const waiting = new AbortController();
    const answer = authorise("tok_timeout", waiting.signal);
    expect(book()).toMatchObject([{ outcome: "pending" }]);
    waiting.abort(new Error("nobody waits"));
    await expect(answer).rejects.toThrow("nobody waits");
  });

  test("that was voided before its answer is never approved", async () => {
    const answer = authorise("tok_slow");
    await letGo();
    expect(await answer).toBe("voided");
    expect(await authorise("tok_ok")).toBe("voided");
    expect(book()).toEqual([
      { operation: "authorise", amount: 1_530, outcome: "voided" },
      { operation: "void", amount: 0, outcome: "voided" },
    ]);
  });
});

describe("what is authorised", () => {
  beforeEach(() => authorise("tok_ok"));

  test("is captured once", async () => {
    for (let time = 0; time < 3; time++) expect(await capture()).toBe("captured");
    expect(book()).toHaveLength(2);
  });

  test("is voided once, and cannot be captured then", async () => {
    for (let time = 0; time < 3; time++) expect(await letGo()).toBe("voided");
    expect(book().at(-1)).toEqual({ operation: "void", amount: 1_530, outcome: "voided" });
    expect(await capture()).toBe("voided");
    expect(await authorise("tok_ok")).toBe("voided");
    expect(await provider.statement("o-1")).toEqual({ total: amount, state: "voided", refunds: [] });
  });

  test("cannot be captured for more", async () => {
    await expect(capture({ ...amount, amount: 1_531 })).rejects.toThrow("no 1531 held");
  });

  test("is refunded in parts, each once, and never for more than was captured", async () => {
    await expect(refund(1, 1)).rejects.toThrow("no 1 left");
    await capture();
    for (let time = 0; time < 3; time++) expect(await refund(1, 1_500)).toBe(1_500);
    await expect(refund(2, 31)).rejects.toThrow("no 31 left");
    expect(await refund(3, 30)).toBe(30);
    // Whatever is asked later under the same key.
    expect(await refund(1, 7)).toBe(1_500);
    expect(await letGo()).toBe("captured");
    expect(await provider.statement("o-1")).toEqual({
      total: amount,
      state: "captured",
      refunds: [
        { number: 1, amount: 1_500 },
        { number: 3, amount: 30 },
      ],
    });
  });
});

test("it names the payments of which something was asked since a time, page by page", async () => {
  const began = Date.now();
  for (const orderId of ["o-3", "o-1", "o-2"])
    await provider.authorise({ key: "a", orderId, amount, token: "tok_ok" }, patient);
  await capture();
  expect(await provider.askedSince(began, { limit: 2 })).toEqual({
    payments: [{ orderId: "o-1" }, { orderId: "o-2" }],
    after: "o-2",
  });
  expect(await provider.askedSince(began, { after: "o-2", limit: 2 })).toEqual({
    payments: [{ orderId: "o-3" }],
  });
  expect(await provider.askedSince(Date.now() + 1_000, { limit: 2 })).toEqual({ payments: [] });
  expect(await provider.statement("o-4")).toBeUndefined();
});

test("its book survives kill -9 in the middle of its work", async () => {
  provider.close();
  const path = join(folder, "book.db");
  const child = Bun.spawn({
    cmd: [
      process.execPath,
      "-e",
      `import { testProvider } from ${JSON.stringify(join(import.meta.dir, "test.ts"))};
       const provider = testProvider(${JSON.stringify(path)});
       for (let i = 0; ; i++) {
         const request = { orderId: "o-" + i, amount: { amount: i + 1, currency: "GBP" } };
         await provider.authorise({ ...request, key: "a", token: "tok_ok" }, new AbortController().signal);
         await provider.capture({ ...request, key: "c" }, new AbortController().signal);
         if (i % 50 === 0) process.stdout.write(i + "\\n");
       }`,
    ],
    stdout: "pipe",
  });
  let said = "";
  for await (const chunk of child.stdout) {
    said += new TextDecoder().decode(chunk);
    if (said.split("\n").length > 5) break;
  }
  child.kill("SIGKILL");
  await child.exited;
  provider = open();
  const lines = provider.book();
  const answered = Number(said.trim().split("\n").at(-1));
  for (let i = 0; i <= answered; i++) {
    const mine = lines.filter(({ payment }) => payment === `o-${i}`);
    expect(mine.map(({ outcome }) => outcome)).toEqual(["approved", "captured"]);
  }
});
