import type { Ask, Asking } from "./asking.ts";
import type { Command, Line } from "./plan.ts";
import type { World } from "./world.ts";

/** What is done about an order once it is paid: by the shop's staff, and by its customer. */
export type AfterSale = Extract<Command, { do: "dispatch" | "deliver" | "return" | "receive" }>;

interface Shipment {
  id: string;
  status: string;
  lines: { sku: string; quantity: number }[];
}

interface OrderRead {
  returns?: { id: string; status: string; lines: { sku: string; quantity: number }[] }[];
}

/** How often they look whether it can be done by now, and how long they wait in between. */
const tries = 4;
const wait = 1_200;

/** Looks at an order, does what can be done about it, and looks again later when that is nothing yet. */
export class Staff {
  readonly #world: World;
  readonly #asking: Asking;

  constructor(world: World, asking: Asking) {
    this.#world = world;
    this.#asking = asking;
  }

  do(command: AfterSale, order: string, done: () => unknown): void {
    this.#once(command, order, tries, done);
  }

  #once(command: AfterSale, order: string, left: number, done: () => unknown): unknown {
    const ended = (did: boolean) => {
      if (did || left <= 1) return done();
      return this.#world.clock.after(wait, undefined, () => this.#once(command, order, left - 1, done));
    };
    switch (command.do) {
      case "dispatch":
        return this.#dispatch(command, order, ended);
      case "deliver":
        return this.#deliver(command, order, ended);
      case "return":
        return this.#return(command, order, ended);
      case "receive":
        return this.#receive(command, order, ended);
      default:
        return command satisfies never;
    }
  }

  #dispatch({ name, most }: AfterSale & { do: "dispatch" }, order: string, ended: (did: boolean) => unknown) {
    this.#shipments(name, order, (shipments) => {
      const pending = shipments.find(({ status }) => status === "pending");
      if (!pending) return ended(false);
      const lines = most === undefined ? {} : { lines: atMost(pending.lines, most) };
      return this.#post(
        `${name}.${pending.id}`,
        "shipping",
        `/shipments/${pending.id}/dispatch`,
        lines,
        ended,
      );
    });
  }

  #deliver({ name }: AfterSale, order: string, ended: (did: boolean) => unknown) {
    this.#shipments(name, order, (shipments) => {
      const [first, ...rest] = shipments.filter(({ status }) => status === "dispatched");
      if (!first) return ended(false);
      for (const { id } of rest)
        this.#post(`${name}.${id}`, "shipping", `/shipments/${id}/deliver`, {}, () => undefined);
      return this.#post(`${name}.${first.id}`, "shipping", `/shipments/${first.id}/deliver`, {}, ended);
    });
  }

  #return(
    { name, lines, by, writeOff }: AfterSale & { do: "return" },
    order: string,
    ended: (did: boolean) => unknown,
  ) {
    const body = {
      lines: lines.map(pieces),
      reason: name,
      ...(writeOff && by === "staff" ? { writeOff } : {}),
    };
    this.#post(name, "orders", `/orders/${order}/returns`, body, ended, by);
  }

  #receive(
    { name, most, writeOff }: AfterSale & { do: "receive" },
    order: string,
    ended: (did: boolean) => unknown,
  ) {
    this.#asking.ask({ name, app: "orders", method: "GET", path: `/orders/${order}` }, ({ status, body }) => {
      const { returns = [] } = status === 200 ? (JSON.parse(body) as OrderRead) : {};
      const asked = returns.find((one) => one.status === "requested");
      if (!asked) return ended(false);
      const condition = writeOff ? "write-off" : "restock";
      const lines = atMost(asked.lines, most ?? Number.MAX_SAFE_INTEGER).map((line) => ({
        ...line,
        condition,
      }));
      const path = `/orders/${order}/returns/${asked.id}/receive`;
      return this.#post(
        `${name}.${asked.id}`,
        "orders",
        path,
        most === undefined && !writeOff ? {} : { lines },
        ended,
      );
    });
  }

  #shipments(name: string, order: string, then: (shipments: Shipment[]) => unknown): void {
    const path = `/shipments?order=${encodeURIComponent(order)}`;
    this.#asking.ask({ name, app: "shipping", method: "GET", path }, ({ status, body }) =>
      then(status === 200 ? (JSON.parse(body) as { items: Shipment[] }).items : []),
    );
  }

  #post(
    name: string,
    app: Ask["app"],
    path: string,
    body: object,
    ended: (did: boolean) => unknown,
    by?: Ask["by"],
  ): void {
    const ask: Ask = {
      name,
      app,
      method: "POST",
      path,
      body: JSON.stringify(body),
      key: name,
      ...(by ? { by } : {}),
    };
    this.#asking.ask(ask, ({ status }) => ended(status === 202));
  }
}

const atMost = (lines: { sku: string; quantity: number }[], most: number) =>
  lines.map(({ sku, quantity }) => ({ sku, quantity: Math.min(quantity, most) }));

const pieces = ({ sku, quantity }: Line) => ({ sku, quantity });
