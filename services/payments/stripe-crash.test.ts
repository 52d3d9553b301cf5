import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { CloudEvent, EventType } from "hono-dapr";
import { publishedIn } from "hono-dapr/testing";
import type { Call } from "../../tests/stripe/fake.ts";
import { serveStripe } from "../../tests/stripe/serve.ts";
import { signed } from "../../tests/stripe/signed.ts";
import { OrderAborting, OrderReserved, OrderShipmentAccepted } from "./contracts.ts";
import { balances, type Posting } from "./ledger.ts";
import type { Payment } from "./payment.ts";

// The service as a process of its own, killed with SIGKILL at each of its calls to Stripe: when the call has come there
// and nothing is done yet, and when all is done and nobody hears of it. The test is its sidecar, and Stripe.

const token = "t0ken";
const secret = "whsec_of_this_test";
const total = { amount: 1_530, currency: "GBP" };

const points = [
  ["create", /^POST .*payment_intents$/],
  ["confirm", /confirm$/],
  ["capture", /capture$/],
  ["refund", /^POST .*refunds$/],
  ["look", /^GET .*payment_intents\/pi_\w+$/],
] as const;
/** Of an order that is only authorised, then shipped in part. */
const parts = [
  ["capture", /capture$/],
  ["look", /^GET .*payment_intents\/pi_\w+$/],
] as const;

test("whatever it is killed in, each order is charged once, given back once, and the books agree", async () => {
  const data = mkdtempSync(join(tmpdir(), "payments-stripe-crash-"));
  const stripe = serveStripe();
  const { fake } = stripe;
  const told = new Map<string, Map<string, CloudEvent>>();
  const said = (orderId: string) => [...(told.get(orderId)?.values() ?? [])].map(({ type }) => type);
  const secrets: Record<string, string> = {
    "stripe-api-key": "sk_test_souk",
    "stripe-webhook-secret": secret,
  };
  const sidecar = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const { pathname } = new URL(request.url);
      const name = /^\/v1\.0\/secrets\/secrets\/(.+)$/.exec(pathname)?.[1];
      if (name) return Response.json({ [name]: secrets[name] });
      if (!pathname.startsWith("/v1.0/publish")) return new Response(null, { status: 204 });
      for (const event of publishedIn(await request.json()) as CloudEvent<{ orderId: string }>[]) {
        const { orderId } = event.data;
        told.set(orderId, (told.get(orderId) ?? new Map()).set(event.id, event));
      }
      return new Response(null, { status: 204 });
    },
  });
  const start = async () => {
    const port = await freePort();
    return { port, process: spawn(port) };
  };
  const spawn = (port: number) =>
    Bun.spawn({
      cmd: [process.execPath, "../../packages/chassis/src/serve.ts"],
      cwd: import.meta.dir,
      env: {
        ...process.env,
        ...{ APP_PORT: String(port), DAPR_HTTP_PORT: String(sidecar.port), APP_API_TOKEN: token },
        ...{ SOUK_DATA: data, DATABASE_URL: "", LOG_LEVEL: "silent" },
        ...{ PAYMENT_METHODS: "stripe", STRIPE_API_BASE: stripe.url },
      },
      stdout: "inherit",
      stderr: "inherit",
    });
  let service = await start();
  /** The one that was killed: every other has to go on. */
  let victim: typeof service | undefined;

  /** Sends until it is taken: it may be down at the moment. */
  const post = (path: string, body: string, headers: Record<string, string>): Promise<void> =>
    eventually(`${path} is taken`, async () => {
      const { port, process } = service;
      if (process.exitCode !== null && service !== victim)
        throw new Error(`The service has ended by itself with ${process.exitCode}`);
      const response = await fetch(`http://127.0.0.1:${port}${path}`, {
        method: "POST",
        headers: { "content-type": "application/json", "dapr-api-token": token, ...headers },
        body,
      }).catch(() => undefined);
      const answer = response?.ok ? ((await response.json()) as { status?: string }) : undefined;
      return answer !== undefined && (answer.status ?? "SUCCESS") === "SUCCESS";
    });
  const deliver = <T, I>(type: EventType<T, I>, body: I & { orderId: string }): Promise<void> => {
    const event = {
      ...type.of(body, { source: "orders", id: `${type.type}-${body.orderId}` }),
      topic: "orders",
    };
    return post("/_events/orders", JSON.stringify(event), {});
  };
  const hears = (orderId: string, type: string): Promise<void> =>
    eventually(`${orderId} hears ${type}`, () => said(orderId).includes(type));

  let killed = 0;
  /** Kills the service at a call of its to Stripe. @returns when another is there */
  const killAt = (when: "before" | "after", path: RegExp): Promise<void> => {
    const dead = Promise.withResolvers<void>();
    fake.interfere = async (now: string, { method, path: asked }: Call) => {
      if (now !== when || !path.test(`${method} ${asked}`)) return undefined;
      fake.interfere = undefined;
      victim = service;
      service.process.kill("SIGKILL");
      await service.process.exited;
      killed++;
      dead.resolve();
      return undefined;
    };
    return dead.promise.then(async () => {
      service = await start();
    });
  };
  try {
    for (const when of ["before", "after"] as const) {
      for (const [what, path] of points) {
        const orderId = `o-${what}-${when}`;
        const restarted = killAt(when, path);
        await deliver(OrderReserved, {
          orderId,
          total,
          payment: { method: "stripe", token: "pm_card_visa" },
        });
        await hears(orderId, "payment.captured");
        const event = fake.events.findLast(({ type }) => type === "payment_intent.succeeded");
        const { body, headers } = signed(event, secret);
        await post("/payments/webhooks/stripe", body, headers);
        await deliver(OrderAborting, { orderId });
        await hears(orderId, "payment.refunded");
        await restarted;
      }
      for (const [what, path] of parts) {
        const orderId = `s-${what}-${when}`;
        await deliver(OrderReserved, {
          orderId,
          total,
          captureNow: { ...total, amount: 0 },
          payment: { method: "stripe", token: "pm_card_visa" },
        });
        await hears(orderId, "payment.authorised");
        // Once for the shipment, and once for what lets go of the rest.
        for (const step of ["shipment", "end"]) {
          const restarted = killAt(when, path);
          if (step === "end") await deliver(OrderAborting, { orderId });
          else {
            const shipment = { shipmentId: `${orderId}-1`, amount: { ...total, amount: 500 }, final: false };
            await deliver(OrderShipmentAccepted, { orderId, ...shipment });
          }
          await hears(orderId, step === "end" ? "payment.refunded" : "payment.captured");
          await restarted;
        }
      }
    }
    expect(killed).toBe(2 * (points.length + 2 * parts.length));
    await eventually("nothing is left to do", () => rows(data, "select 1 from outbox_jobs").length === 0);

    const payments = rows<{ state: string }>(data, "select state from payments").map(
      ({ state }) => JSON.parse(state) as Payment,
    );
    expect(payments).toHaveLength(2 * (points.length + parts.length));
    for (const { orderId, status, captured, refunded } of payments) {
      const divided = orderId.startsWith("s-");
      const taken = divided ? 500 : 1_530;
      expect({ orderId, status, captured, refunded }).toEqual({
        ...{ orderId, status: "refunded", captured: taken, refunded: taken },
      });
      const charged = fake.intents(orderId).filter(({ status: now }) => now !== "requires_payment_method");
      expect(charged).toMatchObject([{ status: "succeeded", amount_received: taken, refunded: taken }]);
      expect(said(orderId)).toEqual(
        divided
          ? ["payment.authorised", "payment.captured", "payment.voided", "payment.refunded"]
          : ["payment.captured", "payment.refunded"],
      );
    }
    const ledger = rows<Posting>(data, "select account, currency, debit, credit from ledger_postings");
    expect(balances(ledger)).toBe(true);
    expect(ledger).toHaveLength(payments.length * 4);
  } finally {
    service.process.kill("SIGKILL");
    await service.process.exited;
    await sidecar.stop(true);
    await stripe.stop();
    rmSync(data, { recursive: true, force: true });
  }
}, 180_000);

function rows<T>(folder: string, query: string): T[] {
  const db = new DatabaseSync(join(folder, "payments.db"));
  try {
    db.exec("pragma busy_timeout = 2000");
    return db.prepare(query).all() as T[];
  } finally {
    db.close();
  }
}

async function eventually(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`Not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() =>
        typeof address === "object" && address ? resolve(address.port) : reject(new Error("no port")),
      );
    });
  });
}
