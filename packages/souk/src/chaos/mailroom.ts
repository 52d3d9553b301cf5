/** Colleagues who send what was ordered, whole or in parts, hear that it has arrived, and take back what comes back. */
import { setTimeout as pause } from "node:timers/promises";
import { each } from "../each.ts";
import type { Client } from "./client.ts";
import { type Random, random } from "./random.ts";

interface Parcel {
  id: string;
  orderId: string;
  status: string;
  lines: { sku: string; quantity: number }[];
}

/** What a customer wants to send back, and nobody has received yet. */
export interface ComingBack {
  orderId: string;
  returnId: string;
  lines: { sku: string; quantity: number }[];
}

/** So many of a list are looked at, the newest first: what has waited for longer waits for another day. */
const mostPages = 3;
const atOnce = 4;
const looksEveryMs = 400;
/** A shipment that was not handed over is tried again, so often and not sooner than that. */
const tries = 3;
const againAfterMs = 4_000;

export class Mailroom {
  readonly #client: Client;
  readonly #chance: Random;
  /** What was done about a shipment: how often, and when last; nothing more is done about some. */
  readonly #sent = new Map<string, { times: number; at: number }>();
  readonly #arrived = new Set<string>();
  readonly #waiting = new Map<string, () => void>();
  readonly #back: ComingBack[] = [];

  constructor(seed: string, client: Client) {
    this.#client = client;
    this.#chance = random(seed, "mailroom");
  }

  /** Works until `until` is aborted; some is left for another day: it waits for a person. */
  async work(until: AbortSignal): Promise<void> {
    while (!until.aborted) {
      const [pending, sent] = await Promise.all([this.#list("pending"), this.#list("dispatched")]);
      for (const { orderId } of sent) this.#tell(orderId);
      const work = [
        ...pending.map((parcel) => () => this.#send(parcel)),
        ...sent.map((parcel) => () => this.#deliver(parcel)),
        ...this.#back.splice(0).map((back) => () => this.#receive(back)),
      ];
      await each(work, atOnce, (one) => one());
      await pause(looksEveryMs, undefined, { signal: until }).catch(() => undefined);
    }
  }

  /** Resolves when something of the order has been sent. */
  sent(orderId: string): Promise<void> {
    return new Promise((resolve) => this.#waiting.set(orderId, resolve));
  }

  comesBack(back: ComingBack): void {
    this.#back.push(back);
  }

  #tell(orderId: string): void {
    this.#waiting.get(orderId)?.();
    this.#waiting.delete(orderId);
  }

  async #list(status: string): Promise<Parcel[]> {
    const found: Parcel[] = [];
    let cursor: string | null = null;
    for (let page = 0; page < mostPages; page++) {
      const more: string = cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`;
      const { body } = await this.#client.ask<{ items: Parcel[]; nextCursor: string | null }>({
        path: `/api/shipments?status=${status}&limit=100${more}`,
      });
      found.push(...(body?.items ?? []));
      cursor = body?.nextCursor ?? null;
      if (cursor === null) break;
    }
    return found;
  }

  async #send({ id, lines }: Parcel): Promise<void> {
    const { times = 0, at = 0 } = this.#sent.get(id) ?? {};
    if (times >= tries || Date.now() < at + againAfterMs) return;
    const how = times > 0 ? "whole" : this.#chance.pick({ whole: 62, part: 26, later: 12 });
    this.#sent.set(id, { times: how === "later" ? tries : times + 1, at: Date.now() });
    if (how === "later") return;
    const some = lines.slice(0, this.#chance.int(1, lines.length));
    const part = some.map(({ sku, quantity }) => ({ sku, quantity: this.#chance.int(1, quantity) }));
    await this.#client.ask({
      method: "POST",
      path: `/api/shipments/${id}/dispatch`,
      body: { ...(how === "part" ? { lines: part } : {}), carrier: "post", tracking: `T-${id}` },
      key: `${id}-dispatch-${times + 1}`,
    });
  }

  async #deliver({ id }: Parcel): Promise<void> {
    if (this.#arrived.has(id)) return;
    this.#arrived.add(id);
    const request = { method: "POST" as const, path: `/api/shipments/${id}/deliver`, key: `${id}-deliver` };
    const copies = this.#chance.pick({ "1": 75, "2": 10, "0": 15 });
    await Promise.all(Array.from({ length: Number(copies) }, () => this.#client.ask(request)));
  }

  async #receive({ lines, orderId, returnId }: ComingBack): Promise<void> {
    const how = this.#chance.pick({ all: 45, some: 15, bad: 20, never: 20 });
    if (how === "never") return;
    const condition = how === "bad" ? "write-off" : "restock";
    const come = (how === "some" ? lines.slice(0, 1) : lines).map((line) => ({ ...line, condition }));
    await this.#client.ask({
      method: "POST",
      path: `/api/orders/${orderId}/returns/${returnId}/receive`,
      body: how === "all" ? {} : { lines: come },
      key: `${returnId}-receive`,
    });
  }
}
