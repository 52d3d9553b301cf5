import { setTimeout as pause } from "node:timers/promises";
import type { Api } from "./api-client.ts";

/** How far an order is. */
export interface OrderStatus {
  id: string;
  status: string;
}

/** What is read of an order. */
export interface OrderSeen extends OrderStatus {
  reason?: string;
  total: { amount: number; currency: string };
}

const settled = new Set(["confirmed", "shipped", "delivered", "returned", "rejected", "cancelled"]);
/** As many as the shop tells in one answer. */
const mostAtOnce = 100;

/**
 * Milliseconds until the next look at what so many wait for. Many share a look; looking more often would load the shop
 * more than their orders do.
 */
export const untilNextLook = (waiting: number, everyMs: number): number =>
  Math.max(everyMs, Math.min(40, waiting));

/** Waits for many orders at once, by asking the shop how far they all are. */
export class OrdersWatch {
  readonly #waiting = new Map<string, (order: OrderStatus) => void>();
  #running = false;
  #failure: unknown;

  constructor(
    private readonly api: Api,
    private readonly everyMs = 10,
  ) {}

  /** Resolves when the order is confirmed (it may be shipped by then), rejected or cancelled. */
  settled(id: string): Promise<OrderStatus> {
    const done = new Promise<OrderStatus>((resolve) => this.#waiting.set(id, resolve));
    if (!this.#running) void this.#run();
    return done;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Why the last look failed, if it did. */
  get failure(): unknown {
    return this.#failure;
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (this.#waiting.size > 0) {
      await pause(untilNextLook(this.#waiting.size, this.everyMs));
      try {
        await this.#look();
        this.#failure = undefined;
      } catch (error) {
        // A shop that is being restarted answers again soon; whoever waits decides for how long.
        this.#failure = error;
        await pause(200);
      }
    }
    this.#running = false;
  }

  async #look(): Promise<void> {
    const ids = [...this.#waiting.keys()];
    for (let at = 0; at < ids.length; at += mostAtOnce) {
      const some = ids.slice(at, at + mostAtOnce).join(",");
      const { body } = await this.api.call<{ items: OrderStatus[] }>(`/api/order-statuses?ids=${some}`);
      for (const order of body.items) this.#tell(order);
    }
  }

  #tell(order: OrderStatus): void {
    const resolve = this.#waiting.get(order.id);
    if (!resolve || !settled.has(order.status)) return;
    this.#waiting.delete(order.id);
    resolve(order);
  }
}
