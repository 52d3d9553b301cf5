import type { Exchange } from "../../answers.ts";
import { allTold, type Facts, type Level, type Line, type Order, type Piece } from "../facts.ts";
import { imports, isAccepted, isUncertain, levels, requests } from "../requests.ts";
import type { Violation } from "../types.ts";
import { open } from "../worth.ts";

export type Pieces = Map<string, number>;

/** Pieces in the house, pieces promised to orders, pieces that have left and come back, and pieces that were put in. */
export function stock(facts: Facts): Violation[] {
  return [...sound(facts), ...promised(facts), ...ordered(facts), ...moved(facts), ...counted(facts)];
}

/** So many of each physical line, each product once. */
export function physical({ state: { lines } }: Order, count = (line: Line) => line.quantity): Pieces {
  return pieces(
    lines.flatMap((line) =>
      line.kind === "physical" && count(line) > 0 ? [{ sku: line.sku, quantity: count(line) }] : [],
    ),
  );
}

export function pieces(lines: Iterable<Piece>): Pieces {
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

/** Where an order may still hold something: what is still to leave of it. */
const holding = new Set(["reserved", "confirmed", "shipped", "delivered", "returned"]);

/** An order holds what is still to leave of it, and no reservation is for anything else. */
function ordered({ orders, reservations }: Facts): Violation[] {
  const forOrders = [...orders.values()].flatMap((order) => {
    if (!holding.has(order.state.status)) return [];
    const wanted = physical(order, open);
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

interface Moved {
  sold: number;
  restocked: number;
  writtenOff: number;
}

const unmoved: Moved = { sold: 0, restocked: 0, writtenOff: 0 };

/** What inventory says has left and come back is what orders have told of. */
function moved(facts: Facts): Violation[] {
  const told = new Map<string, Moved>();
  const add = (sku: string, name: keyof Moved, quantity: number) => {
    const sum = told.get(sku) ?? unmoved;
    told.set(sku, { ...sum, [name]: sum[name] + quantity });
  };
  for (const { type, data } of allTold(facts)) {
    const { lines } = data as { lines?: (Piece & { restock?: boolean })[] };
    if (type === "order.shipped") for (const { sku, quantity } of lines ?? []) add(sku, "sold", quantity);
    if (type === "order.return-received")
      for (const { sku, quantity, restock } of lines ?? [])
        add(sku, restock ? "restocked" : "writtenOff", quantity);
  }
  const text = ({ sold, restocked, writtenOff }: Moved) =>
    `${sold} sold, ${restocked} restocked, ${writtenOff} written off`;
  return [...new Set([...facts.stock.keys(), ...told.keys()])].flatMap((sku) => {
    const [is, should] = [text(facts.stock.get(sku) ?? unmoved), text(told.get(sku) ?? unmoved)];
    return is === should ? [] : [wrong(sku, `${is} by inventory, ${should} by the orders`)];
  });
}

interface Adjusted extends Partial<Moved> {
  sku: string;
  onHand: number;
  counted?: number;
  version: number;
}

/** What is on hand is what was last put in (of those put in at the same time, any), less what was sold and not returned. */
function counted(facts: Facts): Violation[] {
  const puts = putIn(facts.exchanges);
  const adjusted = new Map<string, Adjusted>();
  for (const { type, data } of allTold(facts)) {
    if (type !== "stock.adjusted") continue;
    const said = data as unknown as Adjusted;
    if ((adjusted.get(said.sku)?.version ?? 0) < said.version) adjusted.set(said.sku, said);
  }
  return [...new Set([...facts.stock.keys(), ...puts.keys()])].flatMap((sku) => {
    const level = facts.stock.get(sku) ?? { sku, onHand: 0, reserved: 0, ...unmoved };
    const last = adjusted.get(sku) ?? { sku, onHand: 0, version: 0 };
    const { sold, restocked } = since(last, level);
    const should = last.onHand - sold + restocked;
    const told =
      should === level.onHand
        ? []
        : [
            wrong(
              sku,
              `${level.onHand} on hand: ${last.onHand} was last said, ${sold} were sold since and ${restocked} came back`,
            ),
          ];
    const all = puts.get(sku) ?? [];
    const possible = all.filter((put) => !all.some((later) => later.sure && later.askedAt > put.until));
    if (!all.some(({ sure }) => sure)) return told;
    const isPut = possible.some(
      ({ onHand }) =>
        // Nothing is said of a number that is put in and is there already.
        (onHand >= last.onHand - sold && onHand <= last.onHand + restocked) ||
        // An import that counts less than is promised to orders goes down to that and no further.
        (last.counted === onHand && last.onHand > onHand),
    );
    const values = [...new Set(possible.map(({ onHand }) => onHand))].join(" or ");
    return isPut
      ? told
      : [...told, wrong(sku, `${last.onHand} was last said to be on hand, ${values} was put in`)];
  });
}

const since = (last: Adjusted, level: Level) => ({
  sold: level.sold - (last.sold ?? 0),
  restocked: level.restocked - (last.restocked ?? 0),
});

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
