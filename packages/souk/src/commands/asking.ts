/** What commands have in common that ask the shop something. */
import type { Command } from "commander";
import { type Api, openApi } from "../api-client.ts";
import { type Context, homeFor } from "./context.ts";

/** Options of a command about a shop. */
export interface About {
  home?: string;
  json?: boolean;
}

/** Options of a command that asks it over its API. */
export interface Asking extends About {
  url?: string;
}

/** Adds the options of {@link About}. */
export const about = (command: Command): Command =>
  command.option("--json", "for programs").option("--home <folder>", "the shop's folder (default: .souk)");

/** Adds the options of {@link Asking}. */
export const asking = (command: Command): Command =>
  about(command).option("--url <url>", "the shop's address (default: the one it was started with)");

/** The shop's API, as its development client. */
export const open = (context: Context, { home, url }: Asking): Promise<Api> =>
  openApi(homeFor(context, home).devClient, url);

/** Prints what came of it: for a program, or for a person. */
export function print({ json }: About, value: unknown, text: () => string): void {
  process.stdout.write(`${json ? JSON.stringify(value, null, 2) : text()}\n`);
}
