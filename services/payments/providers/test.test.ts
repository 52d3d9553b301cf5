import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestProvider, testProvider } from "./test.ts";

const amount = { amount: 1_530, currency: "GBP" };
const patient = new AbortController().signal;

let folder: string;
let provider: TestProvider;
/** By how much the provider's clock is ahead. */
let skew = 0;

const day = 24 * 60 * 60_000;
const open = () =>
  testProvider(join(folder, "book.db"), {
    tokens: { tok_slow: { answer: "approved", takes: 40 } },
    now: () => Date.now() + skew,
  });
/** What it says, as a word; of an approval its time is another test's. */
const authorise = async (token: string, signal = patient) => {
  const answer = await provider.authorise({ key: "o-1:authorise", orderId: "o-1", amount, token }, signal);
  return typeof answer === "object" && "approved" in answer ? "approved" : answer;
};
const capture = (money = amount) =>
  provider.capture({ key: "o-1:capture", orderId: "o-1", amount: money, final: true }, patient);
const capturePart = (part: string, minor: number, final = false) =>
  provider.capture(
    { key: `o-1:capture:${part}`, orderId: "o-1", amount: { ...amount, amount: minor }, part, final },
    patient,
  );
const renew = (number: number) =>
  provider.renew({ key: `o-1:renew:${number}`, orderId: "o-1", amount }, patient);
const letGo = () => provider.void({ key: "o-1:void", orderId: "o-1" }, patient);
const refund = (number: number, minor: number) =>
  provider.refund(
    { key: `o-1:refund:${number}`, orderId: "o-1", amount: { ...amount, amount: minor } },
    patient,
  );
const book = () =>
  provider.book().map(({ operation, amount: minor, outcome }) => ({ operation, amount: minor, outcome }));

beforeEach(() => {
  skew = 0;
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
    for (let time = 0; time < 3; time++) expect(await letGo()).toEqual([]);
    expect(book().at(-1)).toEqual({ operation: "void", amount: 1_530, outcome: "voided" });
    expect(await capture()).toEqual({ voided: [] });
    expect(await authorise("tok_ok")).toBe("voided");
    expect(await provider.statement("o-1")).toEqual({
      total: amount,
      state: "voided",
      captures: [],
      refunds: [],
    });
  });

  test("cannot be captured for more", async () => {
    await expect(capture({ ...amount, amount: 1_531 })).rejects.toThrow("no 1531 held");
  });

  test("is refunded in parts, each once, and never for more than was captured", async () => {
    await expect(refund(1, 1)).rejects.toThrow("Nothing was captured");
    await capture();
    for (let time = 0; time < 3; time++) expect(await refund(1, 1_500)).toBe(1_500);
    expect(await refund(3, 31)).toBe(30);
    // Nothing is left: the customer has it.
    expect(await refund(4, 1)).toBe(1);
    expect(provider.book().filter(({ operation }) => operation === "refund")).toHaveLength(2);
    // Whatever is asked later under the same key.
    expect(await refund(1, 7)).toBe(1_500);
    expect(await letGo()).toEqual([{ amount: 1_530 }]);
    expect(await provider.statement("o-1")).toEqual({
      total: amount,
      state: "captured",
      captures: [{ amount: 1_530 }],
      refunds: [
        { number: 1, amount: 1_500 },
        { number: 3, amount: 30 },
      ],
    });
  });
});

describe("what is authorised, in parts", () => {
  beforeEach(() => authorise("tok_ok"));

  test("is captured by shipment, each once, and never for more", async () => {
    for (let time = 0; time < 3; time++) expect(await capturePart("s-1", 500)).toBe("captured");
    expect(await capturePart("s-2", 30)).toBe("captured");
    expect(await capturePart("s-3", 1_001)).toEqual({ refused: "payment-declined" });
    expect(provider.book().map(({ key, outcome }) => `${key} ${outcome}`)).toEqual([
      "o-1:authorise approved",
      "o-1:capture:s-1 captured",
      "o-1:capture:s-2 captured",
    ]);
    expect(await provider.statement("o-1")).toMatchObject({
      state: "open",
      captures: [
        { key: "s-1", amount: 500 },
        { key: "s-2", amount: 30 },
      ],
    });
  });

  test("is given back as far as it was not captured", async () => {
    await capturePart("s-1", 500);
    for (let time = 0; time < 3; time++) expect(await letGo()).toEqual([{ key: "s-1", amount: 500 }]);
    expect(book().at(-1)).toEqual({ operation: "void", amount: 1_030, outcome: "voided" });
    expect(await capturePart("s-2", 30)).toEqual({ voided: [{ key: "s-1", amount: 500 }] });
    expect(await capturePart("s-1", 500)).toBe("captured");
    expect(await provider.statement("o-1")).toMatchObject({ state: "captured" });
  });

  test("is let go of with the last capture", async () => {
    for (let time = 0; time < 3; time++) expect(await capturePart("s-1", 500, true)).toBe("captured");
    expect(provider.book().at(-1)).toMatchObject({ key: "o-1:capture:s-1:rest", amount: 1_030 });
    expect(await letGo()).toEqual([{ key: "s-1", amount: 500 }]);
    expect(await provider.statement("o-1")).toMatchObject({ state: "captured" });
  });

  test("comes back under the name of its return", async () => {
    await capturePart("s-1", 500);
    const request = { key: "o-1:return:r-1", orderId: "o-1", amount: { ...amount, amount: 200 } };
    for (let time = 0; time < 2; time++) expect(await provider.refund(request, patient)).toBe(200);
    expect((await provider.statement("o-1"))?.refunds).toEqual([{ amount: 200, key: "r-1" }]);
  });
});

describe("an authorisation lasts seven days", () => {
  test("and cannot be captured after that, until it is renewed", async () => {
    const { until = 0 } = (await provider.authorise(
      { key: "o-1:authorise", orderId: "o-1", amount, token: "tok_ok" },
      patient,
    )) as { until?: number };
    expect(Math.abs(until - Date.now() - 7 * day)).toBeLessThan(60_000);
    skew = 7 * day + 60_000;
    expect(await capturePart("s-1", 500)).toBe("expired");
    const first = await renew(1);
    expect(await renew(1)).toEqual(first);
    expect(first).toEqual({ until: expect.any(Number) });
    expect(await capturePart("s-1", 500)).toBe("captured");
    skew += 7 * day;
    expect(await capturePart("s-2", 500)).toBe("expired");
    // What was captured stays so.
    expect(await capturePart("s-1", 500)).toBe("captured");
  });

  test("with tok_expires it cannot be renewed", async () => {
    await authorise("tok_expires");
    provider.close();
    provider = open();
    for (let time = 0; time < 2; time++) expect(await renew(1)).toBe("declined");
    expect(await letGo()).toEqual([]);
    expect(book()).toMatchObject([
      { outcome: "approved" },
      { operation: "renew", outcome: "declined" },
      { operation: "void", amount: 1_530 },
    ]);
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
         await provider.capture({ ...request, key: "c", final: true }, new AbortController().signal);
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
