import { setTimeout as pause } from "node:timers/promises";
import type { Api } from "./api-client.ts";

/** What is read of an order. */
export interface OrderSeen {
  id: string;
  status: string;
  reason?: string;
  total: { amount: number; currency: string };
}

const settled = new Set(["confirmed", "shipped", "delivered", "returned", "rejected", "cancelled"]);

/** Waits for many orders at once by reading the list of the newest, and single ones only when they have left it. */
export class OrdersWatch {
  readonly #waiting = new Map<string, { resolve(order: OrderSeen): void; since: number }>();
  #running = false;
  #failure: unknown;

  constructor(
    private readonly api: Api,
    private readonly everyMs = 10,
  ) {}

  /** Resolves when the order is confirmed (it may be shipped by then), rejected or cancelled. */
  settled(id: string): Promise<OrderSeen> {
    const done = new Promise<OrderSeen>((resolve) =>
      this.#waiting.set(id, { resolve, since: performance.now() }),
    );
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
      // Many who wait share a look; looking more often would load the shop more than their orders do.
      await pause(Math.max(this.everyMs, Math.min(25, this.#waiting.size)));
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
    // The newest are those that wait, give or take the few that came from elsewhere.
    const limit = Math.min(100, this.#waiting.size + 8);
    const { body } = await this.api.call<{ items: OrderSeen[] }>(`/api/orders?limit=${limit}`);
    const seen = new Set(body.items.map((order) => order.id));
    for (const order of body.items) this.#tell(order);
    const left = [...this.#waiting].filter(
      ([id, { since }]) => !seen.has(id) && performance.now() - since > 200,
    );
    for (const [id] of left.slice(0, 20)) {
      this.#tell((await this.api.call<OrderSeen>(`/api/orders/${id}`)).body);
    }
  }

  #tell(order: OrderSeen): void {
    const waiter = this.#waiting.get(order.id);
    if (!waiter || !settled.has(order.status)) return;
    this.#waiting.delete(order.id);
    waiter.resolve(order);
  }
}
