import { type Bug, bugs } from "./planted.ts";
import { type Found, run } from "./run.ts";

/** How many shops run at a time. */
const atOnce = 2;

/** The bugs of these names, all where none is named. @throws {Error} naming one that there is not */
export function named(names: string[]): Bug[] {
  const unknown = names.find((name) => !bugs.some((bug) => bug.name === name));
  if (unknown)
    throw new Error(`There is no bug ${unknown}. There are: ${bugs.map(({ name }) => name).join(", ")}`);
  return names.length === 0 ? bugs : bugs.filter(({ name }) => names.includes(name));
}

/**
 * Runs the checkout's shop with each bug, two at a time; `undefined` stands for the shop without any.
 * @param told called with what came of each, as soon as it is known
 */
export async function runAll(
  root: string,
  wanted: (Bug | undefined)[],
  told: (found: Found) => void,
  signal?: AbortSignal,
): Promise<Found[]> {
  const failed = new AbortController();
  const stop = AbortSignal.any([failed.signal, ...(signal ? [signal] : [])]);
  const waiting = wanted.values();
  const results: Found[] = [];
  const work = async () => {
    for (const bug of waiting) {
      stop.throwIfAborted();
      const found = await run(root, bug, stop);
      results.push(found);
      told(found);
    }
  };
  const workers = Array.from({ length: atOnce }, () =>
    work().catch((error: unknown) => {
      failed.abort(error);
      throw error;
    }),
  );
  // The other one's shop is stopped before the error is told.
  await Promise.allSettled(workers);
  await Promise.all(workers);
  return results;
}
