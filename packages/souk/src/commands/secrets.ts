import type { Command } from "commander";
import { rotateFields } from "../rotate-fields.ts";
import { readRun } from "../run.ts";
import { green } from "../terminal.ts";
import { type Context, homeFor } from "./context.ts";

interface Options {
  home?: string;
  json?: boolean;
}

/** Registers `secrets rotate`. */
export function secretsCommand(program: Command, context: Context): void {
  program
    .command("secrets")
    .description("the keys that personal fields are encrypted with")
    .command("rotate [service...]")
    .description(
      "a new key for each service, or for those named; everything is sealed anew, then the old one goes",
    )
    .option("--json", "for programs")
    .option("--home <folder>", "the shop's folder (default: .souk)")
    .action(async (services: string[], { home: dir, json }: Options) => {
      const home = homeFor(context, dir);
      const rotated = await rotateFields({
        home,
        run: readRun(home),
        services: services.length > 0 ? services : undefined,
        say: (text) => void (json || process.stderr.write(`${text}\n`)),
      });
      const text = rotated.map(({ service, current, removed }) =>
        [service.padEnd(16), green(current), removed.length > 0 ? `(${removed.join(", ")} is gone)` : ""]
          .join(" ")
          .trimEnd(),
      );
      process.stdout.write(`${json ? JSON.stringify(rotated, null, 2) : text.join("\n")}\n`);
    });
}
