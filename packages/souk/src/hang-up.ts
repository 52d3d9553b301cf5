/** What a terminal does for those in it, where there is none: whoever has nobody left is told to hang up. */
import { createReadStream } from "node:fs";
import { beganAt } from "./processes.ts";

/**
 * Sends this process SIGHUP once when its launcher was killed, which holds the other end of a pipe, or when what it
 * says has no reader any more. Commands that run for long end in order then, the others at once.
 */
export function hangUpWhenAlone(): void {
  let told = false;
  const hangUp = () => {
    if (!told) process.kill(process.pid, "SIGHUP");
    told = true;
  };
  // Without a listener the error would be thrown, in the middle of whatever is said.
  process.stderr.on("error", hangUp);
  const launcher = Number(process.env.SOUK_LAUNCHER);
  if (!launcher) return;
  // Who is started by something in between has another pipe, if any.
  if (process.ppid !== launcher) {
    if (beganAt(launcher) === null) hangUp();
    return;
  }
  const pipe = createReadStream("", { fd: 3, autoClose: false });
  pipe.on("error", hangUp);
  pipe.on("end", hangUp);
  pipe.resume();
}
