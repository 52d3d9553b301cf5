import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { startInfrastructure } from "../infra.ts";
import { bold, dim, reporter } from "../terminal.ts";
import { type Context, homeFor } from "./context.ts";

/** Registers `infra`. */
export function infraCommand(program: Command, context: Context): void {
  program
    .command("infra")
    .description(
      "start Redis, Sentry and the mail catcher alone, for `dapr run -f .`, and say what to export",
    )
    .option("--home <folder>", "the shop's folder (default: .souk)")
    .action(async ({ home: dir }: { home?: string }) => {
      const home = homeFor(context, dir);
      const print = (text: string) => process.stderr.write(`${text}\n`);
      const stop = new AbortController();
      for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => stop.abort());
      const infra = await startInfrastructure({
        root: context.root,
        home,
        report: reporter(print),
        signal: stop.signal,
      });
      const file = join(home.dir, "infra.env");
      print(
        [
          "",
          `${dim("Redis ")} 127.0.0.1:${infra.redisPort}`,
          `${dim("Sentry")} localhost:${infra.sentryPort}`,
          `${dim("Mail  ")} ${infra.mailUrl}`,
          "",
          "In another terminal, in the checkout:",
          "",
          bold(`  source ${file}`),
          bold("  dapr run -f ."),
          "",
          dim(`The file exports ${infra.names.join(", ")}.`),
          dim("Ctrl-C stops them."),
        ].join("\n"),
      );
      await new Promise<void>((done) => {
        if (stop.signal.aborted) done();
        else stop.signal.addEventListener("abort", () => done());
      });
      await infra.stop();
      if (existsSync(file)) rmSync(file);
      print(dim("stopped"));
    });
}
