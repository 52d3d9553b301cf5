import type { Clock, Due } from "./clock.ts";
import type { Random } from "./random.ts";

type Callback = (...args: unknown[]) => unknown;

/**
 * Puts the simulation's clock and dice in the place of the real ones for all code of this thread, libraries included:
 * the code under test is what ships, and none of it can be forgotten. A timer belongs to the process that set it.
 * @returns what puts the real ones back
 */
export function surround(clock: Clock, random: Random): () => void {
  const RealDate = Date;
  const now = () => clock.now + (clock.current?.skew ?? 0);
  class SimulatedDate extends RealDate {
    constructor(...args: unknown[]) {
      if (args.length === 0) super(now());
      else super(...(args as [number]));
    }
    static override now = () => Math.floor(now());
  }

  const later = (ms: number, run: Callback, args: unknown[]) =>
    handle(clock.after(ms, clock.current, () => run(...args)));
  const clear = (timer: unknown) => {
    if (timer) (timer as Due).cancelled = true;
  };
  let ids = 0;
  const unique = () => `00000000-0000-4000-8000-${String(++ids).padStart(12, "0")}`;

  const replaced: [object, string, unknown][] = [
    [globalThis, "Date", SimulatedDate],
    // Timers of a real machine are never early, and often late.
    [
      globalThis,
      "setTimeout",
      (run: Callback, ms = 0, ...args: unknown[]) => later(ms + random.next(), run, args),
    ],
    [globalThis, "setImmediate", (run: Callback, ...args: unknown[]) => later(random.next(), run, args)],
    [
      globalThis,
      "setInterval",
      (run: Callback, ms: number, ...args: unknown[]) => every(clock, ms, () => run(...args)),
    ],
    [globalThis, "clearTimeout", clear],
    [globalThis, "clearInterval", clear],
    [globalThis, "clearImmediate", clear],
    [performance, "now", () => clock.now - clock.begun],
    [Math, "random", () => random.next()],
    [crypto, "randomUUID", unique],
    [
      crypto,
      "getRandomValues",
      (array: Uint8Array) => {
        for (let i = 0; i < array.length; i++) array[i] = random.bits();
        return array;
      },
    ],
    [
      AbortSignal,
      "timeout",
      (ms: number) => {
        const controller = new AbortController();
        later(ms, () => controller.abort(new DOMException("The time is up", "TimeoutError")), []);
        return controller.signal;
      },
    ],
  ];
  const before = replaced.map(([target, name]) => Object.getOwnPropertyDescriptor(target, name));
  for (const [target, name, value] of replaced)
    Object.defineProperty(target, name, { value, configurable: true, writable: true });
  return () => {
    replaced.forEach(([target, name], i) => {
      const descriptor = before[i];
      if (descriptor) Object.defineProperty(target, name, descriptor);
      else delete (target as Record<string, unknown>)[name];
    });
  };
}

function every(clock: Clock, ms: number, run: () => unknown): Due {
  const owner = clock.current;
  const again = () =>
    clock.after(ms, owner, () => {
      if (timer.cancelled) return;
      again();
      run();
    });
  const timer = handle({ ...again() });
  return timer;
}

/** What the timer functions of Node give. */
const handle = (due: Due): Due =>
  Object.assign(due, { ref: () => due, unref: () => due, hasRef: () => true });
