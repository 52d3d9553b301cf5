const mostKinds = 100;

/**
 * Lets one of a kind through in so many milliseconds, so that an outage does not fill the log with the same line.
 * @returns asked for one of a kind: how many were held back since the last one that was let through, or `undefined`
 * when it is to be held back
 */
export function seldom(ms: number, now: () => number): (kind: string) => number | undefined {
  const kinds = new Map<string, { since: number; held: number }>();
  return (kind) => {
    const last = kinds.get(kind);
    if (last !== undefined && now() - last.since < ms) {
      last.held++;
      return undefined;
    }
    if (kinds.size >= mostKinds) kinds.clear();
    kinds.set(kind, { since: now(), held: 0 });
    return last?.held ?? 0;
  };
}
