/** Writing for a person: colours, tables, and how the obtaining of a program goes. */
import type { Reporter } from "./obtain/index.ts";

const coloured = !process.env.NO_COLOR && (process.stderr.isTTY === true || Boolean(process.env.FORCE_COLOR));
const paint = (code: string) => (text: string) => (coloured ? `\x1b[${code}m${text}\x1b[0m` : text);

export const dim = paint("2");
export const bold = paint("1");
export const red = paint("31");
export const green = paint("32");
export const yellow = paint("33");

const hues = ["36", "35", "34", "32", "33", "96", "95", "94", "92", "93"];

/** The same colour for the same name, whenever it is asked for; `coloured` decides for another stream. */
export function hue(name: string, text: string, on = coloured): string {
  if (!on) return text;
  let sum = 0;
  for (const char of name) sum = (sum * 31 + char.charCodeAt(0)) >>> 0;
  return `\x1b[${hues[sum % hues.length]}m${text}\x1b[0m`;
}

/** Columns side by side, as wide as they must be. */
export function table(rows: string[][]): string {
  const widths: number[] = [];
  for (const row of rows)
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, width(cell));
    });
  return rows
    .map((row) =>
      row
        .map((cell, i) => cell + " ".repeat((widths[i] ?? 0) - width(cell)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

const escapes = new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, "g");
const width = (cell: string): number => cell.replace(escapes, "").length;

export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 60) return `${minutes} min`;
  return minutes < 48 * 60
    ? `${Math.floor(minutes / 60)} h ${minutes % 60} min`
    : `${Math.floor(minutes / 1440)} days`;
}

/** Shows each step, and its progress in place on a terminal. What is quickly found is not worth a line. */
export function reporter(say: (text: string) => void): Reporter {
  let drawn = 0;
  let open = false;
  const clear = () => {
    if (open) process.stderr.write("\r\x1b[K");
    open = false;
  };
  return {
    step(text) {
      clear();
      say(dim(text));
    },
    progress(done, total, unit) {
      const now = performance.now();
      const live = process.stderr.isTTY === true;
      if (now - drawn < (live ? 100 : 10_000)) return;
      drawn = now;
      const amount = (n: number) => (unit === "bytes" ? `${(n / 1_048_576).toFixed(1)} MB` : `${n} ${unit}`);
      const share = total > 0 ? ` of ${amount(total)} (${Math.floor((100 * done) / total)} %)` : "";
      const text = `  ${amount(done)}${share}`;
      if (live) {
        process.stderr.write(`\r\x1b[K${dim(text)}`);
        open = true;
      } else say(text);
    },
  };
}
