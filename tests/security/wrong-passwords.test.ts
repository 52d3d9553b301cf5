import { afterEach, beforeEach, expect, test } from "bun:test";
import { account, openAt } from "../../services/identity/lockout.ts";
import { authorise, pkce, type Shop, shop } from "../../services/identity/provider/sign-in.fixture.ts";
import { roomOf } from "../../services/identity/room.ts";
import { ada, type People, people } from "../../services/identity/users.fixture.ts";

// Argon2id is at its cheapest here: what counts is what is done, and for whom, not how long it takes.

const attempts = 10_000;
const atOnce = 50;
let now: number;
let app: People;
beforeEach(async () => {
  now = Date.parse("2026-03-01T00:00:00Z");
  app = await people({ now: () => now, env: { HASHES_WAITING: String(atOnce) } });
  await app.register();
});
afterEach(() => app.stop());

const nobody = "nobody@shop.test";
const computed = () => roomOf(app.kit).passwords.computed;
const said = async (email: string, password: string, ip?: string): Promise<string> => {
  const answer = await app.signIn(email, password, ip);
  return answer.ok ? "in" : answer.reason === "locked" ? `locked ${answer.retryAfter}` : answer.reason;
};

/** Runs so many at once until all are done, and gives how often each thing was said. */
async function flood(count: number, one: (i: number) => Promise<string>): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      const answer = await one(next++);
      counts[answer] = (counts[answer] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return counts;
}

test("10,000 wrong passwords at once: five are compared, the service stays up, nobody else is locked", async () => {
  await app.register({ email: "grace@shop.test" });
  const before = computed();
  let asked = 0;
  const counts = await flood(attempts, async (i) => {
    if (i % 1_000 === 500) {
      asked++;
      expect(await said("grace@shop.test", ada.password, "198.51.100.7")).toBe("in");
      expect((await app.request("/health")).status).toBe(200);
      expect((await app.staff("/users?limit=1")).status).toBe(200);
    }
    // From everywhere: the account is protected by itself.
    return said(ada.email, `guess ${i}`, `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`);
  });
  expect(counts).toEqual({ wrong: 5, "locked 30": attempts - 5 });
  expect(computed() - before).toBe(5 + asked);
  expect(await said(ada.email, ada.password)).toBe("locked 30");
  now += 30_000;
  expect(await said(ada.email, ada.password)).toBe("in");
}, 120_000);

test("10,000 over a day: compared exactly when the policy says, for an account as for none", async () => {
  const tries: number[] = [];
  let compared = 0;
  for (let i = 0; i < attempts; i++) {
    now += Math.floor((24 * 3_600_000) / attempts);
    const open = openAt(tries, account, now) <= now;
    if (open) tries.push(now);
    const before = computed();
    const real = await said(ada.email, "wrong");
    const between = computed();
    const none = await said(nobody, "wrong");
    expect(real).toBe(open ? "wrong" : `locked ${Math.ceil((openAt(tries, account, now) - now) / 1_000)}`);
    expect(none).toBe(real);
    // The same work for both is what makes the same time of it.
    expect([between - before, computed() - between]).toEqual(open ? [1, 1] : [0, 0]);
    compared += between - before;
  }
  expect(compared).toBe(tries.length);
  expect(compared).toBeGreaterThan(20);
  expect(compared).toBeLessThan(40);
}, 120_000);

test("10,000 accounts from one address: a hundred are compared, existing or not, then it waits", async () => {
  const before = computed();
  const from = "203.0.113.9";
  const counts = await flood(attempts, (i) =>
    said(i % 2 ? ada.email : `guess-${i}@shop.test`, "wrong", from),
  );
  expect(computed() - before).toBe(counts.wrong ?? 0);
  expect(counts.wrong).toBe(100);
  expect(await said("somebody@shop.test", "wrong", from)).toBe("locked 30");
  expect(await said("somebody@shop.test", "wrong", "203.0.113.10")).toBe("wrong");
}, 120_000);

test("each try from an address and for an account of its own costs one comparison, and leaves no trace of either", async () => {
  const count = 1_000;
  const before = computed();
  const counts = await flood(count, (i) =>
    said(`guess-${i}@shop.test`, "wrong", `10.9.${i >> 8}.${i & 255}`),
  );
  expect(counts).toEqual({ wrong: count });
  expect(computed() - before).toBe(count);
  const kept = await app.kept();
  expect(kept).not.toContain("guess-1@shop.test");
  expect(kept).not.toContain("10.9.0.1");
  // A day later nothing of it is kept.
  now += 25 * 3_600_000;
  await roomOf(app.kit).commit({ writes: app.store.sweep(now) });
  expect(await app.rows("tallies")).toBe(0);
}, 120_000);

test("on the page, an account that exists looks like one that does not, try by try", async () => {
  const pages: Shop = await shop();
  try {
    await pages.register();
    const tried = async (email: string): Promise<string[]> => {
      const seen: string[] = [];
      const browser = await pages.browse().open(authorise(pkce().challenge));
      for (let i = 0; i < 8; i++) {
        await browser.submit("/sign-in", { email, password: `guess ${i}, and another` });
        const headers = [...browser.headers].filter(([name]) => name !== "set-cookie");
        // What is of this visit alone, and what was typed, must differ; nothing else may.
        const text = browser.text
          .replaceAll(email, "…")
          .replace(/(value|action|href)="[^"]*"/g, "")
          .replace(/\d+ (second|minute)s?/g, "a while");
        const plain = headers.map(([name, value]) => `${name}: ${name === "retry-after" ? "…" : value}`);
        seen.push([browser.status, ...plain, text].join("\n"));
      }
      return seen;
    };
    const real = await tried(ada.email);
    expect(await tried(nobody)).toEqual(real);
    expect(real.map((page) => page.slice(0, 3))).toEqual([...Array(5).fill("422"), ...Array(3).fill("429")]);
  } finally {
    await pages.stop();
  }
}, 60_000);
