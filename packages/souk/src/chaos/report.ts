/** What a run came to, for a person and for a program. */
import { bold, dim, duration, green, red, table } from "../terminal.ts";
import { rules, type Violation } from "./checker/index.ts";
import { type ChaosOptions, holds, type Outcome } from "./run.ts";

export interface Report {
  holds: boolean;
  seed: string;
  /** Repeats the run. */
  command: string;
  home: string | null;
  seconds: number;
  ordersPerSecond: number;
  orders: {
    asked: number;
    accepted: number;
    /** With those that are shipped, delivered or returned. */
    confirmed: number;
    shipped: number;
    delivered: number;
    returned: number;
    rejected: number;
    cancelled: number;
    unanswered: number;
    left: number;
    refused: Record<string, number>;
  };
  again: Record<string, number>;
  faults: { kill: number; freeze: number; cut: number };
  /** Each of them, as it was told. */
  inflicted: string[];
  lost: number;
  chargedTwice: number;
  oversold: number;
  /** Differences in the books that were found. */
  ledger: number;
  deadLetters: number;
  secondsToFinal: number;
  secondsToRest: number;
  figures: Outcome["verdict"]["figures"];
  violations: Violation[];
}

export function reportOf(outcome: Outcome): Report {
  const { figures, violations } = outcome.verdict;
  const broken = (...names: Violation["rule"][]) =>
    violations.filter(({ rule }) => names.includes(rule)).length;
  const happened = (kind: string) => outcome.faults.filter((fault) => fault.kind === kind).length;
  return {
    holds: holds(outcome),
    seed: outcome.options.seed,
    command: commandOf(outcome.options),
    home: outcome.home,
    seconds: outcome.seconds,
    ordersPerSecond: figures.orders / outcome.seconds,
    orders: {
      asked: outcome.asked,
      accepted: figures.accepted,
      confirmed: figures.confirmed,
      shipped: figures.shipped,
      delivered: figures.delivered,
      returned: figures.returned,
      rejected: figures.rejected,
      cancelled: figures.cancelled,
      unanswered: outcome.unanswered,
      left: outcome.left,
      refused: outcome.refused,
    },
    again: outcome.again,
    faults: { kill: happened("kill"), freeze: happened("freeze"), cut: happened("cut") },
    inflicted: outcome.faults.map(({ what }) => what),
    lost: broken("accepted-order-exists", "order-is-final-in-time"),
    chargedTwice: broken("captured-once", "key-has-one-effect", "kept-is-paid"),
    oversold: broken("stock-adds-up"),
    ledger: broken("ledger-balances", "money-matches-provider", "price-adds-up"),
    deadLetters: broken("no-dead-letters"),
    secondsToFinal: outcome.secondsToFinal,
    secondsToRest: outcome.secondsToRest,
    figures,
    violations,
  };
}

/** What repeats a run. */
export function commandOf({ kills, ms, orders, seed, spare, store }: ChaosOptions): string {
  return [
    `npx souk chaos --orders ${orders} --kills ${kills} --duration ${Math.round(ms / 1000)}`,
    `--store ${store} --seed ${seed}`,
    ...(spare.length > 0 ? [`--spare ${spare.join(",")}`] : []),
  ].join(" ");
}

const mostShown = 10;
const mostHistories = 3;

export function render(report: Report, outcome: Outcome): string {
  const { histories } = outcome;
  const { again, faults, figures, orders, violations } = report;
  const zero = (count: number) => (count === 0 ? green("0") : red(String(count)));
  const money = Object.entries(figures.captured)
    .map(([currency, amount]) => `${(amount / 100).toFixed(2)} ${currency} captured`)
    .join(", ");
  const counts = (some: Record<string, number>) =>
    Object.entries(some)
      .map(([what, count]) => `${count} ${what}`)
      .join(", ");
  const rows = [
    [
      "orders",
      `${orders.asked} asked, ${orders.accepted} accepted${list(", refused: ", counts(orders.refused))}${orders.left > 0 ? `, ${orders.left} left without an answer, having no key` : ""}`,
    ],
    ["", `${orders.confirmed} confirmed, ${orders.rejected} rejected, ${orders.cancelled} cancelled`],
    [
      "",
      `of these ${orders.shipped} shipped, ${orders.delivered} delivered, ${orders.returned} returned, in ${figures.shipments} shipments and ${figures.returns} returns`,
    ],
    ["faults", `${faults.kill} kills, ${faults.freeze} freezes, ${faults.cut} cut-offs`],
    ["asked again", counts(again) || "nobody had to"],
    ["looked at", `${figures.events} events, ${figures.postings} postings, ${money}`],
    ["", ""],
    ["never answered", zero(orders.unanswered)],
    ["lost", zero(report.lost)],
    ["charged twice", zero(report.chargedTwice)],
    ["oversold", zero(report.oversold)],
    ["books that differ", zero(report.ledger)],
    ["dead letters", zero(report.deadLetters)],
    ["all violations", zero(violations.length)],
    ["", ""],
    ["last order final", `${report.secondsToFinal.toFixed(1)} s after the last fault and customer`],
    ["everything at rest", `${report.secondsToRest.toFixed(1)} s after them`],
    ["time", `${duration(report.seconds * 1000)}, ${report.ordersPerSecond.toFixed(1)} orders/s`],
    ["seed", report.seed],
  ];
  const title = report.holds
    ? green(bold("Everything holds."))
    : red(bold("The shop has broken its promise."));
  return [
    "",
    title,
    "",
    table(rows.map(([name = "", value = ""]) => [dim(name), value])),
    "",
    ...violations.slice(0, mostShown).map(said),
    ...(violations.length > mostShown ? [`… and ${violations.length - mostShown} more`] : []),
    ...(histories.length > 0 ? ["", ...histories.slice(0, mostHistories)] : []),
    ...(outcome.postgres ? [`PostgreSQL's folder is kept, too: ${outcome.postgres}`] : []),
    ...(report.home
      ? [
          `Everything is kept in ${report.home}: verdict.json, answers.ndjson, logs, data${histories.length > 0 ? ", histories.txt" : ""}`,
          `  a service's log: SOUK_HOME=${report.home} npx souk logs orders`,
        ]
      : []),
    `Again: ${report.command}`,
    "",
  ].join("\n");
}

const list = (before: string, text: string): string => (text ? before + text : "");

function said({ detail, orderId, rule, sku }: Violation): string {
  const of = orderId ? ` order ${orderId}` : sku ? ` ${sku}` : "";
  return `${red(rule)}${of}: ${detail} ${dim(`(${rules[rule]})`)}`;
}
