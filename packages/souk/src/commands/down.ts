import { rmSync } from "node:fs";
import type { Command } from "commander";
import { end, gone, processesOf, signalProcess } from "../processes.ts";
import { leftovers, runnerOf } from "../run.ts";
import { dim } from "../terminal.ts";
import { type Context, homeFor } from "./context.ts";

const PATIENCE_MS = 60_000;

/** Registers `down`. */
export function downCommand(program: Command, context: Context): void {
  program
    .command("down")
    .description("stop the shop, wherever it was started")
    .option("--home <folder>", "the shop's folder (default: .souk)")
    .action(async ({ home: dir }: { home?: string }) => {
      const home = homeFor(context, dir);
      const runner = runnerOf(home);
      if (runner) {
        signalProcess(runner.pid, "SIGTERM");
        if (!(await gone([runner], PATIENCE_MS))) {
          throw new Error(
            `The runner (pid ${runner.pid}) does not stop. End it by force, and everything it started ends with it: kill -9 ${runner.pid}`,
          );
        }
        process.stderr.write(`${dim("stopped")}\n`);
        return;
      }
      const left = leftovers(home, processesOf(home.dir));
      await end(left, 3_000);
      rmSync(home.runFile, { force: true });
      rmSync(home.runnerFile, { force: true });
      rmSync(home.processesFile, { force: true });
      process.stderr.write(
        `${dim(left.length > 0 ? `ended ${left.length} processes that a killed start had left` : "nothing was running")}\n`,
      );
    });
}
