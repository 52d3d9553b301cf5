import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { type Level, type Line, lines, parse } from "../logs.ts";
import { hue } from "../terminal.ts";
import { type Context, homeFor } from "./context.ts";

interface LogsOptions {
  follow?: boolean;
  lines: string;
  all?: boolean;
  json?: boolean;
  home?: string;
}

const LOOK_MS = 150;

/** Registers `logs`. */
export function logsCommand(program: Command, context: Context): void {
  program
    .command("logs [service]")
    .description(
      "show the logs of all, merged by time, or of one service with its sidecar (also redis, sentry, mail, souk)",
    )
    .option("-f, --follow", "go on as they are written")
    .option("-n, --lines <n>", "so many of the last lines", "200")
    .option("-a, --all", "also what is only of use in finding faults (level debug)")
    .option("--json", "as they are on disk")
    .option("--home <folder>", "the shop's folder (default: .souk)")
    .action(async (service: string | undefined, options: LogsOptions) => {
      const { logs } = homeFor(context, options.home);
      const wanted = Number(options.lines);
      if (!Number.isInteger(wanted) || wanted < 0)
        throw new Error(`--lines must be a whole number, not "${options.lines}".`);
      const text = (line: Line) => `${options.json ? JSON.stringify(line) : render(line)}\n`;
      const files = new Map(names(logs, service).map((name) => [name, statSync(path(logs, name)).size]));
      if (files.size === 0 && !options.follow) {
        const known = [...new Set(names(logs).map((name) => name.replace(/-sidecar$/, "")))];
        throw new Error(
          service && known.length > 0
            ? `There is no log of ${service}. There are: ${known.join(", ")}.`
            : "There are no logs yet. Start the shop with: npm start",
        );
      }
      const worth = (line: Line) => options.all || line.level !== "debug";
      // Written whole before the command ends, however slowly it is read.
      await Bun.write(
        Bun.stdout,
        lastLines(logs, [...files.keys()], wanted, worth)
          .map(text)
          .join(""),
      );
      if (options.follow)
        await follow(logs, service, files, (line) => worth(line) && process.stdout.write(text(line)));
    });
}

/** The processes whose logs belong to `service`; all of them without. */
export function names(folder: string, service?: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((file) => file.endsWith(".log"))
    .map((file) => file.slice(0, -4))
    .filter((name) => !service || name === service || name === `${service}-sidecar`)
    .sort();
}

const path = (folder: string, name: string): string => join(folder, `${name}.log`);

/** The last `count` lines of some logs together, in the order of their time. */
export function lastLines(
  folder: string,
  processes: string[],
  count: number,
  worth: (line: Line) => boolean = () => true,
): Line[] {
  const found: Line[] = [];
  for (const name of processes) {
    // What was turned over a moment ago still belongs to the last lines.
    const texts = [`${path(folder, name)}.1`, path(folder, name)].map((file) =>
      existsSync(file) ? readFileSync(file, "utf8").trimEnd() : "",
    );
    found.push(...texts.join("\n").split("\n").flatMap(toLine).filter(worth).slice(-count));
  }
  // Sorting is stable: lines of one process with one time keep their order.
  found.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
  return count === 0 ? [] : found.slice(-count);
}

function toLine(text: string): Line[] {
  const value = parse(text);
  return value && typeof value.time === "string" ? [value as unknown as Line] : [];
}

/** Shows what is added, from the given sizes on, through turns of the files and new ones. */
async function follow(
  folder: string,
  service: string | undefined,
  sizes: Map<string, number>,
  show: (line: Line) => unknown,
): Promise<never> {
  const cutters = new Map<string, { push(text: string): void }>();
  let batch: Line[] = [];
  const decoder = new TextDecoder();
  for (;;) {
    for (const name of names(folder, service)) {
      const file = path(folder, name);
      if (!existsSync(file)) continue;
      const { size } = statSync(file);
      let from = sizes.get(name) ?? 0;
      if (size < from) from = 0;
      if (size > from) {
        const cutter = cutters.get(name) ?? lines((text) => batch.push(...toLine(text)));
        cutters.set(name, cutter);
        const buffer = Buffer.alloc(size - from);
        const fd = openSync(file, "r");
        readSync(fd, buffer, 0, buffer.length, from);
        closeSync(fd);
        cutter.push(decoder.decode(buffer));
      }
      sizes.set(name, size);
    }
    batch.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
    for (const line of batch) show(line);
    batch = [];
    await Bun.sleep(LOOK_MS);
  }
}

const coloured = !process.env.NO_COLOR && (process.stdout.isTTY === true || Boolean(process.env.FORCE_COLOR));
const marks: Record<Level, string> = { debug: "·", info: " ", warn: "!", error: "✗" };
const unsaid = new Set([
  "time",
  "level",
  "process",
  "msg",
  "pid",
  "hostname",
  "app_id",
  "instance",
  "type",
  "ver",
  "scope",
  "name",
  "service",
]);

/** A line for a person: when, who, what, and what else it says. */
export function render(line: Line, on = coloured): string {
  const time = line.time.slice(11, 23);
  const service = line.process.replace(/-sidecar$/, "");
  const more = Object.entries(line)
    .filter(([key]) => !unsaid.has(key))
    .map(([key, value]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(" ");
  const colour = (code: string, text: string) => (on ? `\x1b[${code}m${text}\x1b[0m` : text);
  const text =
    line.level === "error"
      ? colour("31", line.msg)
      : line.level === "warn"
        ? colour("33", line.msg)
        : line.msg;
  return `${colour("2", time)} ${hue(service, line.process.padEnd(18), on)} ${marks[line.level] ?? " "} ${text}${more ? ` ${colour("2", more)}` : ""}`;
}
