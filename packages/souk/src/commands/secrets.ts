import type { Command } from "commander";
import { rotateFields } from "../rotate-fields.ts";
import { readRun } from "../run.ts";
import { green } from "../terminal.ts";
import { type About, about, print } from "./asking.ts";
import { type Context, homeFor } from "./context.ts";

/** Registers `secrets rotate`. */
export function secretsCommand(program: Command, context: Context): void {
  const secrets = program.command("secrets").description("the keys that personal fields are encrypted with");
  const rotate = secrets
    .command("rotate [service...]")
    .description(
      "a new key for each service, or for those named; everything is sealed anew, then the old one goes",
    );
  about(rotate).action(async (services: string[], options: About) => {
    const home = homeFor(context, options.home);
    const rotated = await rotateFields({
      home,
      run: readRun(home),
      services: services.length > 0 ? services : undefined,
      say: (text) => void (options.json || process.stderr.write(`${text}\n`)),
    });
    const text = rotated.map(({ service, current, removed }) =>
      [service.padEnd(16), green(current), removed.length > 0 ? `(${removed.join(", ")} is gone)` : ""]
        .join(" ")
        .trimEnd(),
    );
    print(options, rotated, () => text.join("\n"));
  });
}
