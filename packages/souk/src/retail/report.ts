import type { Books, ReplayResult } from "./replay.ts";

/** The account of the ledger that is credited when goods are paid, and debited when money goes back. */
const salesAccount = "sales-revenue GBP";

const money = (minor: number): string =>
  `£${(minor / 100).toLocaleString("en-GB", { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;

/** Everything in which the shop differs from the file; empty when it agrees to the penny and to the unit. */
export function differences(result: ReplayResult): string[] {
  return [...orderDifferences(result), ...ledgerDifferences(result), ...stockDifferences(result)];
}

function orderDifferences({ replayed, captured }: ReplayResult): string[] {
  return replayed.flatMap(({ planned, order, refused }) => {
    const name = `order ${planned.reference}`;
    if (!order) return [`${name} was refused: ${refused}`];
    if (order.status !== "confirmed")
      return [`${name} (${order.id}) is ${order.status}${order.reason ? `: ${order.reason}` : ""}`];
    const paid = planned.total === 0 ? 0 : captured.get(order.id);
    return [
      ...(order.total.amount === planned.total
        ? []
        : [
            `${name} (${order.id}) comes to ${money(order.total.amount)}, in the file to ${money(planned.total)}`,
          ]),
      ...(paid === planned.total
        ? []
        : [`${name} (${order.id}) was paid ${money(paid ?? 0)}, in the file ${money(planned.total)}`]),
    ];
  });
}

function ledgerDifferences({ replayed, before, after }: ReplayResult): string[] {
  const sold = replayed
    .filter(({ order, again }) => order?.status === "confirmed" && !again)
    .reduce((sum, { planned }) => sum + planned.total, 0);
  const booked = credit(after) - credit(before);
  return [
    ...(after.balanced ? [] : ["the ledger does not balance"]),
    ...(booked === sold
      ? []
      : [`the ledger's sales rose by ${money(booked)}, the file's orders by ${money(sold)}`]),
  ];
}

const credit = ({ accounts }: Books): number => {
  const account = accounts.get(salesAccount);
  return account ? account.credit - account.debit : 0;
};

function stockDifferences({ replayed, before, after }: ReplayResult): string[] {
  const sold = new Map<string, number>();
  for (const { planned, order, again } of replayed) {
    if (order?.status !== "confirmed" || again) continue;
    for (const { sku, quantity } of planned.lines) sold.set(sku, (sold.get(sku) ?? 0) + quantity);
  }
  return [...after.reserved].flatMap(([sku, reserved]) => {
    const moved = reserved - (before.reserved.get(sku) ?? 0);
    const expected = sold.get(sku) ?? 0;
    return moved === expected
      ? []
      : [`stock of ${sku}: ${moved} more reserved, ${expected} sold in the file`];
  });
}

/** What a person reads at the end of a replay. */
export function summary(result: ReplayResult): string {
  const { replayed, skipped, seconds } = result;
  const confirmed = replayed.filter(({ order }) => order?.status === "confirmed");
  const lines = confirmed.reduce((sum, { planned }) => sum + planned.lines.length, 0);
  const byCountry = Map.groupBy(confirmed, ({ planned }) => planned.country);
  const reasons = Map.groupBy(skipped, ({ reason }) => reason);
  const wrong = differences(result);
  return [
    "",
    `placed     ${replayed.filter(({ order }) => order).length} of ${replayed.length} orders${again(result)}`,
    `confirmed  ${confirmed.length} orders, ${lines} lines, ${money(total(confirmed))} in ${seconds.toFixed(1)} s (${(confirmed.length / seconds).toFixed(0)} orders/s)`,
    `skipped    ${skipped.length} lines of the file`,
    ...[...reasons].map(
      ([reason, some]) =>
        `             ${some.length} × ${reason} (${names(some.map(({ invoice }) => invoice))})`,
    ),
    "",
    ...table(
      ["country", "orders", "file", "shop"],
      [...byCountry]
        .sort(([, a], [, b]) => total(b) - total(a))
        .map(([country, some]) => [
          country,
          String(some.length),
          money(total(some)),
          money(some.reduce((sum, { order }) => sum + (order?.total.amount ?? 0), 0)),
        ]),
    ),
    "",
    ...(wrong.length === 0
      ? [
          "The shop agrees with the file: orders and payments to the penny, stock to the unit; the ledger balances.",
        ]
      : [`${wrong.length} differences:`, ...wrong.slice(0, 50).map((one) => `  ${one}`)]),
    "",
  ].join("\n");
}

const total = (some: ReplayResult["replayed"]): number =>
  some.reduce((sum, { planned }) => sum + planned.total, 0);

function again({ replayed }: ReplayResult): string {
  const count = replayed.filter((one) => one.again).length;
  return count > 0 ? ` (${count} of them by an earlier run: they were not placed twice)` : "";
}

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
