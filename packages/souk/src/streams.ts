/**
 * Keeps the streams of Redis as short as they can be: what every subscriber has acknowledged is needed by nobody, and
 * lies in memory. (Dapr's component trims by age or by length only, whether it was read or not.)
 */
import { RedisClient } from "bun";

interface Group {
  name: string;
  pending: number;
  "last-delivered-id": string;
}

/**
 * Trims every stream up to the first entry that a group has not acknowledged. A stream that nobody reads stays.
 * @returns how many entries went
 */
export async function trimStreams(redis: Pick<RedisClient, "send">): Promise<number> {
  let trimmed = 0;
  for (let cursor = "0"; ; ) {
    const [next, keys] = (await redis.send("SCAN", [cursor, "TYPE", "stream", "COUNT", "1000"])) as [
      string,
      string[],
    ];
    for (const key of keys) trimmed += await trim(redis, key);
    if (next === "0") return trimmed;
    cursor = next;
  }
}

async function trim(redis: Pick<RedisClient, "send">, key: string): Promise<number> {
  const groups = (await redis.send("XINFO", ["GROUPS", key])) as Group[];
  let first: string | undefined;
  for (const group of groups) {
    // What was delivered and not acknowledged begins at the second of these.
    const [, oldest] = (await redis.send("XPENDING", [key, group.name])) as [number, string | null];
    const needed = oldest ?? group["last-delivered-id"];
    if (first === undefined || isBefore(needed, first)) first = needed;
  }
  // Approximately: whole nodes go, which costs next to nothing.
  return first === undefined ? 0 : Number(await redis.send("XTRIM", [key, "MINID", "~", first]));
}

/** Compares ids of entries: milliseconds, a hyphen, a number. */
function isBefore(a: string, b: string): boolean {
  const [aMs = "0", aNumber = "0"] = a.split("-");
  const [bMs = "0", bNumber = "0"] = b.split("-");
  return aMs === bMs ? BigInt(aNumber) < BigInt(bNumber) : BigInt(aMs) < BigInt(bMs);
}

const everyMs = 5_000;

/** Trims every few seconds, as long as Redis answers. */
export function keepStreamsShort(port: number, password: string): { stop(): void } {
  const url = `redis://:${encodeURIComponent(password)}@127.0.0.1:${port}`;
  const redis = new RedisClient(url, { enableOfflineQueue: false, connectionTimeout: 2_000 });
  let busy = false;
  const timer = setInterval(() => {
    if (busy) return;
    busy = true;
    // A Redis that is away has nothing to trim; the next time is soon.
    trimStreams(redis)
      .catch(() => redis.connect().catch(() => undefined))
      .finally(() => {
        busy = false;
      });
  }, everyMs);
  timer.unref();
  return {
    stop() {
      clearInterval(timer);
      redis.close();
    },
  };
}
