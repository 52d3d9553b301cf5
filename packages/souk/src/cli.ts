/** The command line: `npx souk …`. */
import { Command, CommanderError } from "commander";
import manifest from "../package.json" with { type: "json" };
import { backupCommands } from "./backup/commands.ts";
import { BackupError } from "./backup/manifest.ts";
import { benchCommand } from "./bench/commands.ts";
import { chaosCommand } from "./chaos/commands.ts";
import { configCommand } from "./commands/config.ts";
import { context } from "./commands/context.ts";
import { deadLettersCommand } from "./commands/dead-letters.ts";
import { doctorCommand } from "./commands/doctor.ts";
import { downCommand } from "./commands/down.ts";
import { infraCommand } from "./commands/infra.ts";
import { keysCommand } from "./commands/keys.ts";
import { logsCommand } from "./commands/logs.ts";
import { secretsCommand } from "./commands/secrets.ts";
import { statusCommand } from "./commands/status.ts";
import { upCommand } from "./commands/up.ts";
import { drillCommand } from "./drills/commands.ts";
import { hangUpWhenAlone } from "./hang-up.ts";
import { CannotObtain, ChecksumMismatch } from "./obtain/index.ts";
import { ProjectError } from "./project.ts";
import { retailCommands } from "./retail/commands.ts";
import { AlreadyRunning, PortBusy, StartFailed } from "./shop.ts";
import { red } from "./terminal.ts";

/** What a person can do something about: its message is enough. */
const expected = [
  AlreadyRunning,
  BackupError,
  CannotObtain,
  ChecksumMismatch,
  PortBusy,
  ProjectError,
  StartFailed,
];

// `npx souk logs | head`: who reads no more is not an error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));
hangUpWhenAlone();

try {
  const here = context();
  const program = new Command("souk")
    .description("Runs the shop: services, sidecars and what they need")
    .version(manifest.version)
    .showHelpAfterError()
    .exitOverride();
  // A command is a function that adds itself; add yours here.
  upCommand(program, here);
  downCommand(program, here);
  statusCommand(program, here);
  logsCommand(program, here);
  doctorCommand(program, here);
  infraCommand(program, here);
  retailCommands(program, here.root);
  configCommand(program, here);
  deadLettersCommand(program, here);
  keysCommand(program, here);
  secretsCommand(program, here);
  backupCommands(program, here);
  benchCommand(program);
  chaosCommand(program, here);
  drillCommand(program);
  await program.parseAsync(process.argv);
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode;
  else if ((error as NodeJS.ErrnoException)?.code === "EPIPE") process.exitCode = 0;
  else {
    const plain = expected.some((type) => error instanceof type) || !process.env.SOUK_DEBUG;
    process.stderr.write(
      `${red(error instanceof Error ? (plain ? error.message : (error.stack ?? error.message)) : String(error))}\n`,
    );
    process.exitCode = 1;
  }
}
// A pipe to the launcher or a socket to a sidecar must not keep a finished command alive.
process.exit();
