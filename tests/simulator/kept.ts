/** What an order is worth in parts: reckoned here by itself, not by the code that is tried. */

/** What the simulator reads of an order's state. */
export interface OrderState {
  id: string;
  status:
    | "placed"
    | "reserved"
    | "confirmed"
    | "shipped"
    | "delivered"
    | "returned"
    | "aborting"
    | "rejected"
    | "cancelled";
  lines: LineState[];
  total: { amount: number };
  /** What sending it is charged with. */
  shipping?: { amount: number };
  price?: { discount: number; promotions: { id: string; amount: number }[] };
  shipments?: { id: string; status: string; units: { line: number; quantity: number }[] }[];
  returns?: { id: string; status: string; units: { line: number; quantity: number }[] }[];
}

export interface LineState {
  sku: string;
  quantity: number;
  unitPrice: { amount: number };
  kind: "physical" | "service";
  /** What all of it is worth, where that is not its quantity times its price. */
  total?: number;
  /** What promotions have taken off. */
  discount?: number;
  shipped?: number;
  leaving?: number;
  cancelled?: number;
  returned?: number;
}

const paid = new Set<OrderState["status"]>(["confirmed", "shipped", "delivered", "returned"]);

/** Whether it was paid for, and has not been undone. */
export const isLive = ({ status }: OrderState): boolean => paid.has(status);

/** Units that have left: those of a service with the payment. */
export const left = (line: LineState): number =>
  line.kind === "service" ? line.quantity : (line.shipped ?? 0);

/** Units that will leave or have left. */
export const wanted = (line: LineState): number => line.quantity - (line.cancelled ?? 0);

/** Units that are reserved in inventory. */
export const waiting = (line: LineState): number => (line.kind === "service" ? 0 : wanted(line) - left(line));

/** What the units that `count` says are worth, with the charge for sending when a physical one is among them. */
export function worth(order: OrderState, count: (line: LineState) => number): number {
  const sent = order.lines.some((line) => line.kind === "physical" && count(line) > 0);
  return order.lines.reduce(
    (sum, line) => sum + share(line, count(line)),
    sent ? (order.shipping?.amount ?? 0) : 0,
  );
}

/** What came back is worth: the first units of each line. */
export const worthOfReturned = ({ lines }: OrderState): number =>
  lines.reduce((sum, line) => sum + share(line, line.returned ?? 0), 0);

/** The first units of a line: half to even, so that all shares sum to the whole. */
function share({ total, quantity, unitPrice }: LineState, units: number): number {
  const twice = 2n * BigInt(total ?? quantity * unitPrice.amount) * BigInt(units);
  const n = BigInt(quantity);
  const whole = twice / (2n * n);
  const rest = twice % (2n * n);
  return Number(rest > n || (rest === n && whole % 2n === 1n) ? whole + 1n : whole);
}

/** Of each product, in the order of the SKUs; none that there is nothing of. */
export function bySku(lines: LineState[], count: (line: LineState, index: number) => number): string {
  const sums = new Map<string, number>();
  lines.forEach((line, index) => {
    if (line.kind === "physical" && count(line, index) > 0)
      sums.set(line.sku, (sums.get(line.sku) ?? 0) + count(line, index));
  });
  return written([...sums].map(([sku, quantity]) => ({ sku, quantity })));
}

export const written = (pieces: { sku: string; quantity: number }[]): string =>
  pieces
    .map(({ sku, quantity }) => `${quantity} ${sku}`)
    .sort()
    .join(", ");
