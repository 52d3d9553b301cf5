import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Admission, type Clock, type Rank } from "./admission.ts";

/** Time that passes when it is told to. */
class Simulated implements Clock {
  #now = 0;
  #due: { at: number; run: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  later(run: () => void, ms: number): void {
    const at = this.#now + ms;
    const place = this.#due.findLastIndex((one) => one.at <= at);
    this.#due.splice(place + 1, 0, { at, run });
  }

  /** Runs what is due until then, each at its time, and lets what waits for it go on. */
  async until(at: number): Promise<void> {
    for (;;) {
      await settle();
      const [next] = this.#due;
      if (next === undefined || next.at > at) break;
      this.#due.shift();
      this.#now = next.at;
      next.run();
    }
    this.#now = at;
  }
}

const settle = async (): Promise<void> => {
  for (let i = 0; i < 4; i++) await Promise.resolve();
};

interface Tried {
  rank: Rank;
  at: number;
  /** When it was let through, or refused. */
  ended?: number;
  how?: "answered" | "refused";
}

/**
 * A service that works at `workers` requests at a time, each for `ms`; what is more waits inside it, in order.
 * That is what latency looks like from outside: flat up to a number, rising in a line beyond it.
 */
function shop(workers: number, ms: number, objective = 250) {
  const clock = new Simulated();
  const admission = new Admission("orders", objective, clock);
  const free = Array.from({ length: workers }, () => 0);
  const tried: Tried[] = [];
  let most = 0;

  function ask(rank: Rank = "beginning", gone?: () => boolean, ended = () => {}): Tried {
    const one: Tried = { rank, at: clock.now() };
    tried.push(one);
    admission.enter(rank, gone).then(
      (turn) => {
        one.ended = clock.now();
        one.how = "answered";
        most = Math.max(most, admission.underWay);
        const worker = free.indexOf(Math.min(...free));
        const done = Math.max(free[worker] ?? 0, clock.now()) + ms;
        free[worker] = done;
        const began = clock.now();
        clock.later(() => {
          turn.over(clock.now() - began);
          ended();
        }, done - began);
      },
      () => {
        one.ended = clock.now();
        one.how = "refused";
        ended();
      },
    );
    return one;
  }

  /** Asks at a rate, from now on for so long. */
  async function load(perSecond: number, forMs: number, rank?: Rank): Promise<Tried[]> {
    const asked: Tried[] = [];
    const from = clock.now();
    const every = 1_000 / perSecond;
    for (let at = from; at < from + forMs; at += every) {
      await clock.until(at);
      asked.push(ask(rank));
    }
    return asked;
  }

  return { clock, admission, ask, load, tried, most: () => most };
}

const count = (tried: Tried[], how: Tried["how"]): number => tried.filter((one) => one.how === how).length;
const waits = (tried: Tried[]): number[] => tried.map((one) => (one.ended ?? Number.NaN) - one.at);

test("what a service can do, it is given: nobody waits, nobody is refused", async () => {
  const { clock, admission, load, tried } = shop(8, 10);
  await load(600, 5_000);
  await clock.until(10_000);
  expect(count(tried, "refused")).toBe(0);
  expect(Math.max(...waits(tried))).toBe(0);
  expect([admission.underWay, admission.waiting]).toEqual([0, 0]);
});

test("three times what it can do: it works at full speed, what is accepted is answered soon, the rest refused soon", async () => {
  const { clock, load, tried, admission } = shop(8, 10);
  const asked = await load(2_400, 14_000);
  await clock.until(30_000);
  const settled = asked.filter(({ at }) => at > 8_000);
  // Its 800 a second, all of them.
  expect(count(settled, "answered") / 6).toBeGreaterThan(780);
  expect(count(settled, "refused")).toBe(settled.length - count(settled, "answered"));
  expect(Math.max(...waits(settled))).toBeLessThanOrEqual(120);
  expect(Math.max(...waits(asked.filter(({ how }) => how === "refused")))).toBeLessThanOrEqual(120);
  expect(Math.max(...waits(tried))).toBeLessThanOrEqual(5_020);
  expect([admission.underWay, admission.waiting]).toEqual([0, 0]);
});

test("a burst is taken up, not refused", async () => {
  const { clock, ask, tried } = shop(8, 10);
  for (let i = 0; i < 500; i++) ask();
  await clock.until(5_000);
  expect(count(tried, "answered")).toBe(500);
});

test("a service that does not answer any more keeps few waiting, and shortly", async () => {
  const { clock, load, admission, most } = shop(8, 60_000);
  const asked = await load(2_000, 10_000);
  expect(most()).toBe(64);
  expect(admission.waiting).toBeLessThanOrEqual(1_000);
  const late = asked.filter(({ at }) => at > 6_000 && at < 9_000);
  expect(count(late, "refused")).toBe(late.length);
  expect(Math.max(...waits(late))).toBeLessThanOrEqual(120);
  await clock.until(700_000);
  expect([admission.underWay, admission.waiting]).toEqual([0, 0]);
});

test("a crowd that asks again at once is kept short, and does not fill the queue in turns", async () => {
  const { clock, ask, tried } = shop(8, 20);
  const customer = () => ask("beginning", undefined, () => clock.later(customer, 400));
  for (let i = 0; i < 1_500; i++) customer();
  await clock.until(15_000);
  const later = tried.filter(({ at, how }) => at > 0 && how !== undefined);
  expect(count(later, "answered")).toBeGreaterThan(4_000);
  expect(count(later, "refused")).toBeGreaterThan(4_000);
  expect(later.filter((one) => (one.ended ?? 0) - one.at > 120)).toEqual([]);
});

test("when the load goes, everybody is served again at once", async () => {
  const { clock, load } = shop(8, 10);
  await load(2_400, 7_000);
  await clock.until(8_000);
  const after = await load(700, 3_000);
  await clock.until(20_000);
  expect(count(after, "refused")).toBe(0);
  expect(Math.max(...waits(after))).toBe(0);
});

test("what finishes something goes before what begins something, without keeping it out", async () => {
  const { clock, ask, tried } = shop(1, 10);
  for (let i = 0; i < 64; i++) ask();
  tried.length = 0;
  for (let i = 0; i < 25; i++) ask("beginning");
  for (let i = 0; i < 25; i++) ask("finishing");
  await clock.until(5_000);
  const order = [...tried].sort((a, b) => (a.ended ?? 0) - (b.ended ?? 0)).map(({ rank }) => rank);
  expect(order.slice(0, 25).filter((rank) => rank === "finishing")).toHaveLength(20);
  expect(order.slice(0, 25).filter((rank) => rank === "beginning")).toHaveLength(5);
});

test("who has gone while waiting is not let through", async () => {
  const { clock, ask } = shop(1, 10);
  for (let i = 0; i < 64; i++) ask();
  const left = ask("finishing", () => true);
  const stayed = ask("beginning");
  await clock.until(5_000);
  expect([left.how, stayed.how]).toEqual(["refused", "answered"]);
});

test("a refusal says what it is, and when to come back, not to all the same", async () => {
  const { clock, admission } = shop(1, 60_000);
  for (let i = 0; i < 64; i++) void admission.enter("beginning");
  const refusals = Array.from({ length: 100 }, () => admission.enter("beginning").catch((error) => error));
  await clock.until(6_000);
  const problems = await Promise.all(refusals);
  for (const problem of problems) expect(problem).toMatchObject({ status: 503, code: "overloaded" });
  expect(new Set(problems.map(({ headers }) => headers["retry-after"]))).toEqual(new Set(["1", "2", "3"]));
});

describe("whatever comes, and however long it takes,", () => {
  const come = fc.array(
    fc.record({
      after: fc.integer({ min: 0, max: 400 }),
      many: fc.integer({ min: 1, max: 400 }),
      rank: fc.constantFrom<Rank>("finishing", "beginning"),
    }),
    { minLength: 1, maxLength: 20 },
  );

  test("each is let through or refused once, nobody waits for ever, and nothing is left over", async () => {
    const work = [fc.integer({ min: 1, max: 64 }), fc.integer({ min: 1, max: 800 })] as const;
    await fc.assert(
      fc.asyncProperty(come, ...work, async (bursts, workers, ms) => {
        const { clock, admission, ask, tried, most } = shop(workers, ms);
        for (const { after, many, rank } of bursts) {
          await clock.until(clock.now() + after);
          for (let i = 0; i < many; i++) ask(rank);
          expect(admission.waiting).toBeLessThanOrEqual(1_000);
        }
        await clock.until(clock.now() + 10_000_000);
        expect(tried.filter((one) => one.how === undefined)).toEqual([]);
        expect(Math.max(...waits(tried))).toBeLessThanOrEqual(5_020);
        expect(most()).toBeLessThanOrEqual(256);
        expect([admission.underWay, admission.waiting]).toEqual([0, 0]);
      }),
      { numRuns: 30 },
    );
  });
});
