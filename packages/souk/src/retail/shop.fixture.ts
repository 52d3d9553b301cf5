import { type Answer, type Api, type CallOptions, Refused } from "../api-client.ts";
import type { PlannedLine, PlannedProduct } from "./plan.ts";

interface Order {
  id: string;
  reference: string;
  status: string;
  total: { amount: number; currency: string };
  lines: (PlannedLine & { shipped: number; cancelled: number; returned: number })[];
  shipments: { id: string; status: string }[];
  returns: { id: string; reason: string; status: string }[];
  history: { at: string }[];
  captured: number;
  refunded: number;
}

/**
 * A shop in memory, of which a replay sees no difference. It takes money when goods leave, and honours Idempotency-Keys.
 * @param trouble is asked before and after each call, and may throw in the place of an answer
 */
export function shopOf(
  products: PlannedProduct[],
  trouble: (when: "before" | "after") => void = () => undefined,
): Api {
  const services = new Set(products.flatMap(({ sku, kind }) => (kind === "service" ? [sku] : [])));
  const stock = new Map(
    products.flatMap(({ sku, onHand }) =>
      onHand === undefined ? [] : [[sku, { sku, onHand, reserved: 0 }]],
    ),
  );
  const orders: Order[] = [];
  const answers = new Map<string, unknown>();
  const level = (sku: string) => stock.get(sku) ?? { sku, onHand: 0, reserved: 0 };
  const found = <T>(one: T | undefined): T => {
    if (one === undefined) throw new Refused(404, "not-found", "there is none", undefined);
    return one;
  };
  const orderOf = (id: string) => found(orders.find((one) => one.id === id));

  function place({ reference, lines }: { reference: string; lines: PlannedLine[] }): Order {
    const service = lines.filter(({ sku }) => services.has(sku));
    const goods = lines.length - service.length;
    for (const { sku, quantity } of lines) level(sku).reserved += quantity;
    const id = `o-${orders.length + 1}`;
    const order: Order = {
      ...{ id, reference, status: "confirmed", returns: [], captured: worth(service), refunded: 0 },
      total: { amount: worth(lines), currency: "GBP" },
      history: [{ at: String(orders.length).padStart(9, "0") }],
      lines: lines.map((line) => ({
        ...line,
        shipped: services.has(line.sku) ? line.quantity : 0,
        cancelled: 0,
        returned: 0,
      })),
      shipments: goods > 0 ? [{ id: `${id}-1`, status: "pending" }] : [],
    };
    orders.unshift(order);
    return order;
  }

  function dispatch(order: Order): void {
    for (const shipment of order.shipments) shipment.status = "dispatched";
    for (const line of order.lines.filter(({ sku }) => !services.has(sku))) {
      line.shipped = line.quantity;
      level(line.sku).onHand -= line.quantity;
      level(line.sku).reserved -= line.quantity;
    }
    order.captured = order.total.amount;
    order.status = "shipped";
  }

  function takeBack(order: Order, { lines, reason }: { lines: PlannedLine[]; reason: string }): void {
    for (const { sku, quantity, unitPrice } of lines) {
      let left = quantity;
      for (const line of order.lines) {
        if (line.sku !== sku || line.unitPrice.amount !== unitPrice.amount) continue;
        const some = Math.min(left, line.shipped - line.returned);
        line.returned += some;
        left -= some;
      }
      if (left > 0) throw new Refused(409, "not-returnable", `${left} too many`, undefined);
      level(sku).onHand += quantity;
    }
    order.refunded += worth(lines);
    order.returns.push({ id: `${order.id}-r${order.returns.length}`, reason, status: "refunded" });
    if (order.lines.every(({ shipped, returned }) => shipped === returned)) order.status = "returned";
  }

  function serve(method: string, path: string, body: unknown): unknown {
    const [, , what, id = "", act] = path.split("?")[0]?.split("/") ?? [];
    const shipped = () => found(orders.find(({ shipments }) => shipments.some((one) => one.id === id)));
    switch (`${method} ${what}${id && " id"}${act ? ` ${act}` : ""}`) {
      case "GET stock":
        return { items: [...stock.values()], nextCursor: null };
      case "GET orders":
        return { items: orders.slice(0, 100), nextCursor: null };
      case "POST orders":
        return place(body as Order);
      case "GET orders id":
        return orderOf(id);
      case "POST orders id returns":
        takeBack(orderOf(id), body as { lines: PlannedLine[]; reason: string });
        return {};
      case "GET payments id": {
        if (id === "ledger") return ledger();
        const { captured, refunded, total } = orderOf(id);
        found(total.amount > 0 ? total : undefined);
        return { captured: { amount: captured }, refunded: { amount: refunded } };
      }
      case "GET shipments id":
        return shipped().shipments.find((one) => one.id === id);
      case "POST shipments id dispatch":
        dispatch(shipped());
        return {};
      case "POST shipments id deliver":
        Object.assign(shipped(), { status: "delivered", shipments: [{ id, status: "delivered" }] });
        return {};
      default:
        throw new Error(`The shop knows nothing of ${method} ${path}`);
    }
  }

  const ledger = () => {
    const sum = (of: "captured" | "refunded") => orders.reduce((total, order) => total + order[of], 0);
    const one = {
      currency: "GBP",
      account: "sales-revenue",
      debit: sum("refunded"),
      credit: sum("captured"),
    };
    return { balanced: true, accounts: [one] };
  };

  async function call<T>(
    path: string,
    { method = "GET", body, headers = {} }: CallOptions = {},
  ): Promise<Answer<T>> {
    trouble("before");
    const key = headers["idempotency-key"];
    const again = key !== undefined && answers.has(`${path} ${key}`);
    const answer = again ? answers.get(`${path} ${key}`) : structuredClone(serve(method, path, body));
    if (key !== undefined) answers.set(`${path} ${key}`, answer);
    trouble("after");
    const said = new Headers(again ? { "idempotent-replayed": "true" } : {});
    return { status: 200, body: structuredClone(answer) as T, headers: said };
  }
  return {
    url: "http://shop",
    call,
    async *all<T>(path: string) {
      yield* (await call<{ items: T[] }>(path)).body.items;
    },
  };
}

const worth = (lines: PlannedLine[]): number =>
  lines.reduce((sum, { quantity, unitPrice }) => sum + quantity * unitPrice.amount, 0);
