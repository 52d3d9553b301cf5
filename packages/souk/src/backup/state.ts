/** The state store: what the services keep in Redis by key. (The streams beside it are the broker's, and stay.) */
import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from "node:fs";
import { RedisClient } from "bun";
import { BackupError } from "./manifest.ts";

/** One key, as a line of `state.ndjson`. */
interface Kept {
  key: string;
  type: "hash" | "string";
  /** Milliseconds since the epoch; absent when it does not expire. */
  expiresAt?: number;
  /** Of a hash: field, value, field, value …; base64. */
  values: string[];
}

// Values are bytes, and the client reads text: they come as hexadecimal digits.
const read = `local function hex(s) return (s:gsub('.', function(c) return string.format('%02x', c:byte()) end)) end
local type = redis.call('TYPE', KEYS[1]).ok
local values = {}
if type == 'hash' then values = redis.call('HGETALL', KEYS[1]) end
if type == 'string' then values = { redis.call('GET', KEYS[1]) } end
local answer = { type, tostring(redis.call('PTTL', KEYS[1])) }
for i = 1, #values do answer[i + 2] = hex(values[i]) end
return answer`;

/**
 * Writes the keys of the services' state to a file. Dapr begins each with the name of its service.
 * @returns how many there are
 */
export async function saveState(
  { port, password }: { port: number; password: string },
  apps: string[],
  path: string,
): Promise<number> {
  const redis = new RedisClient(`redis://:${encodeURIComponent(password)}@127.0.0.1:${port}`);
  const file = openSync(path, "wx", 0o600);
  const seen = new Set<string>();
  try {
    for (const app of apps) {
      let cursor = "0";
      do {
        const [next, keys] = (await redis.send("SCAN", [
          cursor,
          "MATCH",
          `${app.replace(/[\\*?[\]^]/g, "\\$&")}||*`,
          "COUNT",
          "1000",
        ])) as [string, string[]];
        for (const key of keys.filter((key) => !seen.has(key))) {
          const [type = "", ttl, ...values] = (await redis.send("EVAL", [read, "1", key])) as string[];
          if (type === "none") continue; // It has expired since.
          if (type !== "hash" && type !== "string")
            throw new BackupError(`The state store holds a ${type} (${key}), which Dapr does not write`);
          const kept: Kept = {
            key,
            type,
            ...(Number(ttl) >= 0 ? { expiresAt: Date.now() + Number(ttl) } : {}),
            values: values.map((hex) => Buffer.from(hex, "hex").toString("base64")),
          };
          writeSync(file, `${JSON.stringify(kept)}\n`);
          seen.add(key);
        }
        cursor = next;
      } while (cursor !== "0");
    }
  } finally {
    closeSync(file);
    redis.close();
  }
  return seen.size;
}

/**
 * Writes the keys as an append-only file, which a Redis or Valkey reads when it starts: as a single file, which those
 * from 7 on turn into their folder. Nothing is written where there is nothing to keep.
 * @param now milliseconds since the epoch: what has expired by then is left out
 */
export function writeAppendOnlyFile(ndjson: string, path: string, now = Date.now()): void {
  const kept = readFileSync(ndjson, "utf8")
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Kept)
    .filter(({ expiresAt }) => expiresAt === undefined || expiresAt > now);
  if (kept.length === 0) return;
  const file = openSync(path, "wx", 0o600);
  try {
    writeSync(file, command("SELECT", "0"));
    for (const { key, type, expiresAt, values } of kept) {
      const bytes = values.map((value) => Buffer.from(value, "base64"));
      writeSync(file, command(type === "hash" ? "HSET" : "SET", key, ...bytes));
      if (expiresAt !== undefined) writeSync(file, command("PEXPIREAT", key, String(expiresAt)));
    }
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** A command in Redis' protocol (RESP). */
function command(...words: (string | Buffer)[]): Buffer {
  const parts = words.map((word) => (typeof word === "string" ? Buffer.from(word) : word));
  return Buffer.concat([
    Buffer.from(`*${parts.length}\r\n`),
    ...parts.flatMap((part) => [Buffer.from(`$${part.length}\r\n`), part, Buffer.from("\r\n")]),
  ]);
}
