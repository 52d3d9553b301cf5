import { expect, test } from "bun:test";
import { Hono } from "hono";
import { hc } from "hono/client";
import * as v from "valibot";
import { dapr, type EventType, event, on, type Received, type Stored } from "./index.ts";

/** Compiles only when the two types are the same. The compiler is the test; running it proves nothing more. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(verdict: Same<A, B>) => verdict;

/** Whether a function takes this as its `N`th argument. */
type Takes<F extends (...args: never[]) => unknown, A, N extends number = 0> = [A] extends [Parameters<F>[N]]
  ? true
  : false;
const takes = <F extends (...args: never[]) => unknown, A, N extends number = 0>(verdict: Takes<F, A, N>) =>
  verdict;

const Priced = event(
  "catalog",
  "product.priced",
  v.object({
    sku: v.string(),
    at: v.pipe(
      v.string(),
      v.transform((text) => new Date(text)),
    ),
  }),
);
type Read = { sku: string; at: Date };
type Written = { sku: string; at: string };
const sidecar = dapr({ endpoint: "http://sidecar", fetch: async () => Response.json({ ok: true }) });

test("a handler is given what the schema gives back", () => {
  on(Priced, (received) => same<typeof received, Received<Read>>(true));
  on(Priced, async ({ data }) => same<typeof data, Read>(true));
  expect(takes<typeof on<Read, Written>, (event: Received<{ price: number }>) => void, 1>(false)).toBe(false);
  expect(same<typeof Priced, EventType<Read, Written>>(true)).toBe(true);
});

test("a publisher gives what the schema takes", () => {
  const made = Priced.of({ sku: "a", at: "2026-01-01" });
  expect(same<typeof made.data, Written>(true)).toBe(true);
  expect(takes<typeof Priced.of, Written>(true)).toBe(true);
  // A Date does not survive JSON.
  expect(takes<typeof Priced.of, Read>(false)).toBe(false);
  expect(takes<typeof Priced.of, { sku: string }>(false)).toBe(false);
});

test("publish takes one or many, of the right type", async () => {
  await sidecar.publish(Priced, { sku: "a", at: "2026-01-01" });
  await sidecar.publish(Priced, [{ sku: "a", at: "2026-01-01" }]);
  expect(takes<typeof sidecar.publish<Read, Written>, { name: string }, 1>(false)).toBe(false);
  expect(takes<typeof sidecar.publish<Read, Written>, readonly Written[], 1>(true)).toBe(true);
});

test("types of events fit where any will do", () => {
  const all: EventType<unknown>[] = [event("a", "b", v.object({ c: v.number() }))];
  const read = <T>(type: EventType<T>, handle: (data: T) => void) => on(type, ({ data }) => handle(data));
  expect(read(event("a", "b", v.object({ c: v.number() })), ({ c }) => c.toFixed())).toBeDefined();
  expect(all).toHaveLength(1);
});

test("state has the type of its schema", async () => {
  const counts = sidecar.state("state", v.object({ count: v.number() }));
  same<Awaited<ReturnType<typeof counts.get>>, Stored<{ count: number }> | null>(true);
  same<Parameters<typeof counts.set>[1], { count: number }>(true);
  expect(takes<typeof counts.set, { count: string }, 1>(false)).toBe(false);
});

test("hc takes the sidecar and keeps the types of the called app", async () => {
  const inventory = new Hono().get("/stock/:sku", (c) => c.json({ available: 1 }));
  const client = hc<typeof inventory>("http://inventory", sidecar);
  const response = await client.stock[":sku"].$get({ param: { sku: "a" } });
  const stock = await response.json();
  expect(same<typeof stock, { available: number }>(true)).toBe(true);
});

test("the sidecar's fetch stands in for the global one", async () => {
  const client = (fetch: (input: Request) => Promise<Response>) => fetch(new Request("http://a/b"));
  expect((await client(sidecar.fetch)).status).toBe(200);
});
