import type { Books } from "./books.ts";
import type { Footprint } from "./footprint.ts";
import type { PlannedLine } from "./plan.ts";
import type { Replayed, ReplayResult } from "./replay.ts";

/** The account of the ledger that is credited when goods are paid, and debited when money goes back. */
const salesAccount = "sales-revenue GBP";

const money = (minor: number): string =>
  `£${(minor / 100).toLocaleString("en-GB", { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;

/** Everything in which the shop differs from the file; empty when it agrees to the penny and to the unit. */
export function differences(result: ReplayResult): string[] {
  return [
    ...result.replayed.flatMap(orderDifferences),
    ...ledgerDifferences(result),
    ...stockDifferences(result),
  ];
}

function orderDifferences(one: Replayed): string[] {
  const { planned, order, refused, trouble, after } = one;
  const name = `order ${planned.reference}`;
  if (!order) return [`${name} was refused: ${refused}`];
  const named = `${name} (${order.id})`;
  if (!isTaken(one)) return [`${named} is ${order.status}${order.reason ? `: ${order.reason}` : ""}`];
  const file = { sold: planned.total, refunded: refundOf(one) };
  const pieces = new Map(after.pieces);
  const expected = piecesOf(one);
  return [
    ...trouble.map((what) => `${named}: ${what}`),
    ...differ(
      order.total.amount,
      file.sold,
      (shop, file) => `${named} comes to ${shop}, in the file to ${file}`,
    ),
    ...differ(after.captured, file.sold, (shop, file) => `${named} was paid ${shop}, in the file ${file}`),
    ...differ(
      after.refunded,
      file.refunded,
      (shop, file) => `of ${named} ${shop} was refunded, in the file ${file}`,
    ),
    ...[...expected].flatMap(([sku, { shipped, returned }]) => {
      const shop = pieces.get(sku) ?? { shipped: 0, returned: 0 };
      return shop.shipped === shipped && shop.returned === returned
        ? []
        : [
            `${named}: of ${sku} ${shop.shipped} shipped and ${shop.returned} returned, in the file ${shipped} and ${returned}`,
          ];
    }),
  ];
}

const differ = (shop: number, file: number, say: (shop: string, file: string) => string): string[] =>
  shop === file ? [] : [say(money(shop), money(file))];

function ledgerDifferences({ replayed, before, after }: ReplayResult): string[] {
  const taken = replayed.filter(isTaken);
  const file = sum(
    taken,
    (one) => one.planned.total - refundOf(one) - (one.before.captured - one.before.refunded),
  );
  const booked = credit(after) - credit(before);
  return [
    ...(after.balanced ? [] : ["the ledger does not balance"]),
    ...differ(
      booked,
      file,
      (shop, file) => `the ledger's sales rose by ${shop}, the file's orders by ${file}`,
    ),
  ];
}

const credit = ({ accounts }: Books): number => {
  const account = accounts.get(salesAccount);
  return account ? account.credit - account.debit : 0;
};

/** What of each product lies on the shelves, and is promised, must have moved by what the orders of this run moved. */
function stockDifferences({ replayed, before, after }: ReplayResult): string[] {
  const gone = new Map<string, number>();
  const kept = new Map<string, number>();
  for (const one of replayed.filter(isTaken)) {
    for (const [sku, now] of piecesOf(one)) {
      const then = one.before.pieces.get(sku) ?? { ordered: 0, shipped: 0, returned: 0 };
      add(gone, sku, now.shipped - now.returned - (then.shipped - then.returned));
      add(kept, sku, -(then.ordered - then.shipped));
    }
  }
  return [...after.stock].flatMap(([sku, { onHand, reserved }]) => {
    const was = before.stock.get(sku) ?? { onHand: 0, reserved: 0 };
    const [left, promised] = [was.onHand - onHand, reserved - was.reserved];
    return [
      ...(left === (gone.get(sku) ?? 0)
        ? []
        : [`stock of ${sku}: ${left} fewer on hand, ${gone.get(sku) ?? 0} gone by the file`]),
      ...(promised === (kept.get(sku) ?? 0)
        ? []
        : [`stock of ${sku}: ${promised} more reserved, ${kept.get(sku) ?? 0} by the file`]),
    ];
  });
}

const add = (to: Map<string, number>, sku: string, quantity: number): void => {
  to.set(sku, (to.get(sku) ?? 0) + quantity);
};

/** Whether the shop sold it: it is paid, shipped, delivered, or came back. */
const isTaken = ({ order }: Replayed): boolean =>
  order !== undefined && ["confirmed", "shipped", "delivered", "returned"].includes(order.status);

const refundOf = ({ returns }: Replayed): number => sum(returns, ({ total }) => total);

/** By the file: what has left of an order, and come back. */
function piecesOf({ planned, returns }: Replayed): Footprint["pieces"] {
  const pieces: Footprint["pieces"] = new Map();
  const move = (lines: PlannedLine[], what: "shipped" | "returned") => {
    for (const { sku, quantity } of lines) {
      const known = pieces.get(sku) ?? { ordered: 0, shipped: 0, returned: 0 };
      pieces.set(sku, { ...known, [what]: known[what] + quantity });
    }
  };
  move(planned.lines, "shipped");
  for (const { lines } of returns) move(lines, "returned");
  return pieces;
}

/** What a person reads at the end of a replay. */
export function summary(result: ReplayResult): string {
  const { replayed, seconds } = result;
  const sold = replayed.filter(isTaken);
  const back = sold.filter(({ returns }) => returns.length > 0);
  const returns = back.flatMap((one) => one.returns);
  const lines = sum(sold, ({ planned }) => planned.lines.length);
  const invoices = new Set(returns.map(({ reference }) => reference)).size;
  const wrong = differences(result);
  return [
    "",
    `placed     ${replayed.filter(({ order }) => order).length} of ${replayed.length} orders${earlier(replayed.filter(({ again }) => again).length, "placed")}`,
    `confirmed  ${sold.length} orders, ${lines} lines, ${money(sum(sold, ({ planned }) => planned.total))} in ${took(sold, seconds.placing)}`,
    `delivered  ${sold.filter(isOut).length} orders in ${took(sold, seconds.shipping)}`,
    `returned   ${returns.length} returns by ${invoices} C-invoices of ${back.length} orders, ${money(sum(back, refundOf))} in ${took(back, seconds.returning)}${earlier(
      sum(back, ({ returnedBefore }) => returnedBefore),
      "made",
    )}`,
    ...leftOut(result),
    "",
    ...byCountry(sold),
    "",
    ...(wrong.length === 0
      ? [
          "The shop agrees with the file: sales, payments and refunds to the penny, stock to the unit; the ledger balances.",
        ]
      : [`${wrong.length} differences:`, ...wrong.slice(0, 50).map((one) => `  ${one}`)]),
    "",
  ].join("\n");
}

/** Nothing of it waits to be handed over; of an order of services there is nothing. */
const isOut = ({ order }: Replayed): boolean => order !== undefined && order.status !== "shipped";

const took = (orders: Replayed[], seconds: number): string =>
  `${seconds.toFixed(1)} s (${(orders.length / Math.max(seconds, 0.001)).toFixed(0)} orders/s)`;

const mostListed = 50;

/** What of the file was not played, and why. */
function leftOut({ unmatched, skipped }: ReplayResult): string[] {
  const reasons = Map.groupBy(skipped, ({ reason }) => reason);
  return [
    `unmatched  ${unmatched.length} lines of C-invoices`,
    ...unmatched
      .slice(0, mostListed)
      .map(
        ({ line, invoice, sku, quantity, reason }) =>
          `             line ${line}: ${invoice}, ${quantity} × ${sku}: ${reason}`,
      ),
    ...(unmatched.length > mostListed
      ? [`             and ${unmatched.length - mostListed} more: --skipped <file> writes them all`]
      : []),
    `skipped    ${skipped.length} lines of the file`,
    ...[...reasons].map(
      ([reason, some]) =>
        `             ${some.length} × ${reason} (${names(some.map(({ invoice }) => invoice))})`,
    ),
  ];
}

/** Sales, refunds and pieces that are gone for good: the file's, and the shop's as payments and orders have them. */
function byCountry(sold: Replayed[]): string[] {
  const row = (name: string, some: Replayed[]) => [
    name,
    String(some.length),
    money(sum(some, ({ planned }) => planned.total)),
    money(sum(some, ({ after }) => after.captured)),
    money(sum(some, refundOf)),
    money(sum(some, ({ after }) => after.refunded)),
    String(sum(some, (one) => kept(piecesOf(one)))),
    String(sum(some, ({ after }) => kept(after.pieces))),
  ];
  const countries = [...Map.groupBy(sold, ({ planned }) => planned.country)]
    .map(([country, some]) => ({ country, some, total: sum(some, ({ planned }) => planned.total) }))
    .sort((a, b) => b.total - a.total);
  return table(
    ["country", "orders", "sold: file", "shop", "refunded: file", "shop", "pieces: file", "shop"],
    [...countries.map(({ country, some }) => row(country, some)), row("all", sold)],
  );
}

const kept = (pieces: Footprint["pieces"]): number =>
  sum([...pieces.values()], ({ shipped, returned }) => shipped - returned);

const earlier = (count: number, done: string): string =>
  count > 0 ? ` (${count} of them by an earlier run: they were not ${done} twice)` : "";

const sum = <T>(some: T[], of: (one: T) => number): number => some.reduce((total, one) => total + of(one), 0);

function names(invoices: string[]): string {
  const distinct = [...new Set(invoices)];
  return distinct.length <= 6
    ? distinct.join(", ")
    : `${distinct.slice(0, 5).join(", ")} and ${distinct.length - 5} more`;
}

/** Columns side by side, numbers to the right. */
export function table(head: string[], rows: string[][]): string[] {
  const widths = head.map((name, column) =>
    Math.max(name.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  return [head, ...rows].map((row) =>
    row
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join("  "),
  );
}
