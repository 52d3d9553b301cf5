import { expect, test } from "bun:test";
import { type Api, patient, Refused } from "./api-client.ts";

/** An API that gives these answers, one after the other. */
function answering(answers: (unknown | Error)[]): { api: Api; asked: string[] } {
  const asked: string[] = [];
  const call: Api["call"] = async (path, { method = "GET" } = {}) => {
    asked.push(`${method} ${path}`);
    const answer = answers.shift();
    if (answer instanceof Error) throw answer;
    return { status: 200, headers: new Headers(), body: answer as never };
  };
  return { api: { url: "", call, all: () => (async function* () {})() }, asked };
}
const busy = () => new Refused(503, "overloaded", "busy", 0.01);

test("a patient client asks again for what it reads", async () => {
  const { api, asked } = answering([busy(), new TypeError("fetch failed"), "there"]);
  expect((await patient(api).call<string>("/a")).body).toBe("there");
  expect(asked).toHaveLength(3);
});

test("and for each page of a list", async () => {
  const pages = [busy(), { items: [1], nextCursor: "x y" }, busy(), { items: [2], nextCursor: null }];
  const { api, asked } = answering(pages);
  const items: number[] = [];
  for await (const item of patient(api).all<number>("/a?b=c")) items.push(item);
  expect(items).toEqual([1, 2]);
  expect(asked.at(-1)).toBe("GET /a?b=c&limit=100&cursor=x%20y");
});

test("but not for what it changes, nor for a refusal that stays one, nor for ever", async () => {
  const missing = new Refused(404, "not-found", "not there", undefined);
  for (const [answers, options] of [
    [[busy()], { method: "POST" }],
    [[missing], {}],
  ] as const) {
    const { api, asked } = answering([...answers]);
    await expect(patient(api).call("/a", options)).rejects.toBe(answers[0]);
    expect(asked).toHaveLength(1);
  }
  const { api } = answering(Array.from({ length: 1_000 }, busy));
  await expect(patient(api, 50).call("/a")).rejects.toThrow("busy");
});
