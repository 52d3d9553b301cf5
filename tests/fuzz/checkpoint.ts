import type { Failure } from "./campaign.ts";
import { eventsOf } from "./contract.ts";
import type { Fixture } from "./fixtures.ts";
import { misfit } from "./validate.ts";

const staff = ["orders:manage", "orders:read", "inventory:write", "payments:manage", "ops"];

/** The topics that a service subscribes to, as it tells its sidecar. */
export async function topicsOf({ app }: Fixture): Promise<string[]> {
  const response = await app.request("/dapr/subscribe");
  return ((await response.json()) as { topic: string }[]).map(({ topic }) => topic);
}

/** What must hold between cases: a plain request works, events fit their schemas, the state is sound. */
export function checkpoint(target: Fixture): () => Promise<Failure | undefined> {
  let seen = 0;
  const types = new Map(eventsOf(target.service).map(({ type, schema }) => [type, schema]));
  return async () => {
    const say = (rule: string, detail: string): Failure => ({
      where: target.service,
      rule,
      detail,
      commands: [],
      seed: 0,
      path: "",
    });
    const pulse = await target.send({
      method: "GET",
      path: target.pulse,
      headers: [],
      as: staff,
      chunked: false,
    });
    if (pulse.status !== 200)
      return say("does not work any more", `${target.pulse}: ${pulse.status} ${pulse.text.slice(0, 300)}`);
    const published = await target.app.published();
    for (const event of published.slice(seen)) {
      const schema =
        event.source === target.service && !("deadletterreason" in event) ? types.get(event.type) : undefined;
      const wrong = schema && misfit(schema, event.data);
      if (wrong)
        return say(
          `publishes ${event.type} against its schema`,
          `${wrong}: ${JSON.stringify(event.data).slice(0, 500)}`,
        );
    }
    seen = published.length;
    const wrong = await invariants[target.service]?.(target);
    return wrong === undefined ? undefined : say("its state is not sound", wrong);
  };
}

const readBefore = new WeakMap<Fixture, Set<string>>();

const invariants: Record<string, (target: Fixture) => Promise<string | undefined>> = {
  async inventory(target) {
    for await (const { sku, onHand, reserved, available } of all<
      Record<"onHand" | "reserved" | "available", number> & { sku: string }
    >(target, "/stock")) {
      if (!(reserved >= 0 && onHand >= reserved && available === onHand - reserved))
        return `${sku}: ${onHand} on hand, ${reserved} reserved, ${available} available`;
    }
    return undefined;
  },
  async payments(target) {
    const { text } = await target.send({
      method: "GET",
      path: "/payments/ledger",
      headers: [],
      as: staff,
      chunked: false,
    });
    return text.includes('"balanced":true') ? undefined : text;
  },
  async orders(target) {
    interface Money {
      amount: number;
    }
    interface Seen {
      id: string;
      total: Money;
      lines: { total: Money }[];
      subtotal?: Money;
      discount?: Money;
      tax?: Money;
      shipping?: Money;
    }
    for await (const { id, total, lines, subtotal = total, ...parts } of all<Seen>(target, "/orders")) {
      const sum = lines.reduce((sum, line) => sum + line.total.amount, 0);
      if (sum !== subtotal.amount) return `the order ${id} says ${subtotal.amount}, its lines ${sum}`;
      // Of the tax only what is not in the prices is added, which nobody is told.
      const least = subtotal.amount - (parts.discount?.amount ?? 0);
      const most = least + (parts.tax?.amount ?? 0) + (parts.shipping?.amount ?? 0);
      if (total.amount < least || total.amount > most)
        return `the order ${id} comes to ${total.amount}, its parts to ${least} up to ${most}`;
    }
    return undefined;
  },
  async catalog(target) {
    const skus = new Set<string>();
    const read = readBefore.get(target) ?? new Set<string>();
    readBefore.set(target, read);
    for await (const { sku } of all<{ sku: string }>(target, "/products")) {
      if (skus.has(sku)) return `${sku} is listed twice`;
      skus.add(sku);
      // What was there last time has been read then.
      if (read.has(sku)) continue;
      read.add(sku);
      const { status } = await target.send({
        method: "GET",
        path: `/products/${encodeURIComponent(sku)}`,
        headers: [],
        as: "guest",
        chunked: false,
      });
      if (status !== 200) return `${sku} is listed, but reading it says ${status}`;
    }
    return undefined;
  },
};

async function* all<T>(target: Fixture, path: string): AsyncGenerator<T> {
  for (let cursor: string | null = ""; cursor !== null; ) {
    const from: string = cursor === "" ? "" : `&cursor=${encodeURIComponent(cursor)}`;
    const { status, text } = await target.send({
      method: "GET",
      path: `${path}?limit=100${from}`,
      headers: [],
      as: staff,
      chunked: false,
    });
    if (status !== 200) throw new Error(`${path} answered ${status}: ${text.slice(0, 300)}`);
    const page = JSON.parse(text) as { items: T[]; nextCursor: string | null };
    yield* page.items;
    cursor = page.nextCursor;
  }
}
