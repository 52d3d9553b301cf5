import { countryCode } from "./countries.ts";
import { parseDecimal, toMinor } from "./decimal.ts";
import type { Row } from "./read.ts";

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

export interface PlannedOrder {
  reference: string;
  customer: { email: string; name: string };
  /** As the file has it. */
  country: string;
  countryCode: string;
  lines: { sku: string; quantity: number; unitPrice: Money }[];
  /** What the file says that it comes to, in minor units. */
  total: number;
}

export interface Skipped {
  line: number;
  invoice: string;
  sku: string;
  reason: string;
}

export interface Plan {
  products: PlannedProduct[];
  orders: PlannedOrder[];
  skipped: Skipped[];
}

const currency = "GBP";
const mostLines = 1_000;
const mostPieces = 100_000;
/** Stock codes that are no goods, in all published files: postage, carriage, manual, fees, samples, vouchers. */
const noGoods =
  /^(POST|DOT|D|M|C2|C3|S|B|PADS|CRUK|AMAZONFEE|BANK CHARGES|DCGS.*|DCGSSBOY|GIFT.*|TEST.*|ADJUST.*|SP\d+)$/i;

/** Sorts the lines of a retail file into products, orders to place, and what is skipped, with the reason. */
export function plan(rows: Row[]): Plan {
  const skipped: Skipped[] = [];
  const products = new Map<string, PlannedProduct>();
  const invoices = new Map<string, PlannedOrder>();
  for (const row of rows) {
    const sale = saleOf(row);
    if (typeof sale === "string") {
      skipped.push({ line: row.line, invoice: row.invoice, sku: row.sku, reason: sale });
      continue;
    }
    addProduct(products, row, sale);
    const order = invoices.get(row.invoice) ?? newOrder(row);
    invoices.set(row.invoice, order);
    order.lines.push(...pricedLines(row.sku, sale));
    order.total += sale.total;
  }
  return { products: [...products.values()], orders: [...invoices.values()].flatMap(split), skipped };
}

interface Sale {
  quantity: number;
  /** Millionths. */
  price: bigint;
  /** Minor units, half to even. */
  total: number;
}

/** The sale that a line is, or the reason why it is none. */
function saleOf(row: Row): Sale | string {
  const quantity = parseDecimal(row.quantity);
  const price = parseDecimal(row.price);
  if (row.invoice === "") return "no invoice number";
  if (/^C/i.test(row.invoice)) return "cancellation or return";
  if (row.sku === "") return "no stock code";
  if (row.sku.length > 64) return "the stock code is longer than 64 characters";
  if (quantity === undefined || quantity % 1_000_000n !== 0n)
    return `the quantity is not a whole number: "${row.quantity}"`;
  if (price === undefined) return `the price is not a number: "${row.price}"`;
  if (price < 0n) return "adjustment: the price is negative";
  if (quantity <= 0n) return "no sale: the quantity is not positive";
  if (price === 0n && row.description === "") return "stock correction: no price and no description";
  const pieces = Number(quantity / 1_000_000n);
  if (pieces > mostPieces) return `more than ${mostPieces} pieces on a line`;
  return { quantity: pieces, price, total: toMinor(price * BigInt(pieces)) };
}

function addProduct(products: Map<string, PlannedProduct>, row: Row, sale: Sale): void {
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
function pricedLines(sku: string, { quantity, total }: Sale): PlannedOrder["lines"] {
  const low = Math.floor(total / quantity);
  const dearer = total - low * quantity;
  return [
    { sku, quantity: quantity - dearer, unitPrice: { amount: low, currency } },
    { sku, quantity: dearer, unitPrice: { amount: low + 1, currency } },
  ].filter((line) => line.quantity > 0);
}

function newOrder(row: Row): PlannedOrder {
  const customer = row.customer
    ? { email: `customer-${row.customer.toLowerCase()}@retail.example`, name: `Customer ${row.customer}` }
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

/** An invoice of more lines than an order takes becomes several orders of one reference. */
function split(order: PlannedOrder): PlannedOrder[] {
  if (order.lines.length <= mostLines) return [order];
  const parts: PlannedOrder[] = [];
  for (let start = 0; start < order.lines.length; start += mostLines) {
    const lines = order.lines.slice(start, start + mostLines);
    const total = lines.reduce((sum, line) => sum + line.quantity * line.unitPrice.amount, 0);
    parts.push({ ...order, lines, total });
  }
  return parts;
}
