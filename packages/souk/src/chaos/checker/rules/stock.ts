import type { Exchange } from "../../answers.ts";
import { allTold, type Facts, type Order } from "../facts.ts";
import { imports, isAccepted, isUncertain, levels, requests } from "../requests.ts";
import type { Violation } from "../types.ts";

type Pieces = Map<string, number>;

/** Pieces in the house, pieces promised to orders, and pieces that were put in. */
export function stock(facts: Facts): Violation[] {
  return [...sound(facts), ...promised(facts), ...ordered(facts), ...counted(facts)];
}

/** What an order takes off the shelf: each product once. */
export function physical({ state: { lines } }: Order): Pieces {
  return pieces(lines.filter(({ kind }) => kind === "physical"));
}

function pieces(lines: Iterable<{ sku: string; quantity: number }>): Pieces {
  const sums: Pieces = new Map();
  for (const { sku, quantity } of lines) sums.set(sku, (sums.get(sku) ?? 0) + quantity);
  return sums;
}

const wrong = (sku: string, detail: string, orderId?: string): Violation => ({
  rule: "stock-adds-up",
  sku,
  ...(orderId === undefined ? {} : { orderId }),
  detail,
});

function sound({ stock: all }: Facts): Violation[] {
  return [...all.values()].flatMap(({ sku, onHand, reserved }) =>
    reserved < 0 || onHand < reserved ? [wrong(sku, `${onHand} on hand, ${reserved} of them reserved`)] : [],
  );
}

/** What is reserved of a product is what its reservations hold. */
function promised({ stock: all, reservations }: Facts): Violation[] {
  const held = pieces(
    [...reservations.values()].filter(({ status }) => status === "reserved").flatMap(({ lines }) => lines),
  );
  return [...new Set([...all.keys(), ...held.keys()])].flatMap((sku) => {
    const [is, should] = [all.get(sku)?.reserved ?? 0, held.get(sku) ?? 0];
    return is === should ? [] : [wrong(sku, `${is} reserved, its reservations hold ${should}`)];
  });
}

/** An order that is to be delivered holds what it has sold, and no reservation is for anything else. */
function ordered({ orders, reservations }: Facts): Violation[] {
  const forOrders = [...orders.values()].flatMap((order) => {
    const wanted = physical(order);
    if (!["reserved", "confirmed"].includes(order.state.status) || wanted.size === 0) return [];
    const reservation = reservations.get(order.id);
    const held = reservation?.status === "reserved" ? pieces(reservation.lines) : new Map<string, number>();
    return [...new Set([...wanted.keys(), ...held.keys()])].flatMap((sku) => {
      const [is, should] = [held.get(sku) ?? 0, wanted.get(sku) ?? 0];
      return is === should
        ? []
        : [wrong(sku, `${order.status} with ${should}, and ${is} are reserved`, order.id)];
    });
  });
  const forNobody = [...reservations.values()].flatMap(({ orderId, lines }) =>
    orders.has(orderId)
      ? []
      : [wrong(lines[0]?.sku ?? "", "reserved for an order that is not there", orderId)],
  );
  return [...forOrders, ...forNobody];
}

/** A number that a client has put in. */
interface Put {
  onHand: number;
  askedAt: number;
  /** No end: it may still take effect. */
  until: number;
  sure: boolean;
}

/** What is on hand is what was last put in; of those put in at the same time, any. */
function counted(facts: Facts): Violation[] {
  const puts = putIn(facts.exchanges);
  const adjusted = new Map<string, { onHand: number; counted?: number; version: number }>();
  for (const { type, data } of allTold(facts)) {
    if (type !== "stock.adjusted") continue;
    const said = data as unknown as { sku: string; onHand: number; counted?: number; version: number };
    if ((adjusted.get(said.sku)?.version ?? 0) < said.version) adjusted.set(said.sku, said);
  }
  return [...new Set([...facts.stock.keys(), ...puts.keys()])].flatMap((sku) => {
    const is = facts.stock.get(sku)?.onHand ?? 0;
    const last = adjusted.get(sku);
    const told =
      (last?.onHand ?? 0) === is ? [] : [wrong(sku, `${is} on hand, ${last?.onHand ?? 0} was last said`)];
    const all = puts.get(sku) ?? [];
    const possible = all.filter((put) => !all.some((later) => later.sure && later.askedAt > put.until));
    if (!all.some(({ sure }) => sure)) return told;
    const isPut = possible.some(
      // An import that counts less than is promised to orders goes down to that and no further.
      ({ onHand }) => onHand === is || (last?.counted === onHand && last.onHand === is && is > onHand),
    );
    const values = [...new Set(possible.map(({ onHand }) => onHand))].join(" or ");
    return isPut ? told : [...told, wrong(sku, `${is} on hand, ${values} was put in`)];
  });
}

function putIn(exchanges: Exchange[]): Map<string, Put[]> {
  const puts = new Map<string, Put[]>();
  const add = (sku: string, onHand: number, { asked, answer }: Exchange, sure: boolean) => {
    const put = {
      onHand,
      askedAt: asked.at,
      until: sure && answer ? answer.at : Number.POSITIVE_INFINITY,
      sure,
    };
    puts.set(sku, [...(puts.get(sku) ?? []), put]);
  };
  for (const { exchange, parts } of requests(exchanges, "PUT", levels)) {
    const onHand = (exchange.asked.body as { onHand?: number } | undefined)?.onHand;
    const sure = isAccepted(exchange);
    if (onHand !== undefined && (sure || isUncertain(exchange))) add(parts[0] ?? "", onHand, exchange, sure);
  }
  for (const { exchange } of requests(exchanges, "POST", imports)) {
    const sure = isAccepted(exchange);
    if (!sure && !isUncertain(exchange)) continue;
    const report = exchange.answer?.body as { rejected?: { line: number }[] } | undefined;
    const refused = new Set(report?.rejected?.map(({ line }) => line));
    String(exchange.asked.body)
      .split("\n")
      .forEach((text, index) => {
        if (text.trim() === "" || refused.has(index + 1)) return;
        const { sku, onHand } = JSON.parse(text) as { sku: string; onHand?: number };
        if (onHand !== undefined) add(sku, onHand, exchange, sure);
      });
  }
  return puts;
}
