/** The private Redis of a shop. */
import { connect } from "node:net";
import { join } from "node:path";
import { type Home, redisPassword, writePrivate } from "./home.ts";
import { durableRedis, type RedisCommand } from "./obtain/index.ts";

/** Events of plain keys, by key: what Dapr's configuration component hears of changes by. It sets that itself, but not again. */
const told = "Kg$xe";

/** Writes the configuration: every command is on disk before it is answered, and nothing is ever thrown away. */
export function writeRedisConfig(home: Home): string {
  const path = join(home.redis, "redis.conf");
  // A title of its own would overwrite the mark by which the next start knows what a killed one has left.
  const more = [
    "databases 1",
    "loglevel warning",
    "set-proc-title no",
    `notify-keyspace-events ${told}`,
    "",
  ].join("\n");
  writePrivate(path, durableRedis(redisPassword(home)) + more);
  return path;
}

/** Removes what a start that was killed left behind (a container goes on without its client). */
export async function clearRedis(command: RedisCommand): Promise<void> {
  const [program, ...args] = command.clear ?? [];
  if (!program) return;
  const child = Bun.spawn([program, ...args], { stdio: ["ignore", "ignore", "ignore"] });
  await child.exited;
}

/** Whether Redis answers on `port` and has read its data. */
export function redisAnswers(port: number, password: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    let answer = "";
    const done = (ok: boolean) => {
      socket.destroy();
      resolve(ok);
    };
    socket.setTimeout(1_000, () => done(false));
    socket.once("connect", () => socket.write(`AUTH ${password}\r\nPING\r\n`));
    socket.on("data", (data) => {
      answer += data.toString();
      if (answer.includes("+PONG")) done(true);
      else if (answer.includes("-LOADING") || answer.includes("-ERR") || answer.includes("-WRONGPASS"))
        done(false);
    });
    socket.once("error", () => done(false));
    socket.once("close", () => done(false));
  });
}
