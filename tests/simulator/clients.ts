import { type Ask, Asking } from "./asking.ts";
import type { Answer } from "./call.ts";
import type { App, Command, Product } from "./plan.ts";
import type { Process } from "./process.ts";
import { Staff } from "./staff.ts";
import type { World } from "./world.ts";

/** An order as its client knows it. */
export interface Accepted {
  id: string;
  token: string;
  total: number;
}

const currency = "GBP";

/**
 * The shop's clients: each does its command, and asks again with the same Idempotency-Key until it has an answer, as
 * clients should. What they were told is what the shop must keep.
 */
export class Clients {
  /** Orders that were answered 202, by command. */
  readonly accepted = new Map<string, Accepted>();
  /** Refunds that were answered 202, by order id. */
  readonly refunds = new Map<string, number>();
  /** Commands under way, by name. */
  readonly busy = new Set<string>();
  readonly #refused = new Set<string>();
  readonly #world: World;
  readonly #asking: Asking;
  readonly #staff: Staff;

  constructor(world: World, processes: ReadonlyMap<App, Process>) {
    this.#world = world;
    this.#asking = new Asking(world, processes);
    this.#staff = new Staff(world, this.#asking);
    for (const command of world.plan.commands) {
      this.busy.add(command.name);
      world.clock.after(command.at, undefined, () => this.#begin(command));
    }
  }

  #begin(command: Command): void {
    switch (command.do) {
      case "import":
        this.#import(command);
        return;
      case "order":
        this.#order(command, 1);
        if (command.twice) this.#order(command, 1);
        return;
      case "cancel":
        this.#whenAccepted(command, command.order, ({ id }) => this.#cancel(command, id));
        return;
      case "dispatch":
      case "deliver":
      case "return":
      case "receive":
        this.#whenAccepted(command, command.order, ({ id }) =>
          this.#staff.do(command, id, () => this.busy.delete(command.name)),
        );
        return;
      case "refund":
        this.#whenAccepted(command, command.order, (order) => this.#refund(command, order));
        return;
      case "set":
        this.#set(command);
        return;
      case "price":
        this.#edit(command.name, "catalog", `/products/${command.sku}`, 5, (ifMatch) => ({
          method: "PATCH",
          type: "application/merge-patch+json",
          body: JSON.stringify({ price: { amount: command.amount, currency } }),
          ifMatch,
        }));
        return;
      case "stock":
        this.#edit(command.name, "inventory", `/stock/${command.sku}`, 5, (ifMatch) => ({
          method: "PUT",
          body: JSON.stringify({ onHand: command.onHand }),
          ifMatch,
        }));
        return;
      case "delist":
        this.#edit(command.name, "catalog", `/products/${command.sku}`, 5, (ifMatch) => ({
          method: "DELETE",
          ifMatch,
        }));
        return;
      case "relist": {
        const product = described({ sku: command.sku, amount: command.amount, kind: "physical" });
        this.#change(command.name, {
          app: "catalog",
          method: "POST",
          path: "/products",
          body: JSON.stringify(product),
        });
        return;
      }
      default:
        command satisfies never;
    }
  }

  #import({ name, products }: Command & { do: "import" }): void {
    const body = products.map((product) => JSON.stringify(described(product))).join("\n");
    this.#change(name, {
      app: "catalog",
      method: "POST",
      path: "/products/import",
      type: "application/x-ndjson",
      body,
    });
  }

  /** What is there already is changed as it is. */
  #set({ name, app, method, path, ...command }: Command & { do: "set" }): void {
    const body = JSON.stringify(command.body);
    this.#asking.ask(
      { name, app, method, path, body, ...(method === "POST" ? { key: name } : {}) },
      ({ status }) => {
        if (status === 428) this.#edit(name, app, path, 5, (ifMatch) => ({ body, ifMatch }));
        else this.busy.delete(name);
      },
    );
  }

  #order(command: Command & { do: "order" }, attempt: number): void {
    const body = JSON.stringify({
      lines: command.lines.map(({ sku, quantity, unitPrice }) =>
        unitPrice === undefined
          ? { sku, quantity }
          : { sku, quantity, unitPrice: { amount: unitPrice, currency } },
      ),
      customer: { email: "ada@example.com", name: "Ada" },
      shippingAddress: { name: "Ada", line1: "1 Main Street", city: "London", country: "GB" },
      payment: { method: "test", token: command.token },
      reference: command.name,
      codes: command.codes,
      shippingMethod: command.shippingMethod,
    });
    const { name } = command;
    const ask: Ask = { name, app: "orders", method: "POST", path: "/orders", body, key: name };
    this.#asking.ask(ask, (answer) => {
      if (answer.status === 202) return this.#placed(command, answer);
      // The product, or what it is priced by, may not have come to orders yet. A refusal is not kept with the key.
      if (answer.status === 422 && attempt < 5) {
        this.#world.clock.after(500, undefined, () => this.#order(command, attempt + 1));
        return;
      }
      this.#refused.add(command.name);
      this.busy.delete(command.name);
    });
  }

  #placed({ name, token }: Command & { do: "order" }, answer: Answer): void {
    const { id, total } = JSON.parse(answer.body) as { id: string; total: { amount: number } };
    const before = this.accepted.get(name);
    if (before && before.id !== id)
      this.#world.violate(`one Idempotency-Key, two orders: ${before.id} and ${id}`);
    this.accepted.set(name, { id, token, total: total.amount });
    this.busy.delete(name);
  }

  #cancel({ name, lines }: Command & { do: "cancel" }, id: string): void {
    const body = lines && JSON.stringify({ lines: lines.map(({ sku, quantity }) => ({ sku, quantity })) });
    this.#change(name, {
      app: "orders",
      method: "POST",
      path: `/orders/${id}/cancel`,
      ...(body ? { body } : {}),
    });
  }

  #refund({ name, amount }: Command & { do: "refund" }, { id }: Accepted): void {
    const body = JSON.stringify(amount === undefined ? {} : { amount: { amount, currency } });
    this.#asking.ask(
      { name, app: "payments", method: "POST", path: `/payments/${id}/refunds`, body, key: name },
      (answer) => {
        if (answer.status === 202) this.refunds.set(id, (this.refunds.get(id) ?? 0) + 1);
        this.busy.delete(name);
      },
    );
  }

  #change(name: string, ask: Omit<Ask, "name" | "key">): void {
    this.#asking.ask({ name, key: name, ...ask }, () => this.busy.delete(name));
  }

  /** Reads a resource and changes it if it is still the same; else once more. */
  #edit(
    name: string,
    app: App,
    path: string,
    tries: number,
    how: (etag: string | null) => Partial<Ask>,
  ): void {
    this.#asking.ask({ name, app, method: "GET", path }, (answer) => {
      const again = () => {
        if (tries <= 1) return this.busy.delete(name);
        return this.#world.clock.after(400, undefined, () => this.#edit(name, app, path, tries - 1, how));
      };
      if (answer.status !== 200) return again();
      this.#asking.ask(
        { name, app, path, method: "PUT", ...how(answer.headers.get("etag")) },
        ({ status }) => (status === 412 ? again() : this.busy.delete(name)),
      );
    });
  }

  #whenAccepted({ name }: Command, order: string, then: (order: Accepted) => void): void {
    const accepted = this.accepted.get(order);
    if (accepted) {
      then(accepted);
      return;
    }
    if (this.#refused.has(order) || !this.busy.has(order)) {
      this.busy.delete(name);
      return;
    }
    this.#world.clock.after(100, undefined, () => this.#whenAccepted({ name } as Command, order, then));
  }
}

const described = ({ sku, amount, kind, onHand }: Product) => ({
  sku,
  name: `Product ${sku}`,
  price: { amount, currency },
  kind,
  ...(onHand === undefined ? {} : { onHand }),
});
