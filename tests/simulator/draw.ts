import { apps, type Command, type Fault, type Line, type Plan, type Product } from "./plan.ts";
import { Random } from "./random.ts";

const tokens = ["tok_ok", "tok_ok", "tok_ok", "tok_declined", "tok_timeout", "tok_flaky", "tok_slow"];

/** Everything that happens to one shop, drawn from a seed. */
export function planOf(seed: number): Plan {
  const random = new Random(seed);
  const long = random.pick([3_000, 6_000, 12_000]);
  const { commands, skus } = trade(random.fork("trade"), long);
  const network = random.fork("network");
  const often = () => network.pick([0, 0, 0.02, 0.1, 0.3]);
  return {
    seed,
    deadline: random.pick([1_000, 4_000, 20_000, 900_000]),
    providerTimeout: random.pick([800, 3_000, 10_000]),
    skew: random.chance(0.2) ? { [random.pick(apps)]: random.between(-500, 500) } : {},
    network: {
      latency: network.pick([1, 5, 30]),
      delayed: often(),
      late: network.pick([50, 1_000, 6_000]),
      duplicated: often(),
      lost: often() / 3,
      doubtful: often(),
      unanswered: often() / 2,
      copies: 1,
    },
    commands: skus.length > 0 ? commands : [],
    faults: faults(random.fork("faults"), long),
    quietAt: long + 1_000,
  };
}

/** Products of which there are few, and orders, cancels, refunds and changes of prices in between. */
function trade(random: Random, long: number): { commands: Command[]; skus: string[] } {
  const skus = ["A", "B", "C", "D"].slice(0, random.between(1, 4));
  const products = skus.map((sku): Product => {
    const amount = random.between(1, 40) * 25;
    return random.chance(0.15)
      ? { sku, amount, kind: "service" }
      : { sku, amount, kind: "physical", onHand: random.between(0, 8) };
  });
  const commands: Command[] = [{ at: 0, name: "i1", do: "import", products }];
  const first = random.pick([20, 300, 1_500]);
  const when = () => random.between(first, long);
  const burst = random.chance(0.3) ? when() : undefined;
  const orders = random.between(2, 9);
  for (let n = 1; n <= orders; n++) {
    const name = `o${n}`;
    const at = burst === undefined ? when() : Math.min(long, burst + random.between(0, 20));
    const lines = Array.from({ length: random.pick([1, 1, 2, 3]) }, (): Line => {
      const line = { sku: random.pick(skus), quantity: random.between(1, 4) };
      return random.chance(0.1) ? { ...line, unitPrice: random.pick([0, 1, 999]) } : line;
    });
    commands.push({ at, name, do: "order", lines, token: random.pick(tokens), twice: random.chance(0.1) });
    if (random.chance(0.35))
      commands.push({
        at: at + random.pick([0, 10, 100, 1_000, 4_000]),
        name: `c${n}`,
        do: "cancel",
        order: name,
      });
    if (random.chance(0.05))
      commands.push({ at: at + random.between(0, 3_000), name: `cc${n}`, do: "cancel", order: name });
    for (let refund = 1; refund <= 2 && random.chance(0.25); refund++) {
      const amount = random.chance(0.5) ? random.between(1, 200) : undefined;
      commands.push({
        at: at + random.pick([50, 500, 3_000]),
        name: `r${n}.${refund}`,
        do: "refund",
        order: name,
        amount,
      });
    }
  }
  for (let n = random.between(0, 4); n > 0; n--) {
    const [at, sku] = [when(), random.pick(skus)];
    const amount = random.between(1, 40) * 25;
    const kind = random.pick(["price", "price", "stock", "delist"] as const);
    if (kind === "price") commands.push({ at, name: `p${n}`, do: "price", sku, amount });
    else if (kind === "stock")
      commands.push({ at, name: `s${n}`, do: "stock", sku, onHand: random.between(0, 12) });
    else {
      commands.push({ at, name: `d${n}`, do: "delist", sku });
      if (random.chance(0.6))
        commands.push({ at: at + random.between(0, 1_000), name: `l${n}`, do: "relist", sku, amount });
    }
  }
  return { commands: commands.sort((a, b) => a.at - b.at), skus };
}

function faults(random: Random, long: number): Fault[] {
  const found: Fault[] = [];
  const powerCuts = random.chance(0.25);
  for (let n = random.pick([0, 1, 2, 4, 8]); n > 0; n--) {
    const at = random.between(0, long);
    const app = random.pick(apps);
    const down = random.pick([5, 200, 1_500]);
    switch (
      random.pick(["crash", "crash", "crash", "crash", "freeze", "restart", "outage", "disk-errors"] as const)
    ) {
      case "crash": {
        const power = powerCuts && random.chance(0.5) ? "cut" : "on";
        found.push({ at, do: "crash", app, steps: random.between(0, 60), down, power });
        break;
      }
      case "freeze":
        found.push({ at, do: "freeze", app, ms: random.pick([100, 2_000, 12_000]) });
        break;
      case "restart":
        found.push({ at, do: "restart", app, down });
        break;
      case "outage":
        found.push({ at, do: "outage", ms: random.pick([300, 3_000, 8_000]) });
        break;
      case "disk-errors":
        found.push({
          at,
          do: "disk-errors",
          app,
          ms: random.pick([50, 1_000]),
          share: random.pick([0.2, 1]),
        });
        break;
    }
  }
  return found.sort((a, b) => a.at - b.at);
}
