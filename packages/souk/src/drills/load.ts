/** Customers by number: so many a second whatever the shop does, or so many who each wait for their answer. */
import { setTimeout as pause } from "node:timers/promises";

export interface Load {
  /** Nobody new comes; resolves when the last has had their answer. */
  stop(): Promise<void>;
}

/** Somebody comes so many times a second, however long the others take (open loop). */
export function paced(perSecond: number, once: () => Promise<void>): Load {
  const underWay = new Set<Promise<void>>();
  const began = performance.now();
  let come = 0;
  const timer = setInterval(() => {
    const due = ((performance.now() - began) / 1000) * perSecond;
    while (come < due) {
      come++;
      const one = once().finally(() => underWay.delete(one));
      underWay.add(one);
    }
  }, 5);
  return {
    async stop() {
      clearInterval(timer);
      await Promise.all(underWay);
    },
  };
}

/** So many ask again as soon as they have their answer (closed loop). */
export function closed(many: number, once: () => Promise<void>): Load {
  let open = true;
  const all = Array.from({ length: many }, async () => {
    while (open) await once();
  });
  return {
    async stop() {
      open = false;
      await Promise.all(all);
    },
  };
}

/** Waits, telling the seconds. @throws the signal's reason */
export async function during(
  ms: number,
  signal: AbortSignal,
  each: () => void,
  everyMs = 1_000,
): Promise<void> {
  const end = performance.now() + ms;
  for (;;) {
    const left = end - performance.now();
    if (left <= 0) return;
    await pause(Math.min(everyMs, left), undefined, { signal }).catch(() => signal.throwIfAborted());
    each();
  }
}
