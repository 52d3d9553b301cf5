import type { Exchange } from "../../answers.ts";
import { allTold, type Facts, type Line, type Money, type Order } from "../facts.ts";
import { cancels, isAccepted, orders as placing, requests } from "../requests.ts";
import type { Violation } from "../types.ts";

/** An order as the shop tells of it. */
interface Seen {
  id: string;
  status: string;
  reference?: string | null;
  lines: { sku: string; name: string; quantity: number; unitPrice: Money; total: Money }[];
  total: Money;
  history: { at: string; status: string; reason?: string }[];
}

interface AskedFor {
  lines?: { sku: string; quantity: number; unitPrice?: Money }[];
  reference?: string;
}

/** What clients were told: that an order exists, what is in it, and what has become of it. */
export function answers(facts: Facts): Violation[] {
  const placed = requests(facts.exchanges, "POST", placing)
    .filter(({ exchange }) => isAccepted(exchange))
    .flatMap(({ exchange }) => promised(facts, exchange));
  const cancelled = requests(facts.exchanges, "POST", cancels)
    .filter(({ exchange }) => isAccepted(exchange))
    .flatMap(({ parts: [id = ""] }) => taken(facts, id));
  return [...placed, ...cancelled, ...told(facts), ...prices(facts)];
}

function promised({ orders }: Facts, { asked, answer }: Exchange): Violation[] {
  const seen = answer?.body as Seen | undefined;
  if (typeof seen?.id !== "string")
    return [
      { rule: "answer-is-what-is-stored", detail: `request ${asked.n} was accepted without an order's id` },
    ];
  const order = orders.get(seen.id);
  if (order === undefined)
    return [
      {
        rule: "accepted-order-exists",
        orderId: seen.id,
        detail: `request ${asked.n} was answered ${answer?.status}, and there is no such order`,
      },
    ];
  const wrong = (detail: string): Violation => ({
    rule: "answer-is-what-is-stored",
    orderId: order.id,
    detail,
  });
  const { lines, total, reference } = order.state;
  const violations: Violation[] = [];
  if (text(seen.lines.map(facts)) !== text(lines.map(facts)))
    violations.push(wrong(`answered with lines ${text(seen.lines)}, stored are ${text(lines)}`));
  if (!same(seen.total, total))
    violations.push(wrong(`answered with a total of ${text(seen.total)}, stored is ${text(total)}`));
  const sum = lines.reduce((all, { quantity, unitPrice }) => all + quantity * unitPrice.amount, 0);
  if (sum !== total.amount) violations.push(wrong(`its lines come to ${sum}, its total is ${total.amount}`));
  const wanted = asked.body as AskedFor | undefined;
  if ((wanted?.reference ?? null) !== reference)
    violations.push(wrong(`asked for with reference ${wanted?.reference}, stored is ${reference}`));
  if (wanted?.lines && !fits(wanted.lines, lines))
    violations.push(wrong(`asked for were ${text(wanted.lines)}, stored are ${text(lines)}`));
  return violations;

  function facts({ sku, name, quantity, unitPrice }: Omit<Line, "kind">) {
    return [sku, name, quantity, unitPrice.amount, unitPrice.currency];
  }
}

function fits(wanted: NonNullable<AskedFor["lines"]>, stored: Line[]): boolean {
  return (
    wanted.length === stored.length &&
    wanted.every(({ sku, quantity, unitPrice }, index) => {
      const line = stored[index];
      return (
        line?.sku === sku &&
        line.quantity === quantity &&
        (unitPrice === undefined || same(unitPrice, line.unitPrice))
      );
    })
  );
}

/** An order whose cancelling was accepted ends cancelled; while it is still on its way another rule watches it. */
function taken({ orders }: Facts, id: string): Violation[] {
  const order = orders.get(id);
  if (order && (order.state.status === "cancelled" || order.state.status === "aborting")) return [];
  return [
    {
      rule: "answer-is-what-is-stored",
      orderId: id,
      detail: `its cancelling was accepted, and it is ${order?.state.status ?? "not there"}`,
    },
  ];
}

/** Whatever history a client has read is how the order's history begins. */
function told({ exchanges, orders }: Facts): Violation[] {
  const wrong = new Map<string, Violation>();
  for (const exchange of exchanges) {
    if (!isAccepted(exchange) || !exchange.asked.path.startsWith("/api/orders")) continue;
    const body = exchange.answer?.body as (Seen & { items?: Seen[] }) | undefined;
    for (const seen of body?.items ?? (body ? [body] : [])) {
      const order = orders.get(seen.id);
      if (!order || !Array.isArray(seen.history) || begins(order, seen)) continue;
      wrong.set(seen.id, {
        rule: "answer-is-what-is-stored",
        orderId: seen.id,
        detail: `request ${exchange.asked.n} was told ${steps(seen.history)}, stored is ${steps(order.state.history)}`,
      });
    }
  }
  return [...wrong.values()];
}

const begins = (order: Order, seen: Seen): boolean =>
  seen.history.every(({ at, status, reason }, index) => {
    const entry = order.state.history[index];
    return entry?.status === status && entry.reason === reason && entry.at === Date.parse(at);
  }) && seen.status === seen.history.at(-1)?.status;

const steps = (history: { status: string; reason?: string }[]): string =>
  history.map(({ status, reason }) => (reason ? `${status} (${reason})` : status)).join(" → ");

/** A price, a name and a kind that the client did not name are such as the catalog once said. */
function prices(facts: Facts): Violation[] {
  const named = new Map<string, AskedFor>();
  for (const { exchange } of requests(facts.exchanges, "POST", placing)) {
    const id = (exchange.answer?.body as Seen | undefined)?.id;
    if (id !== undefined) named.set(id, exchange.asked.body as AskedFor);
  }
  const said = new Map<string, Set<string>>();
  for (const { service, type, data } of allTold(facts)) {
    if (service !== "catalog" || (type !== "product.created" && type !== "product.updated")) continue;
    const { sku, price, name, kind } = data as unknown as {
      sku: string;
      price: Money;
      name: string;
      kind: string;
    };
    const entries = said.get(sku) ?? new Set();
    said.set(sku, entries.add(entry(name, kind, price)).add(entry(name, kind)));
  }
  return [...named].flatMap(([id, wanted]) =>
    (facts.orders.get(id)?.state.lines ?? []).flatMap((line, index): Violation[] => {
      const isNamed = wanted.lines?.[index]?.unitPrice !== undefined;
      if (said.get(line.sku)?.has(entry(line.name, line.kind, isNamed ? undefined : line.unitPrice)))
        return [];
      const detail = `sold as ${line.name} for ${text(line.unitPrice)}, which the catalog never said`;
      return [{ rule: "copy-equals-source", orderId: id, sku: line.sku, detail }];
    }),
  );
}

const entry = (name: string, kind: string, price?: Money): string =>
  [name, kind, price?.amount, price?.currency].join("\n");

const same = (a: Money, b: Money): boolean => a.amount === b.amount && a.currency === b.currency;

const text = (value: unknown): string => JSON.stringify(value);
