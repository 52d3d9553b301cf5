import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { isDeepStrictEqual } from "node:util";
import type { CloudEvent, EventType } from "hono-dapr";
import { publishedIn } from "hono-dapr/testing";
import { dueCall } from "./calls.ts";
import {
  OrderAborting,
  OrderLinesCancelled,
  OrderReserved,
  OrderReturnReceived,
  OrderShipmentAccepted,
} from "./contracts.ts";
import { held } from "./holding.ts";
import { balances, type Posting } from "./ledger.ts";
import type { Payment } from "./payment.ts";
import type { Operation } from "./providers/test.ts";

// The service as a process of its own, killed with SIGKILL again and again while orders come, are paid, are shipped in
// parts, come back, run out and are given up. The test is its sidecar: it delivers until it is told SUCCESS, ticks, and
// takes what is published.

const token = "t0ken";
const kills = 5;
const total = (index: number) => ({ amount: 100 + index, currency: index % 2 ? "GBP" : "EUR" });
const tokens = ["tok_ok", "tok_ok", "tok_flaky", "tok_declined"];
const orders = Array.from({ length: 90 }, (_, index) => ({
  orderId: `o-${index}`,
  total: total(index),
  token: tokens[index % tokens.length] ?? "",
  /** Comes after so many kills, so that each of them finds calls under way. */
  wave: index % kills,
  /** Given up: at once, as soon as it is taken (whatever is under way then), when it is captured, or not at all. */
  abort: (["at once", "taken", "captured", "no", "no", "no", "no"] as const)[index % 7] ?? "no",
}));

/** What becomes of orders that are only authorised, and what is kept of their money in the end. */
const fates = {
  "shipped in parts": 90,
  "shipped, the rest cancelled": 60,
  "shipped, then given up": 0,
  "given up": 0,
  "shipped and returned": 65,
  "run out": 0,
};
const shipped = Array.from({ length: 60 }, (_, index) => {
  const fate = Object.keys(fates)[index % 6] as keyof typeof fates;
  return {
    orderId: `s-${index}`,
    total: total(index),
    token: fate === "run out" ? "tok_expires" : "tok_ok",
    wave: index % kills,
    fate,
  };
});
/** Milliseconds for which an authorisation lasts here. */
const lifetime = 1_500;

test("whatever it is killed in, each order's money moves once and the books agree", async () => {
  const data = mkdtempSync(join(tmpdir(), "payments-crash-"));
  const port = await freePort();
  const told = new Map<string, Map<string, CloudEvent<{ held?: { amount: number }; key?: string }>>>();
  const said = (orderId: string, type: string) =>
    [...(told.get(orderId)?.values() ?? [])].some((event) => event.type === type);
  const sidecar = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      if (!new URL(request.url).pathname.startsWith("/v1.0/publish"))
        return new Response(null, { status: 204 });
      for (const event of publishedIn(await request.json()) as CloudEvent<{ orderId: string }>[]) {
        const { orderId } = event.data;
        told.set(orderId, (told.get(orderId) ?? new Map()).set(event.id, event));
      }
      return new Response(null, { status: 204 });
    },
  });
  const start = () =>
    Bun.spawn({
      cmd: [process.execPath, "../../packages/chassis/src/serve.ts"],
      cwd: import.meta.dir,
      env: {
        ...process.env,
        APP_PORT: String(port),
        DAPR_HTTP_PORT: String(sidecar.port),
        APP_API_TOKEN: token,
        SOUK_DATA: data,
        DATABASE_URL: "",
        LOG_LEVEL: "silent",
        AUTHORISATION_LIFETIME_MS: String(lifetime),
        CRON_SLOT_MS: "1",
      },
      stdout: "inherit",
      stderr: "inherit",
    });
  let service = start();
  const alive = () => {
    if (service.exitCode !== null) throw new Error(`The service ended by itself with ${service.exitCode}`);
  };

  const deliver = async <T, I>(type: EventType<T, I>, body: I & { orderId: string }): Promise<void> => {
    const { shipmentId = "", returnId = "" } = body as { shipmentId?: string; returnId?: string };
    const event = {
      ...type.of(body, { source: "orders", id: `${type.type}-${body.orderId}${shipmentId}${returnId}` }),
      topic: type.topic,
    };
    await eventually(`${type.type} of ${body.orderId} is taken`, async () => {
      const response = await fetch(`http://127.0.0.1:${port}/_events/orders`, {
        method: "POST",
        headers: { "content-type": "application/json", "dapr-api-token": token },
        body: JSON.stringify(event),
      }).catch(() => undefined); // It is down at the moment.
      alive();
      return response?.ok && ((await response.json()) as { status: string }).status === "SUCCESS";
    });
  };

  const hears = (orderId: string, type: string, about: object = {}): Promise<void> =>
    eventually(`${orderId} hears ${type}`, () =>
      [...(told.get(orderId)?.values() ?? [])].some(
        (event) =>
          event.type === type && Object.entries(about).every(([name, value]) => isSame(event, name, value)),
      ),
    );
  const follow = async ({ orderId, total: money, token: card, fate }: (typeof shipped)[number]) => {
    const gbp = (amount: number) => ({ ...money, amount });
    const ship = async (shipmentId: string, amount: number, final = false): Promise<void> => {
      await deliver(OrderShipmentAccepted, { orderId, shipmentId, amount: gbp(amount), final });
      await hears(orderId, "payment.captured", { key: shipmentId });
    };
    const payment = { method: "test", token: card };
    await deliver(OrderReserved, { orderId, total: money, captureNow: gbp(0), payment });
    if (fate === "given up") {
      await deliver(OrderAborting, { orderId });
      return hears(orderId, "payment.voided", { held: gbp(0) });
    }
    await hears(orderId, "payment.authorised");
    if (fate === "run out") return hears(orderId, "payment.expired", { held: gbp(0) });
    await ship(`${orderId}-1`, 60);
    if (fate === "shipped in parts") return ship(`${orderId}-2`, 30, true);
    if (fate === "shipped, then given up") {
      await deliver(OrderAborting, { orderId });
      return hears(orderId, "payment.refunded", { held: gbp(0) });
    }
    if (fate === "shipped and returned") {
      await Promise.all([ship(`${orderId}-2`, 20), ship(`${orderId}-3`, 15)]);
      await deliver(OrderReturnReceived, { orderId, returnId: "r-1", amount: gbp(30) });
      await hears(orderId, "payment.refunded", { key: "r-1" });
    }
    await deliver(OrderLinesCancelled, { orderId, remaining: gbp(0) });
    return hears(orderId, "payment.voided");
  };
  /** What runs out is looked for, as often as the service takes it. */
  let ticking = true;
  const ticks = async (): Promise<void> => {
    for (; ticking; await new Promise((resolve) => setTimeout(resolve, 100)))
      await fetch(`http://127.0.0.1:${port}/_crons/renew`, {
        method: "POST",
        headers: { "dapr-api-token": token },
      }).catch(() => undefined);
  };

  try {
    let killed = 0;
    const ticker = ticks();
    const shipping = shipped.map(async (order) => {
      await eventually(`${order.orderId} has its turn`, () => killed >= order.wave);
      return follow(order);
    });
    const running = Promise.all([
      ...shipping,
      ...orders.map(async ({ orderId, total, token: card, abort, wave }) => {
        await eventually(`${orderId} has its turn`, () => killed >= wave);
        const reserved = deliver(OrderReserved, { orderId, total, payment: { method: "test", token: card } });
        if (abort !== "at once") await reserved;
        else await Promise.all([reserved, deliver(OrderAborting, { orderId })]);
        const givenBack = () =>
          [...(told.get(orderId)?.values() ?? [])].some(
            ({ type, data }) =>
              ["payment.voided", "payment.refunded"].includes(type) && data.held?.amount === 0,
          );
        if (abort === "at once") return eventually(`${orderId} is given back`, givenBack);
        const declined = () => said(orderId, "payment.declined");
        if (abort !== "taken")
          await eventually(`${orderId} is captured`, () => said(orderId, "payment.captured") || declined());
        if (abort === "no") return;
        await deliver(OrderAborting, { orderId });
        await eventually(`${orderId} is given back`, givenBack);
      }),
    ]);
    for (; killed < kills; killed++) {
      // In the thick of it: as soon as a few more orders have been heard of.
      const before = events(told);
      await Promise.race([running, eventually("it goes on", () => events(told) > before + killed * 2)]);
      service.kill("SIGKILL");
      await service.exited;
      nothingIsLost(data);
      service = start();
    }
    await running;
    ticking = false;
    await ticker;
    await eventually(
      "nothing is left to do",
      () => rows(data, "payments", "select 1 from outbox_jobs").length === 0,
    );

    const payments = new Map(
      rows<{ state: string }>(data, "payments", "select state from payments").map(({ state }) => {
        const payment = JSON.parse(state) as Payment;
        return [payment.orderId, payment] as const;
      }),
    );
    const book = Map.groupBy(
      rows<Operation>(data, "test-provider", "select * from operations"),
      ({ payment }) => payment,
    );
    const ledger = rows<Posting & { entry: string }>(data, "payments", "select * from ledger_postings");
    const all = [
      ...orders.map(({ orderId, total: { amount }, token: card, abort }) => ({
        orderId,
        kept: abort === "no" && card !== "tok_declined" ? amount : 0,
        once: ["payment.declined", "payment.captured", "payment.refunded"],
      })),
      ...shipped.map(({ orderId, fate }) => ({
        orderId,
        kept: fates[fate],
        once: ["payment.authorised", "payment.voided", "payment.refunded", "payment.expired"],
      })),
    ];
    for (const { orderId, kept, once } of all) {
      const payment = payments.get(orderId);
      const sum = (outcome: Operation["outcome"], operation?: string) =>
        (book.get(orderId) ?? [])
          .filter((line) => line.outcome === outcome && (operation ?? line.operation) === line.operation)
          .reduce((all, line) => all + line.amount, 0);
      const here = {
        orderId,
        captured: payment?.captured,
        refunded: payment?.refunded,
        held: payment && held(payment),
      };
      const there = sum("approved") - sum("voided", "void") - sum("refunded");
      expect(here).toEqual({ orderId, captured: sum("captured"), refunded: sum("refunded"), held: there });
      expect({ orderId, there }).toEqual({ orderId, there: kept });
      const booked = ledger.filter(
        ({ entry, account }) => entry.startsWith(`${orderId}:`) && account === "provider-clearing",
      );
      expect(booked.reduce((net, { debit, credit }) => net + debit - credit, 0)).toBe(
        sum("captured") - sum("refunded"),
      );
      // Each thing is done once, and said once.
      const keys = (book.get(orderId) ?? []).map(({ key }) => key);
      expect(new Set(keys).size).toBe(keys.length);
      expect(sum("captured") + sum("voided", "void")).toBeLessThanOrEqual(sum("approved"));
      const captures = [...(told.get(orderId)?.values() ?? [])].filter(
        ({ type }) => type === "payment.captured",
      );
      expect(captures).toHaveLength(keys.filter((key) => /:capture(:[\w-]+)?$/.test(key)).length);
      for (const type of once) {
        expect(
          [...(told.get(orderId)?.values() ?? [])].filter((event) => event.type === type).length,
        ).toBeLessThan(2);
      }
    }
    expect(balances(ledger)).toBe(true);
    const totals = rows<Posting>(
      data,
      "payments",
      "select account, currency, debit, credit from ledger_totals",
    );
    const sums = (all: Posting[], account: string, side: "debit" | "credit", currency: string) =>
      all
        .filter((row) => row.account === account && row.currency === currency)
        .reduce((sum, row) => sum + row[side], 0);
    for (const account of ["provider-clearing", "sales-revenue"]) {
      for (const currency of ["GBP", "EUR"]) {
        for (const side of ["debit", "credit"] as const) {
          expect(sums(totals, account, side, currency)).toBe(sums(ledger, account, side, currency));
        }
      }
    }
  } finally {
    service.kill("SIGKILL");
    await service.exited;
    await sidecar.stop(true);
    rmSync(data, { recursive: true, force: true });
  }
}, 240_000);

/** On the disk, whenever it is killed: a call that is under way has its job, and what is not wanted is not left alone. */
function nothingIsLost(folder: string): void {
  const jobs = rows<{ key: string }>(
    folder,
    "payments",
    "select key from outbox_jobs where kind = 'provider-call'",
  ).map(({ key }) => key);
  const payments = rows<{ state: string }>(folder, "payments", "select state from payments").map(
    ({ state }) => JSON.parse(state) as Payment,
  );
  const forgotten = payments.filter(
    (payment) =>
      payment.status === "authorised" &&
      (payment.wanted === "undo" || payment.released || payment.atOnce === undefined),
  );
  expect(forgotten).toEqual([]);
  const calling = payments.filter((payment) => dueCall(payment));
  expect(jobs.toSorted()).toEqual(calling.map(({ orderId }) => orderId).toSorted());
}

const isSame = (event: CloudEvent, name: string, value: unknown): boolean =>
  isDeepStrictEqual((event.data as Record<string, unknown>)[name], value);

function rows<T>(folder: string, name: string, query: string): T[] {
  const db = new DatabaseSync(join(folder, `${name}.db`));
  try {
    db.exec("pragma busy_timeout = 2000");
    return db.prepare(query).all() as T[];
  } finally {
    db.close();
  }
}

const events = (told: Map<string, Map<string, unknown>>): number =>
  [...told.values()].reduce((all, some) => all + some.size, 0);

async function eventually(
  what: string,
  holds: () => boolean | undefined | Promise<boolean | undefined>,
): Promise<void> {
  const deadline = performance.now() + 100_000;
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
