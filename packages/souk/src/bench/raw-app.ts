import { Hono } from "hono";
import { dapr, event, on, type PublishableEvent, type StandardSchemaV1 } from "hono-dapr";

// One of the bare apps that show what this machine's sidecars and broker can do: the hops and publishes of an
// order with nothing in between. No database, no validation, no tokens of callers, nothing kept.

interface Step {
  id: string;
  step: number;
}
const unchecked: StandardSchemaV1<unknown, Step> = {
  "~standard": { version: 1, vendor: "raw", validate: (value) => ({ value: value as Step }) },
};

/** Who says what at each step, as in the shop: reserve, pay, and the answer to each. */
const route: { at: string; topic: string }[] = [
  { at: "orders", topic: "orders-placed" },
  { at: "inventory", topic: "inventory-reservations" },
  { at: "orders", topic: "orders-reserved" },
  { at: "payments", topic: "payments-authorised" },
  { at: "orders", topic: "orders-confirmed" },
];

const name = process.env.APP_ID ?? "";
// The sidecar starts after its app: its address comes on standard input.
let address = "";
const sidecar = dapr({
  endpoint: "http://sidecar",
  fetch: (input, init) => fetch(String(input).replace("http://sidecar", address), init),
});
const app = new Hono();
const done: string[] = [];
const pending: { topic: string; event: PublishableEvent }[] = [];
let sending = false;

async function send(): Promise<void> {
  if (sending) return;
  sending = true;
  while (pending.length > 0) {
    const byTopic = Map.groupBy(pending.splice(0, 200), ({ topic }) => topic);
    await Promise.all(
      [...byTopic].map(([topic, some]) =>
        sidecar.publishEvents(
          topic,
          some.map(({ event }) => event),
        ),
      ),
    );
  }
  sending = false;
}

function go(id: string, at: number): void {
  const event = {
    specversion: "1.0" as const,
    id: crypto.randomUUID(),
    type: "step",
    data: { id, step: at },
  };
  pending.push({ topic: route[at]?.topic ?? "", event });
  // Neighbours of one turn share a call, as the outbox does it.
  setImmediate(() => void send());
}

const handle = ({ data }: { data: { id: string; step: number } }): void => {
  const next = data.step + 1;
  if (route[next]?.at !== name) return;
  if (next === route.length - 1) done.push(data.id);
  go(data.id, next);
};
/** Who gets which topic, as in the shop. */
const readers: Record<string, string[]> = {
  orders: ["inventory-reservations", "payments-authorised"],
  inventory: ["orders-placed"],
  payments: ["orders-reserved"],
  shipping: ["orders-confirmed"],
  notifications: ["orders-confirmed"],
};
/** Nobody waits for what these hear: they take it in larger bundles, as in the shop. */
const waitMs = name === "shipping" || name === "notifications" ? 50 : 1;
app.route(
  "/",
  sidecar.subscriptions(
    (readers[name] ?? []).map((topic) => on(event(topic, "step", unchecked), handle)),
    { defaults: { bulk: { max: 100, waitMs } } },
  ),
);
app.get("/health", (c) => c.text("up"));
app.post("/orders", async (c) => {
  const { id } = await c.req.json<{ id: string }>();
  go(id, 0);
  return c.json({ id }, 202);
});
app.get("/done", (c) => c.json(done.slice(Number(c.req.query("from") ?? 0))));
// The gateway's part: a request in, through two sidecars, and the answer back.
app.all("/api/*", async (c) => {
  const { pathname, search } = new URL(c.req.url);
  return sidecar.fetch(`http://orders${pathname.slice(4)}${search}`, {
    method: c.req.method,
    headers: { "content-type": "application/json" },
    ...(c.req.method === "POST" ? { body: await c.req.text() } : {}),
  });
});

const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: app.fetch });
process.stdout.write(`${server.port}\n`);
for await (const line of console) address = line.trim();
