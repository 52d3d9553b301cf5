import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { type Context, homeFor } from "../commands/context.ts";
import { readProject } from "../project.ts";
import { bold, dim, duration, green, reporter, table, yellow } from "../terminal.ts";
import { backup } from "./backup.ts";
import { BackupError, type Manifest } from "./manifest.ts";
import { restore } from "./restore.ts";
import { verify } from "./verify.ts";

interface Options {
  home?: string;
  check?: string;
  passphraseFile?: string;
  force?: boolean;
}

const print = (text: string) => process.stderr.write(`${text}\n`);

/** Registers `backup` and `restore`. */
export function backupCommands(program: Command, context: Context): void {
  const sealed = "seals the backup, or opens a sealed one; also SOUK_BACKUP_PASSPHRASE";
  program
    .command("backup [file]")
    .description("save a running shop, all services at one moment, into one file")
    .option("--check <file>", "verify a backup instead of making one")
    .option("--home <folder>", "the shop's folder (default: .souk)")
    .option("--passphrase-file <file>", sealed)
    .action(async (file: string | undefined, options: Options) => {
      const passphrase = passphraseOf(options);
      const began = performance.now();
      if (options.check) {
        const manifest = await verify(options.check, readProject(context.root), passphrase);
        print(contents(manifest));
        print(`${green("It is whole")} ${dim(`(${duration(performance.now() - began)})`)}`);
        return;
      }
      const home = homeFor(context, options.home);
      const made = await backup({
        root: context.root,
        home,
        file,
        passphrase,
        report: reporter(print),
        signal: interrupted(),
      });
      print(contents(made.manifest));
      print(
        `${bold(made.file)} ${dim(`(${size(made.size)}, ${duration(performance.now() - began)}; only you can read it)`)}`,
      );
      if (passphrase === undefined)
        print(
          yellow(
            "It holds the secrets of this installation and its customers' data in clear: keep it where nobody else reads, or seal it with a passphrase.",
          ),
        );
    });
  program
    .command("restore <file>")
    .description("bring a backup back, into a shop that is not running")
    .option("--force", "also where there is data: that is moved aside")
    .option("--home <folder>", "the shop's folder (default: .souk)")
    .option("--passphrase-file <file>", sealed)
    .action(async (file: string, options: Options) => {
      const began = performance.now();
      const home = homeFor(context, options.home);
      const { manifest, resent, aside } = await restore({
        root: context.root,
        home,
        file,
        force: options.force,
        passphrase: passphraseOf(options),
        report: reporter(print),
        signal: interrupted(),
      });
      print(contents(manifest));
      if (aside) print(`What was there before is in ${aside}`);
      print(`${resent} events will be sent again when it starts; those who know them pass over them`);
      print(
        `${bold(`The shop of ${new Date(manifest.takenAt).toLocaleString()} is in ${home.dir}`)} ${dim(`(${duration(performance.now() - began)})`)}: npm start`,
      );
    });
}

/** Ctrl-C takes back what was begun. */
function interrupted(): AbortSignal {
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.once(signal, () => stop.abort(new BackupError("Interrupted: nothing was left or changed")));
  return stop.signal;
}

function passphraseOf({ passphraseFile }: Options): string | undefined {
  if (passphraseFile === undefined) return process.env.SOUK_BACKUP_PASSPHRASE || undefined;
  try {
    const text = readFileSync(passphraseFile, "utf8").replace(/\r?\n$/, "");
    if (text === "") throw new BackupError(`${passphraseFile} is empty: it should hold the passphrase`);
    return text;
  } catch (error) {
    if (error instanceof BackupError) throw error;
    throw new BackupError(`The passphrase cannot be read: ${error instanceof Error ? error.message : error}`);
  }
}

function contents({ files, souk, stateKeys, takenAt }: Manifest): string {
  return [
    dim(`Souk ${souk}, ${new Date(takenAt).toISOString()}, ${stateKeys} keys of the state store`),
    table(files.map((file) => [file.path, size(file.size), dim(file.sha256.slice(0, 12))])),
  ].join("\n");
}

const size = (bytes: number): string =>
  bytes < 1_000_000 ? `${(bytes / 1_000).toFixed(1)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
