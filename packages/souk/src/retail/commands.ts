import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { Command } from "commander";
import { type Api, openApi, patient } from "../api-client.ts";
import { homeOf } from "../home.ts";
import { importRetail } from "./import.ts";
import { replayRetail } from "./replay.ts";
import { differences, summary } from "./report.ts";

interface Options {
  home?: string;
  url?: string;
  concurrency: string;
  patience: string;
  skipped?: string;
}

/** Registers `import retail` and `replay retail`. */
export function retailCommands(program: Command, root: string): void {
  program
    .command("import")
    .description("import products from a file")
    .command("retail <file>")
    .description('import the products of a file in the format of the data set "Online Retail", with stock')
    .option("--home <folder>", "the shop's folder (default: .souk)")
    .option("--url <url>", "the shop's address (default: the one it was started with)")
    .action(async (file: string, options: Options) => {
      const { accepted, rejected } = await importRetail(await open(root, file, options), file);
      for (const { sku, detail } of rejected) process.stdout.write(`rejected ${sku}: ${detail}\n`);
      process.stdout.write(`${accepted} products imported, ${rejected.length} rejected\n`);
      if (rejected.length > 0) process.exitCode = 1;
    });

  program
    .command("replay")
    .description("do what is in a file: orders, shipments, returns")
    .command("retail <file>")
    .description(
      'place and deliver the orders of a file in the format of "Online Retail", take its returns back, and compare the shop with the file',
    )
    .option("--home <folder>", "the shop's folder (default: .souk)")
    .option("--url <url>", "the shop's address (default: the one it was started with)")
    .option("--concurrency <n>", "orders under way at once", "16")
    .option(
      "--patience <seconds>",
      "how long an order may take to be confirmed, to be delivered, to come back",
      "120",
    )
    .option("--skipped <file>", "write every skipped or unmatched line with its reason to this file (CSV)")
    .action(async (file: string, options: Options) => {
      const api = await open(root, file, options);
      const result = await replayRetail(api, file, {
        concurrency: positive("--concurrency", options.concurrency),
        patienceMs: positive("--patience", options.patience) * 1000,
      });
      if (options.skipped) {
        mkdirSync(dirname(options.skipped), { recursive: true });
        const rows = [...result.skipped, ...result.unmatched]
          .sort((a, b) => a.line - b.line)
          .map((one) => [one.line, one.invoice, one.sku, one.reason].map(quoted).join(","));
        writeFileSync(options.skipped, ["line,invoice,sku,reason", ...rows, ""].join("\n"));
      }
      process.stdout.write(summary(result));
      if (differences(result).length > 0) process.exitCode = 1;
    });
}

async function open(root: string, file: string, { home, url }: Options): Promise<Api> {
  if (!existsSync(file)) throw new Error(`There is no file ${file}`);
  return patient(await openApi(homeOf(root, home).devClient, url));
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new Error(`${name} must be a whole number from 1, not "${text}"`);
  return value;
}

const quoted = (cell: string | number): string => `"${String(cell).replaceAll('"', '""')}"`;
