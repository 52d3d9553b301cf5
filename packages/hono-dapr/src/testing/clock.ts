/** A clock that stands still until it is told to go on. */
export interface TestClock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Moves the time on; what falls due on the way is done, in order, when the promise resolves. */
  advance(ms: number): Promise<void>;
}

/** Something that is to happen at a time. */
export interface Timers {
  now(): number;
  at(time: number, run: () => void): { cancel(): void };
}

/** @param settle waits for what has been set off */
export function testClock(start: number, settle: () => Promise<void>): { clock: TestClock; timers: Timers } {
  let now = start;
  let waiting: { time: number; run: () => void }[] = [];

  const timers: Timers = {
    now: () => now,
    at(time, run) {
      const timer = { time, run };
      waiting.push(timer);
      return {
        cancel() {
          waiting = waiting.filter((other) => other !== timer);
        },
      };
    },
  };

  async function advance(ms: number): Promise<void> {
    const target = now + ms;
    for (;;) {
      const next = waiting.filter(({ time }) => time <= target).sort((a, b) => a.time - b.time)[0];
      if (!next) break;
      waiting = waiting.filter((other) => other !== next);
      now = Math.max(now, next.time);
      next.run();
      await settle();
    }
    now = target;
    await settle();
  }

  return { clock: { now: timers.now, advance }, timers };
}
