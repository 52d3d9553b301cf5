import { readFile } from "node:fs/promises";
import { parse } from "csv-parse/sync";

/** One line of a retail file, as it stands there but for white space. */
export interface Row {
  /** Line number in the file, from 1. */
  line: number;
  invoice: string;
  sku: string;
  description: string;
  quantity: string;
  price: string;
  customer: string;
  country: string;
  /** Empty in a file without dates. */
  date: string;
}

// The names in the two published editions of the data set (UCI 352 and 502).
const columns: Record<Exclude<keyof Row, "line" | "date">, string[]> = {
  invoice: ["invoiceno", "invoice"],
  sku: ["stockcode"],
  description: ["description"],
  quantity: ["quantity"],
  price: ["unitprice", "price"],
  customer: ["customerid"],
  country: ["country"],
};

/**
 * Reads a file in the format of the data set "Online Retail": comma, semicolon or tab separated; UTF-8 or Windows-1252.
 * @throws {Error} when the file cannot be read or lacks a column, saying which
 */
export async function readRetail(path: string): Promise<Row[]> {
  const text = decode(await readFile(path));
  const header = text.slice(0, text.indexOf("\n") + 1 || undefined);
  const delimiter =
    [",", ";", "\t"].sort((a, b) => header.split(b).length - header.split(a).length)[0] ?? ",";
  const parsed = parse(text, {
    delimiter,
    bom: true,
    // Files that were put together from several have several.
    record_delimiter: ["\r\n", "\n", "\r"],
    relax_quotes: true,
    relax_column_count: true,
    skip_empty_lines: true,
    info: true,
  }) as unknown as { record: string[]; info: { lines: number } }[]; // its types do not know what `info` does
  const [first, ...rest] = parsed;
  if (!first) throw new Error(`${path} is empty`);
  const names = first.record.map((name) => name.toLowerCase().replace(/[^a-z]/g, ""));
  const at = Object.fromEntries(
    Object.entries(columns).map(([column, aliases]) => {
      const index = names.findIndex((name) => aliases.includes(name));
      if (index < 0) {
        throw new Error(`${path} has no column ${aliases[0]}: it has ${first.record.join(", ")}`);
      }
      return [column, index];
    }),
  );
  const dated = names.indexOf("invoicedate");
  const cell = (record: string[], column: string): string => record[at[column] ?? -1]?.trim() ?? "";
  return rest.map(({ record, info }) => ({
    line: info.lines,
    invoice: cell(record, "invoice"),
    sku: cell(record, "sku"),
    description: cell(record, "description").replace(/\s+/g, " "),
    quantity: cell(record, "quantity"),
    price: cell(record, "price"),
    customer: cell(record, "customer").replace(/\.0$/, ""),
    country: cell(record, "country"),
    date: record[dated]?.trim() ?? "",
  }));
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    // The published workbook's pound signs come out as Windows-1252 in most conversions.
    return new TextDecoder("windows-1252").decode(bytes);
  }
}
