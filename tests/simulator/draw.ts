import { type App, apps, type Command, type Fault, type Line, type Plan, type Product } from "./plan.ts";
import { Random } from "./random.ts";

const tokens = ["tok_ok", "tok_ok", "tok_ok", "tok_declined", "tok_timeout", "tok_flaky", "tok_slow"];
const aWeek = 7 * 24 * 60 * 60_000;

/** Everything that happens to one shop, drawn from a seed. */
export function planOf(seed: number): Plan {
  const random = new Random(seed);
  const long = random.pick([3_000, 6_000, 12_000]);
  const { commands, skus } = trade(random.fork("trade"), long);
  const after = random.fork("after");
  const expires = after.chance(0.3);
  const seldom = expires ? 5_000 : after.pick([3_000, 8_000]);
  const sold =
    skus.length > 0 ? commands.map((command) => (expires ? expiring(after, command) : command)) : [];
  const pricing = priced(random.fork("pricing"), sold, long);
  const network = random.fork("network");
  const often = () => network.pick([0, 0, 0.02, 0.1, 0.3]);
  return {
    seed,
    deadline: random.pick([1_000, 4_000, 20_000, 900_000]),
    providerTimeout: random.pick([800, 3_000, 10_000]),
    authorisationLifetime: expires ? after.pick([900, 3_000]) : aWeek,
    ticks: { renew: expires ? after.pick([400, 1_500]) : seldom, reconcile: seldom },
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
    commands: [...pricing, ...sold.flatMap((command) => afterSale(after, command, long))].sort(
      (a, b) => a.at - b.at,
    ),
    faults: faults(random.fork("faults"), long),
    quietAt: long + 1_000,
  };
}

/** Products of which there are few, and orders, cancels, refunds and changes of prices in between. */
function trade(random: Random, long: number): { commands: Command[]; skus: string[] } {
  const skus = ["A", "B", "C", "D"].slice(0, random.between(1, 4));
  // On some days most of what is asked for is sold, and what comes after the sale is what matters.
  const sells = random.chance(0.5);
  const products = skus.map((sku): Product => {
    const amount = random.between(1, 40) * 25;
    return random.chance(0.15)
      ? { sku, amount, kind: "service" }
      : { sku, amount, kind: "physical", onHand: random.between(sells ? 12 : 0, sells ? 40 : 8) };
  });
  const commands: Command[] = [{ at: 0, name: "i1", do: "import", products }];
  const first = random.pick([20, 300, 1_500]);
  const when = () => random.between(first, long);
  const burst = random.chance(0.3) ? when() : undefined;
  const orders = random.between(2, 6);
  for (let n = 1; n <= orders; n++) {
    const name = `o${n}`;
    const at = burst === undefined ? when() : Math.min(long, burst + random.between(0, 20));
    const lines = Array.from({ length: random.pick([1, 1, 2, 3]) }, (): Line => {
      const line = { sku: random.pick(skus), quantity: random.between(1, 4) };
      return random.chance(0.1) ? { ...line, unitPrice: random.pick([0, 1, 999]) } : line;
    });
    const token = sells && random.chance(0.8) ? "tok_ok" : random.pick(tokens);
    commands.push({ at, name, do: "order", lines, token, twice: random.chance(0.1) });
    if (random.chance(sells ? 0.1 : 0.35))
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

/** Some cards cannot be asked again when their authorisation has run out. */
const expiring = (random: Random, command: Command): Command =>
  command.do === "order" && random.chance(0.4) ? { ...command, token: "tok_expires" } : command;

/** On some days there are promotions that few may have, taxes, and charges for sending; orders ask for them, or too soon. */
function priced(random: Random, sold: Command[], long: number): Command[] {
  if (!random.chance(0.2)) return sold;
  const found: Command[] = [];
  const set = (app: App, method: "POST" | "PUT", path: string, body: object) => {
    const at = random.chance(0.7) ? 0 : random.between(0, long);
    found.push({ at, name: `k${found.length + 1}`, do: "set", app, method, path, body });
  };
  const gbp = (amount: number) => ({ amount, currency: "GBP" });
  const codes = ["FEW", "RARE"].slice(0, random.between(0, 2));
  for (const code of random.chance(0.3) ? [...codes, undefined] : codes) {
    const gift = random.chance(0.5)
      ? { kind: "percentage", basisPoints: random.pick([500, 3_333, 10_000]) }
      : { kind: "amount", amount: gbp(random.pick([1, 150, 2_500])) };
    set("orders", "POST", "/promotions", { name: "Few", code, limit: random.pick([1, 1, 2, 3]), ...gift });
  }
  for (const of of ["standard", "shipping"])
    if (random.chance(0.5)) {
      const rate = { basisPoints: random.pick([500, 1_900, 2_000]), included: random.chance(0.5) };
      set("orders", "PUT", `/tax-rates/GB/${of}`, rate);
    }
  const rates = random.pick([0, 1, 2, 4]);
  for (let n = rates; n > 0; n--) {
    const prices = [{ upToGrams: null, price: gbp(random.between(0, 20) * 25) }];
    set("shipping", "PUT", "/shipping/rates/GB/standard", { name: "Standard", prices });
  }
  const asking = sold.map((command): Command => {
    if (command.do !== "order") return command;
    const asked = codes.filter(() => random.chance(0.5));
    return {
      ...command,
      ...(asked.length > 0 ? { codes: asked } : {}),
      ...(rates > 0 && random.chance(0.5) ? { shippingMethod: "standard" } : {}),
    };
  });
  return [...found, ...asking];
}

/** What staff and the customer do about an order later: parts are cancelled, handed over, delivered, brought back. */
function afterSale(random: Random, sold: Command, long: number): Command[] {
  if (sold.do !== "order" || random.chance(0.4)) return [];
  const { name: order, lines, at } = sold;
  const commands: Command[] = [];
  const later = (from: number) => Math.min(long, from + random.pick([0, 50, 400, 2_000, 5_000]));
  const name = (letter: string) => `${letter}${order.slice(1)}.${commands.length + 1}`;
  const some = (): Line[] => {
    const { sku, quantity } = random.pick(lines);
    return [{ sku, quantity: random.between(1, quantity) }];
  };
  if (random.chance(0.2))
    commands.push({ at: later(at), name: name("x"), do: "cancel", order, lines: some() });
  let when = later(at);
  for (let parts = random.pick([1, 1, 2, 3]); parts > 0; parts--, when = later(when)) {
    const most = parts > 1 ? { most: random.between(1, 2) } : {};
    commands.push({ at: when, name: name("h"), do: "dispatch", order, ...most });
    if (random.chance(0.7)) commands.push({ at: later(when), name: name("v"), do: "deliver", order });
  }
  for (let back = 1; back <= 2 && random.chance(0.45); back++) {
    const [asked, writeOff] = [later(when), random.chance(0.3)];
    const by = random.chance(0.6) ? "staff" : "customer";
    const what = random.chance(0.4) ? lines : some();
    commands.push({ at: asked, name: name("b"), do: "return", order, lines: what, by, writeOff });
    if (by === "customer" && random.chance(0.8)) {
      const most = random.chance(0.3) ? { most: 1 } : {};
      commands.push({ at: later(asked), name: name("g"), do: "receive", order, writeOff, ...most });
    }
  }
  return commands;
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
