/** What each customer of a run will do: decided by the seed alone, before anything happens. */
import type { Goods } from "./goods.ts";
import { type Random, random } from "./random.ts";
import { codes, sending } from "./shelves.ts";

export type Token = "tok_ok" | "tok_declined" | "tok_flaky" | "tok_slow" | "tok_timeout";

export interface Customer {
  number: number;
  /** When they come, in milliseconds since the run began. */
  at: number;
  /** Without an account: reads and cancels by Order-Key. */
  guest: boolean;
  /** Paths that they look at first. */
  browses: string[];
  /** The body of POST /api/orders. */
  order: Record<string, unknown>;
  /** Without one they cannot ask again when no answer comes. */
  key: string | undefined;
  /** Sends the request so many times at once: an impatient finger. */
  copies: number;
  /** Hangs up after so many milliseconds at the first try, and asks again. */
  hangsUpAfter: number | undefined;
  /** What they do with the order once it is taken. */
  afterwards:
    | { do: "nothing" | "follow" }
    /** So many milliseconds after the answer. */
    | { do: "cancel"; after: number; twice: boolean }
    /** Once it is confirmed they do not want so much of each thing any more: a share of what it was. */
    | { do: "cancel some"; share: number; twice: boolean }
    /** They send back such a share of what was ordered, as far as it has come; `writeOff`: it cannot be sold again. */
    | { do: "return"; share: number; twice: boolean; writeOff: boolean }
    /** Staff gives back a share of the money once it is there, each of them a part of the total. */
    | { do: "refund"; shares: number[] };
}

/** Everybody who comes in `ms` milliseconds: of the real sales up to a sixth, the rest made up. */
export function customers(seed: string, goods: Goods, count: number, ms: number): Customer[] {
  const real = Math.min(goods.orders.length, Math.floor(count / 6));
  const arrivals = random(seed, "arrivals");
  // Mostly evenly, a tenth in crowds.
  const crowds = Array.from({ length: 5 }, () => arrivals.share());
  const times = Array.from({ length: count }, () => {
    const share = arrivals.chance(0.1) ? arrivals.one(crowds) + arrivals.share() * 0.005 : arrivals.share();
    return Math.min(share, 0.999) * ms;
  }).sort((a, b) => a - b);
  const places = new Set<number>();
  while (places.size < real) places.add(arrivals.int(0, count - 1));
  const sales = goods.orders.slice(0, real);
  return times.map((at, index): Customer => {
    const number = index + 1;
    const chance = random(seed, `customer ${number}`);
    const sale = places.has(index) ? sales.shift() : undefined;
    if (sale === undefined) return shopper(chance, goods, { seed, number, at });
    return {
      ...steady,
      number,
      at,
      key: `${seed}-sale-${sale.reference}-${number}`,
      afterwards: { do: chance.chance(0.1) ? "follow" : "nothing" },
      order: {
        reference: sale.reference,
        customer: sale.customer,
        shippingAddress: address(sale.customer.name, sale.countryCode),
        payment: { method: "test", token: "tok_ok" },
        lines: sale.lines,
      },
    };
  });
}

const steady = { guest: false, browses: [], copies: 1, hangsUpAfter: undefined };

interface Who {
  seed: string;
  number: number;
  at: number;
}

function shopper(chance: Random, goods: Goods, { seed, number, at }: Who): Customer {
  const guest = chance.chance(0.3);
  const name = `Customer ${number}`;
  const lines = Array.from({ length: chance.int(1, 5) }, () => ({
    sku: chance.chance(0.04) ? chance.one(goods.scarce) : zipf(goods.popular, chance),
    quantity: chance.chance(0.9) ? chance.int(1, 4) : chance.int(5, 24),
  }));
  const token = chance.pick<Token>({
    tok_ok: 84,
    tok_declined: 7,
    tok_flaky: 4,
    tok_slow: 2,
    tok_timeout: 3,
  });
  const hasKey = chance.chance(0.97);
  const code = chance.pick({ none: 94, few: 3, regular: 3 });
  // Regulars come again and again.
  const email =
    code === "regular" ? `regular${chance.int(1, 3)}@example.com` : `customer${number}@example.com`;
  return {
    number,
    at,
    guest,
    browses: browsing(
      chance,
      lines.map(({ sku }) => sku),
    ),
    order: {
      customer: { email, name },
      ...(chance.chance(0.4) ? { shippingMethod: sending } : {}),
      ...(code === "none" ? {} : { codes: [codes[code]] }),
      shippingAddress: address(name, chance.one(["GB", "IE", "DE", "FR", "NL"])),
      payment: { method: "test", token },
      lines,
    },
    key: hasKey ? `${seed}-${number}` : undefined,
    copies: hasKey && chance.chance(0.05) ? chance.int(2, 4) : 1,
    hangsUpAfter: hasKey && chance.chance(0.04) ? chance.int(1, 120) : undefined,
    afterwards: afterwards(chance),
  };
}

function browsing(chance: Random, skus: string[]): string[] {
  const [first = ""] = skus;
  const product = `/api/products/${encodeURIComponent(first)}`;
  const all = ["/api/products?limit=10", product, `/api/stock/${encodeURIComponent(first)}`];
  return all.filter(() => chance.chance(0.25));
}

function afterwards(chance: Random): Customer["afterwards"] {
  const what = chance.pick({
    nothing: 52,
    follow: 10,
    cancel: 10,
    "cancel some": 9,
    return: 14,
    refund: 5,
  });
  const [share, twice] = [chance.int(10, 100) / 100, chance.chance(0.2)];
  if (what === "cancel some") return { do: what, share, twice };
  if (what === "return") return { do: what, share, twice, writeOff: chance.chance(0.2) };
  if (what === "cancel") return { do: what, after: chance.int(0, 3_000), twice: chance.chance(0.2) };
  if (what === "refund") {
    const share = () => chance.int(10, 45) / 100;
    return { do: what, shares: chance.chance(0.3) ? [share(), share()] : [share()] };
  }
  return { do: what };
}

const address = (name: string, country: string) => ({
  name,
  line1: "1 Main Street",
  city: "Sometown",
  country,
});

/** A few things sell most: the n-th is asked for 1/n as often as the first. */
function zipf(skus: readonly string[], chance: Random): string {
  let weights = harmonic.get(skus);
  if (weights === undefined) {
    let sum = 0;
    weights = skus.map((_, index) => {
      sum += 1 / (index + 1);
      return sum;
    });
    harmonic.set(skus, weights);
  }
  const wanted = chance.share() * (weights.at(-1) ?? 0);
  const at = weights.findIndex((sum) => sum > wanted);
  return skus[at] ?? skus[0] ?? "";
}

const harmonic = new WeakMap<readonly string[], number[]>();
