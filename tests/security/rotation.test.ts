import { afterAll, beforeAll, expect, test } from "bun:test";
import { decodeProtectedHeader } from "jose";
import { eventually, type TestShop, testShop } from "../e2e/shop.ts";
import { soukOf } from "../e2e/souk.ts";

/** Signing keys rotate while everybody works: nobody notices. */

let it: TestShop;
beforeAll(async () => {
  // As short as a lead may be: services look for keys they do not know every five seconds at most.
  it = await testShop({ KEY_LEAD_MS: "12000" });
}, 600_000);
afterAll(() => it?.stop(), 60_000);

interface Key {
  kid: string;
  state: string;
  signsFrom: string | null;
}

/** `npx souk keys …` for this shop. */
async function keys(...args: string[]): Promise<{ items: Key[] }> {
  const { code, out, err } = await soukOf(it.shop.home)("keys", ...args, "--json", "--url", it.shop.url);
  expect([code, err]).toEqual([0, ""]);
  return JSON.parse(out);
}

test("0 requests fail while keys rotate, twice, under load", async () => {
  const failures: string[] = [];
  const signed = new Map<string, number>();
  let stopped = false;
  /** What a token opens at each of the services, and what it does not depend on the key. */
  const doors = ["/api/orders", "/api/stock", "/api/payments/ledger", "/api/users", "/api/dead-letters"];

  /** Somebody who works: with a fresh token every few requests, so that each key's are in use together. */
  async function worker(): Promise<void> {
    while (!stopped) {
      const token = await it.token();
      const { kid = "" } = decodeProtectedHeader(token);
      for (const door of doors) {
        const answer = await fetch(it.shop.url + door, { headers: { authorization: `Bearer ${token}` } });
        if (answer.status === 200) signed.set(kid, (signed.get(kid) ?? 0) + 1);
        else failures.push(`${door} ${answer.status} ${await answer.text()}`);
        await answer.body?.cancel().catch(() => {});
      }
    }
  }
  const workers = Promise.all([1, 2, 3, 4].map(worker)).catch((error) => failures.push(String(error)));
  const used = (kid: string, times: number) =>
    eventually(
      `${kid} has signed`,
      async () => failures.length > 0 || (signed.get(kid) ?? 0) >= times,
      60_000,
    );
  const signing = async (): Promise<string> =>
    (await keys("list")).items.find(({ state }) => state === "signs")?.kid ?? "";

  const first = await signing();
  await used(first, 20);
  await keys("rotate");
  await eventually("the second key signs", async () => (await signing()) !== first, 60_000);
  const second = await signing();
  await used(second, 50);

  // It signs already, where the second has signed for long enough by now; else the time is set.
  const { items: turning } = await keys("rotate");
  const third =
    turning.find(({ state, kid, signsFrom }) => signsFrom !== null && kid !== second && state !== "checks")
      ?.kid ?? "";
  await used(third, 50);
  stopped = true;
  await workers;

  expect(failures).toEqual([]);
  expect(new Set([first, second, third]).size).toBe(3);
  const { items } = await keys("list");
  // The old ones are still there for the tokens that they signed.
  expect(
    items
      .filter(({ state }) => state === "checks")
      .map(({ kid }) => kid)
      .sort(),
  ).toEqual([first, second].sort());

  await keys("withdraw", first);
  expect((await keys("list")).items.map(({ kid }) => kid)).not.toContain(first);
}, 240_000);
