import { type Command, calm, type Line, type Network, type Plan, type Product } from "./plan.ts";
import { Random } from "./random.ts";

const skus = ["A", "B", "C", "D"];
/** Products whose descriptions change, and which nobody buys. */
const changing = ["E", "F"];
const tokens = ["tok_ok", "tok_declined", "tok_timeout", "tok_flaky", "tok_slow"];

/** Every event three times, each up to two seconds late: in whatever order. */
export const shuffled: Network = { ...calm, copies: 3, delayed: 1, late: 2_000 };

/**
 * A shop in which no two decisions compete: enough of everything, and whoever cancels does so long after. So it must
 * not matter in which order events come, nor how often.
 */
export function peaceful(seed: number, network: Network): Plan {
  const random = new Random(seed).fork("peaceful");
  const products = [...skus, ...changing].map(
    (sku): Product => ({
      sku,
      amount: random.between(1, 40) * 25,
      ...(random.chance(0.2) ? { kind: "service" } : { kind: "physical", onHand: 1_000 }),
    }),
  );
  const commands: Command[] = [{ at: 0, name: "i1", do: "import", products }];
  for (let n = random.between(3, 8); n > 0; n--) {
    const name = `o${n}`;
    const lines = Array.from({ length: random.between(1, 3) }, () => ({
      sku: random.pick(skus),
      quantity: random.between(1, 4),
    }));
    const at = 6_000 + random.between(0, 3_000);
    commands.push({ at, name, do: "order", lines, token: random.pick(tokens), twice: false });
    const after = random.pick(["nothing", "cancel", "refund", "ship", "ship", "return"] as const);
    if (after === "cancel") commands.push({ at: 32_000, name: `c${n}`, do: "cancel", order: name });
    if (after === "refund") commands.push({ at: 32_000, name: `r${n}`, do: "refund", order: name });
    if (after === "ship" || after === "return")
      commands.push(...sent(random, name, lines, after === "return"));
  }
  for (let n = 1; n <= 5; n++)
    for (const sku of changing)
      commands.push({ at: 5_000 + n * 900, name: `p${sku}${n}`, do: "price", sku, amount: n * 100 });
  return {
    seed,
    deadline: 900_000,
    providerTimeout: 6_000,
    authorisationLifetime: 900_000,
    ticks: { renew: 15_000, reconcile: 15_000 },
    skew: {},
    network,
    commands,
    faults: [],
    quietAt: 105_000,
  };
}

/** In two parts, with time enough in between; some of it comes back. */
function sent(random: Random, order: string, lines: Line[], back: boolean): Command[] {
  const [line] = lines;
  const some = line ? [{ ...line, quantity: 1 }] : [];
  const n = order.slice(1);
  const commands: Command[] = [
    { at: 38_000, name: `h${n}.1`, do: "dispatch", order, most: 1 },
    { at: 62_000, name: `h${n}.2`, do: "dispatch", order },
    { at: 76_000, name: `v${n}`, do: "deliver", order },
  ];
  if (back) {
    const [by, writeOff] = [random.pick(["staff", "customer"] as const), random.chance(0.3)];
    commands.push({ at: 84_000, name: `b${n}`, do: "return", order, lines: some, by, writeOff });
    if (by === "customer") commands.push({ at: 92_000, name: `g${n}`, do: "receive", order, writeOff });
  }
  return commands;
}
