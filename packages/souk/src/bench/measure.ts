/** What one load came to. Times in milliseconds. */
export interface Measured {
  perSecond: number;
  p50: number;
  p99: number;
  count: number;
}

/**
 * Runs `once` from `concurrency` places at a time, first for a warm-up that is not counted, then until the time is up
 * or `most` runs are done.
 */
export async function load(
  once: () => Promise<void>,
  {
    concurrency,
    ms,
    warmUpMs,
    most = Number.POSITIVE_INFINITY,
  }: { concurrency: number; ms: number; warmUpMs: number; most?: number },
): Promise<Measured> {
  await during(once, concurrency, warmUpMs, most);
  const { times, elapsed } = await during(once, concurrency, ms, most);
  const sorted = times.sort((a, b) => a - b);
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { perSecond: (times.length / elapsed) * 1000, p50: at(0.5), p99: at(0.99), count: times.length };
}

/** How many are looked at to see that all have ended: what was begun last ends last, give or take a batch. */
const last = 200;

/**
 * How much goes through when nobody waits for the end: begins one after the other from `concurrency` places until the
 * time is up, then waits for the end of the last ones.
 * @param begin resolves with the id of what has begun
 * @param ended resolves when all of these have ended
 * @returns how many a second went through, the wait included
 */
export async function throughput(
  { begin, ended }: { begin: () => Promise<string>; ended: (ids: string[]) => Promise<unknown> },
  { concurrency, ms }: { concurrency: number; ms: number },
): Promise<number> {
  const ids: string[] = [];
  const started = performance.now();
  const once = async () => void ids.push(await begin());
  const { times } = await during(once, concurrency, ms, Number.POSITIVE_INFINITY);
  await ended(ids.slice(-last));
  return (times.length / (performance.now() - started)) * 1000;
}

async function during(once: () => Promise<void>, concurrency: number, ms: number, most: number) {
  const times: number[] = [];
  const started = performance.now();
  let begun = 0;
  await Promise.all(
    Array.from({ length: concurrency }, async () => {
      while (performance.now() - started < ms && begun < most) {
        begun++;
        const at = performance.now();
        await once();
        times.push(performance.now() - at);
      }
    }),
  );
  return { times, elapsed: performance.now() - started };
}
