import type { Facts, Line, Order } from "../facts.ts";
import { isAccepted, requests, taxRates } from "../requests.ts";
import type { Violation } from "../types.ts";
import { share, sum, worth } from "../worth.ts";

/** What an order comes to is the sum of its parts, and each part is what it has to be. */
export function price(facts: Facts): Violation[] {
  const rateOf = taxes(facts);
  return [...facts.orders.values()].flatMap((order) => [
    ...summed(order),
    ...order.state.lines.flatMap((line) => taxed(facts, order, line, rateOf)),
  ]);
}

const wrong = ({ id }: Order, detail: string): Violation => ({ rule: "price-adds-up", orderId: id, detail });

function summed(order: Order): Violation[] {
  const { lines, price: parts, shipping, total } = order.state;
  const charge = shipping?.amount ?? 0;
  const goods = sum(lines.map(worth));
  const off = sum(lines.map(({ discount = 0 }) => discount));
  const given = sum(parts?.promotions.map(({ amount }) => amount) ?? []);
  return [
    ...lines.flatMap((line): Violation[] => {
      const { discount = 0, sku, tax = 0 } = line;
      const before = netOf(line);
      // Tax is in the price, or added to it.
      if (discount >= 0 && before >= 0 && (worth(line) === before || worth(line) === before + tax)) return [];
      return [wrong(order, `${sku} is ${worth(line)}, for ${before} after discount and ${tax} of tax`)];
    }),
    ...(goods + charge === total.amount
      ? []
      : [
          wrong(order, `its lines come to ${goods}, its shipping to ${charge}, its total is ${total.amount}`),
        ]),
    ...(given === off ? [] : [wrong(order, `its promotions gave ${given}, its lines were given ${off} off`)]),
  ];
}

/** Before a tax that is added. */
const netOf = ({ discount = 0, quantity, unitPrice }: Line): number => quantity * unitPrice.amount - discount;

interface TaxRate {
  basisPoints: number;
  included: boolean;
}

type RateOf = (country: string, taxClass: string, at: number) => TaxRate | "none" | "unknown";

/** Orders may be priced by what was so a moment before. */
const momentMs = 2_000;

/** What staff has said of a country and a class of goods; nobody can say what holds when it was said more than once. */
function taxes({ exchanges, options }: Facts): RateOf {
  const put = requests(exchanges, "PUT", taxRates).filter(({ exchange: { answer, asked }, exchange }) =>
    isAccepted(exchange) || answer === undefined || answer.status === null || answer.status >= 500
      ? asked.body !== undefined
      : false,
  );
  const said = Map.groupBy(put, ({ parts }) => parts.join(" "));
  return (country, taxClass, at) => {
    const all = said.get(`${country} ${taxClass}`) ?? [];
    const rates = new Set(all.map(({ exchange }) => JSON.stringify(exchange.asked.body)));
    if (rates.size === 0) return options.answers === undefined ? "unknown" : "none";
    const done = all.find(({ exchange }) => isAccepted(exchange))?.exchange.answer?.at;
    if (rates.size > 1 || done === undefined || at < done + momentMs) return "unknown";
    return JSON.parse([...rates][0] ?? "{}") as TaxRate;
  };
}

function taxed({ copies }: Facts, order: Order, line: Line, rateOf: RateOf): Violation[] {
  const { country = "" } = order.state;
  const rate = rateOf(country, copies.get(line.sku)?.taxClass ?? "standard", order.placedAt);
  if (rate === "unknown") return [];
  const net = netOf(line);
  const due =
    rate === "none" ? 0 : share(net, rate.basisPoints, rate.included ? 10_000 + rate.basisPoints : 10_000);
  const added = rate === "none" || rate.included ? 0 : due;
  const { tax = 0 } = line;
  if (tax === due && worth(line) === net + added) return [];
  const detail = `${line.sku} for ${net} to ${country} has ${tax} of tax and is ${worth(line)}; the tax is ${due}, ${added} of it added`;
  return [wrong(order, detail)];
}
