import { countryCode } from "./countries.ts";
import { parseDecimal, toMinor } from "./decimal.ts";
import { moments } from "./moments.ts";
import type { Row } from "./read.ts";
import { Returns } from "./returns.ts";

export interface Money {
  amount: number;
  currency: string;
}

export interface PlannedProduct {
  sku: string;
  name: string;
  price: Money;
  kind: "physical" | "service";
  /** Enough for every sale of the file. */
  onHand?: number;
}

export interface PlannedLine {
  sku: string;
  quantity: number;
  unitPrice: Money;
}

export interface PlannedOrder {
  reference: string;
  customer: { email: string; name: string };
  /** As the file has it. */
  country: string;
  countryCode: string;
  lines: PlannedLine[];
  /** What the file says that it comes to, in minor units. */
  total: number;
}

/** What comes back of one order by one C-invoice; a C-invoice may be several. */
export interface PlannedReturn {
  /** The C-invoice. */
  reference: string;
  order: PlannedOrder;
  /** Each product and price once. */
  lines: PlannedLine[];
  /** What these pieces were bought for, in minor units. */
  total: number;
}

export interface Skipped {
  line: number;
  invoice: string;
  sku: string;
  reason: string;
}

/** A line of a C-invoice that is no return of anything bought before, or only of some of its pieces. */
export interface Unmatched extends Skipped {
  /** So many pieces of it. */
  quantity: number;
}

export interface Plan {
  products: PlannedProduct[];
  orders: PlannedOrder[];
  returns: PlannedReturn[];
  unmatched: Unmatched[];
  skipped: Skipped[];
}

const currency = "GBP";
const mostLines = 1_000;
const mostPieces = 100_000;
/** Stock codes that are no goods, in all published files: postage, carriage, manual, fees, samples, vouchers. */
const noGoods =
  /^(POST|DOT|D|M|C2|C3|S|B|PADS|CRUK|AMAZONFEE|BANK CHARGES|DCGS.*|DCGSSBOY|GIFT.*|TEST.*|ADJUST.*|SP\d+)$/i;

/**
 * Sorts the lines of a retail file into products, orders to place, returns of them, and what is skipped or matches no
 * order, with the reason. A line of a C-invoice is a return of what the same customer bought before: the same product
 * at the same price, of the newest order that still holds the quantity, else of several.
 */
export function plan(rows: Row[]): Plan {
  const lines = inTime(rows).map((row) => ({ row, read: read(row) }));
  const skipped: Skipped[] = [];
  const products = new Map<string, PlannedProduct>();
  const invoices = new Map<string, PlannedOrder[]>();
  const back = new Returns();
  for (const { row, read: line } of lines) {
    if (typeof line === "string") {
      skipped.push({ line: row.line, invoice: row.invoice, sku: row.sku, reason: line });
      continue;
    }
    if (isReturn(row)) {
      back.brought(row, line, row.customer && emailOf(row.customer));
      continue;
    }
    addProduct(products, row, line);
    const parts = invoices.get(row.invoice) ?? [newOrder(row)];
    invoices.set(row.invoice, parts);
    for (const priced of pricedLines(row.sku, line)) back.sold(addLine(parts, priced), priced, line.price);
  }
  return {
    products: [...products.values()],
    orders: [...invoices.values()].flat(),
    returns: back.returns,
    unmatched: back.unmatched,
    skipped,
  };
}

/** A file need not be in the order in which things happened. */
function inTime(rows: Row[]): Row[] {
  const at = moments(rows.map(({ date }) => date));
  return rows
    .map((row, index) => ({ row, at: at[index] ?? 0 }))
    .sort((a, b) => (a.at === b.at ? a.row.line - b.row.line : a.at < b.at ? -1 : 1))
    .map(({ row }) => row);
}

const isReturn = ({ invoice }: Row): boolean => /^C/i.test(invoice);

/** A line of an invoice; of a C-invoice, with the quantity that came back. */
export interface FileLine {
  quantity: number;
  /** Millionths. */
  price: bigint;
  /** Minor units, half to even. */
  total: number;
}

/** The sale or return that a line is, or the reason why it is none. */
function read(row: Row): FileLine | string {
  const signed = parseDecimal(row.quantity);
  const price = parseDecimal(row.price);
  if (row.invoice === "") return "no invoice number";
  if (row.sku === "") return "no stock code";
  if (row.sku.length > 64) return "the stock code is longer than 64 characters";
  if (signed === undefined || signed % 1_000_000n !== 0n)
    return `the quantity is not a whole number: "${row.quantity}"`;
  if (price === undefined) return `the price is not a number: "${row.price}"`;
  if (price < 0n) return "adjustment: the price is negative";
  const quantity = isReturn(row) ? -signed : signed;
  if (quantity <= 0n)
    return isReturn(row)
      ? "no return: the quantity is not negative"
      : "no sale: the quantity is not positive";
  if (price === 0n && row.description === "") return "stock correction: no price and no description";
  const pieces = Number(quantity / 1_000_000n);
  if (pieces > mostPieces) return `more than ${mostPieces} pieces on a line`;
  return { quantity: pieces, price, total: toMinor(price * BigInt(pieces)) };
}

function addProduct(products: Map<string, PlannedProduct>, row: Row, sale: FileLine): void {
  const known = products.get(row.sku);
  if (known) {
    if (known.onHand !== undefined) known.onHand += sale.quantity;
    if (known.name === known.sku) known.name = row.description || known.sku;
    if (known.price.amount === 0) known.price.amount = toMinor(sale.price);
    return;
  }
  const physical = !noGoods.test(row.sku);
  products.set(row.sku, {
    sku: row.sku,
    name: row.description || row.sku,
    price: { amount: toMinor(sale.price), currency },
    kind: physical ? "physical" : "service",
    ...(physical ? { onHand: sale.quantity } : {}),
  });
}

/**
 * A price of fractions of a penny is spread over two lines a penny apart, so that whole pennies times
 * quantity come to the line's total exactly.
 */
function pricedLines(sku: string, { quantity, total }: FileLine): PlannedLine[] {
  const low = Math.floor(total / quantity);
  const dearer = total - low * quantity;
  return [
    { sku, quantity: quantity - dearer, unitPrice: { amount: low, currency } },
    { sku, quantity: dearer, unitPrice: { amount: low + 1, currency } },
  ].filter((line) => line.quantity > 0);
}

function newOrder(row: Row): PlannedOrder {
  const customer = row.customer
    ? { email: emailOf(row.customer), name: `Customer ${row.customer}` }
    : { email: `guest-${row.invoice.toLowerCase()}@retail.example`, name: "Guest" };
  return {
    reference: row.invoice,
    customer,
    country: row.country || "Unspecified",
    countryCode: countryCode(row.country),
    lines: [],
    total: 0,
  };
}

const emailOf = (customer: string): string => `customer-${customer.toLowerCase()}@retail.example`;

/** Adds a line to an invoice's newest order; what is more than an order takes becomes another one of its reference. */
function addLine(orders: PlannedOrder[], line: PlannedLine): PlannedOrder {
  let order = orders.at(-1) as PlannedOrder;
  if (order.lines.length === mostLines) {
    order = { ...order, lines: [], total: 0 };
    orders.push(order);
  }
  order.lines.push(line);
  order.total += line.quantity * line.unitPrice.amount;
  return order;
}
