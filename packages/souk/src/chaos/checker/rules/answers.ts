import type { Exchange } from "../../answers.ts";
import { allTold, type Facts, type Line, type Money, type Order } from "../facts.ts";
import {
  cancels,
  type Intent,
  intents,
  isAccepted,
  orders as placing,
  requests,
  returns,
} from "../requests.ts";
import type { Violation } from "../types.ts";
import { open, sum } from "../worth.ts";
import { pieces } from "./stock.ts";

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
  return [...placed, ...(facts.options.answers ? taken(facts) : []), ...told(facts), ...prices(facts)];
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
  const wanted = asked.body as AskedFor | undefined;
  if ((wanted?.reference ?? null) !== reference)
    violations.push(wrong(`asked for with reference ${wanted?.reference}, stored is ${reference}`));
  if (wanted?.lines && !fits(wanted.lines, lines))
    violations.push(wrong(`asked for were ${text(wanted.lines)}, stored are ${text(lines)}`));
  return violations;

  function facts({ sku, name, quantity, unitPrice }: Pick<Line, "sku" | "name" | "quantity" | "unitPrice">) {
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

interface Taking {
  lines?: { sku: string; quantity: number }[];
}

/**
 * What was cancelled and what came back: what was accepted has happened, and what was not asked for has not. An order
 * that is still on its way is watched by another rule.
 */
function taken(facts: Facts): Violation[] {
  const of = (pattern: RegExp) =>
    Map.groupBy(requests(facts.exchanges, "POST", pattern), ({ parts }) => parts[0] ?? "");
  const [cancelling, returning] = [of(cancels), of(returns)];
  const refused = new Set(
    allTold(facts).flatMap(({ type, key }) => (type === "order.shipment-refused" ? [key] : [])),
  );
  const expired = new Set(
    allTold(facts).flatMap(({ type, key }) =>
      type === "payment.expired" || type === "payment.capture-failed" ? [key] : [],
    ),
  );
  const ids = new Set([...facts.orders.keys(), ...cancelling.keys(), ...returning.keys()]);
  return [...ids].flatMap((orderId): Violation[] => {
    const order = facts.orders.get(orderId);
    const wrong = (detail: string): Violation => ({ rule: "answer-is-what-is-stored", orderId, detail });
    const wanted = intents((cancelling.get(orderId) ?? []).map(({ exchange }) => exchange));
    const back = intents((returning.get(orderId) ?? []).map(({ exchange }) => exchange));
    const accepted = wanted.filter((intent) => intent.accepted.length > 0);
    if (order === undefined)
      return accepted.length > 0 ? [wrong("its cancelling was accepted, and it is not there")] : [];
    const { lines, status } = order.state;
    const isOver = status === "cancelled" || status === "aborting";
    const all = accepted.some((intent) => linesOf(intent) === undefined);
    // What is left to leave after all was cancelled was being handed over then, and was refused.
    const left = sum(lines.map(open));
    const whole =
      all && !isOver && left > 0 && !refused.has(orderId)
        ? [wrong(`its cancelling was accepted, and it is ${status} with ${left} pieces still to leave`)]
        : [];
    const isAnyones = isOver || expired.has(orderId) || wanted.some((one) => one.possible && !linesOf(one));
    const parts = isOver ? [] : compared(order, "cancelled", accepted, wanted, isAnyones, lines);
    const came = compared(order, "returned", [], back, false, lines);
    return [...whole, ...parts, ...came];
  });
}

const linesOf = ({ requests: [first] }: Intent): Taking["lines"] =>
  (first?.asked.body as Taking | undefined)?.lines;

/** Of each product no less than was accepted, and (`isAnyones`: nobody can say) no more than was asked for. */
function compared(
  { id: orderId }: Order,
  what: "cancelled" | "returned",
  accepted: Intent[],
  wanted: Intent[],
  isAnyones: boolean,
  lines: Line[],
): Violation[] {
  const sums = (some: Intent[]) => pieces(some.flatMap((intent) => linesOf(intent) ?? []));
  const is = pieces(lines.map((line) => ({ sku: line.sku, quantity: line[what] ?? 0 })));
  const [least, most] = [sums(accepted), sums(wanted.filter(({ possible }) => possible))];
  return [...is].flatMap(([sku, count]): Violation[] => {
    const [from, to] = [least.get(sku) ?? 0, most.get(sku) ?? 0];
    if (count < from)
      return [
        {
          rule: "answer-is-what-is-stored",
          orderId,
          sku,
          detail: `${from} to be ${what} were accepted, ${count} are ${what}`,
        },
      ];
    if (count <= to || isAnyones) return [];
    return [
      {
        rule: "key-has-one-effect",
        orderId,
        sku,
        detail: `${count} are ${what}, where ${to} were asked for and not refused`,
      },
    ];
  });
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
