/**
 * Ends what the runner started when the runner itself is killed. Runs in a session of its own and reads from
 * its standard input, a pipe that only the runner holds: "+pid began" when a group is started, "-pid" when it
 * has ended. When the pipe closes, every group that is left is ended.
 */
import { end, isAlive, type ProcessId } from "./processes.ts";

const groups = new Map<number, ProcessId>();
let rest = "";

for await (const text of Bun.stdin.stream().pipeThrough(new TextDecoderStream())) {
  const parts = (rest + text).split("\n");
  rest = parts.pop() ?? "";
  for (const line of parts) {
    const [, sign, number, began] = /^([+-])(\d+) ?(.*)$/.exec(line) ?? [];
    const pid = Number(number);
    if (sign === "+") groups.set(pid, { pid, began: began || null });
    else groups.delete(pid);
  }
}

const left = [...groups.values()].filter(isAlive);
await end(left, 3_000);
