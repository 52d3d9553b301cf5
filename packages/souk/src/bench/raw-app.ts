import { Hono } from "hono";
import { dapr, event, on, type PublishableEvent, type StandardSchemaV1 } from "hono-dapr";

// One of the four bare apps that show what this machine's sidecars and broker can do: the hops and publishes of an
// order with nothing in between. No database, no validation, no tokens of callers, nothing kept.

interface Step {
  id: string;
  step: number;
}
const unchecked: StandardSchemaV1<unknown, Step> = {
  "~standard": { version: 1, vendor: "raw", validate: (value) => ({ value: value as Step }) },
};

/** Where an order goes from each step, as in the shop: reserve, pay, and the answer to each. */
const route: { at: string; topic: string }[] = [
  { at: "orders", topic: "orders" },
  { at: "inventory", topic: "inventory" },
  { at: "orders", topic: "orders" },
  { at: "payments", topic: "payments" },
  { at: "orders", topic: "orders" },
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
const pending: PublishableEvent[] = [];
let sending = false;

async function send(): Promise<void> {
  if (sending) return;
  sending = true;
  while (pending.length > 0) {
    const batch = pending.splice(0, 200);
    await sidecar.publishEvents(name, batch);
  }
  sending = false;
}

function go(id: string, at: number): void {
  pending.push({ specversion: "1.0", id: crypto.randomUUID(), type: "step", data: { id, step: at } });
  // Neighbours of one turn share a call, as the outbox does it.
  setImmediate(() => void send());
}

const handle = ({ data }: { data: { id: string; step: number } }): void => {
  const next = data.step + 1;
  if (route[next]?.at !== name) return;
  if (next === route.length - 1) done.push(data.id);
  go(data.id, next);
};
/** Who gets which topic, as in the shop: the gateway hears of stock, to purge its cache. */
const listensTo =
  { gateway: ["inventory"], orders: ["inventory", "payments"], inventory: ["orders"], payments: ["orders"] }[
    name
  ] ?? [];
app.route(
  "/",
  sidecar.subscriptions(
    listensTo.map((topic) => on(event(topic, "step", unchecked), handle)),
    { defaults: { bulk: { max: 100, waitMs: Number(process.env.BULK_WAIT_MS ?? 1) } } },
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
