/**
 * Runs so many things at a time; the others wait, in the order in which they came.
 * @param most at least one
 * @param admit told how many wait already before one more does; throws to refuse it
 */
export function turns(
  most: number,
  admit: (waiting: number) => void = () => undefined,
): <T>(work: () => Promise<T>) => Promise<T> {
  let free = Math.max(1, most);
  const waiting: (() => void)[] = [];
  return async (work) => {
    if (free > 0) free--;
    else {
      admit(waiting.length);
      await new Promise<void>((go) => waiting.push(go));
    }
    try {
      return await work();
    } finally {
      // A turn is handed on; only when nobody waits it is given back.
      const next = waiting.shift();
      if (next) next();
      else free++;
    }
  };
}
