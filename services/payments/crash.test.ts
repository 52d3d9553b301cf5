import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { CloudEvent, EventType } from "hono-dapr";
import { dueCall } from "./calls.ts";
import { OrderAborting, OrderReserved } from "./contracts.ts";
import { held } from "./holding.ts";
import { balances, type Posting } from "./ledger.ts";
import type { Payment } from "./payment.ts";
import type { Operation } from "./providers/test.ts";

// The service as a process of its own, killed with SIGKILL again and again while orders come, are paid and are given
// up. The test is its sidecar: it delivers until it is told SUCCESS, and takes what is published.

const token = "t0ken";
const kills = 5;
const total = (index: number) => ({ amount: 100 + index, currency: index % 2 ? "GBP" : "EUR" });
const tokens = ["tok_ok", "tok_ok", "tok_flaky", "tok_declined"];
const orders = Array.from({ length: 120 }, (_, index) => ({
  orderId: `o-${index}`,
  total: total(index),
  token: tokens[index % tokens.length] ?? "",
  /** Comes after so many kills, so that each of them finds calls under way. */
  wave: index % kills,
  /** Given up: at once, as soon as it is taken (whatever is under way then), when it is captured, or not at all. */
  abort: (["at once", "taken", "captured", "no", "no", "no", "no"] as const)[index % 7] ?? "no",
}));

test("whatever it is killed in, each order's money moves once and the books agree", async () => {
  const data = mkdtempSync(join(tmpdir(), "payments-crash-"));
  const port = await freePort();
  const told = new Map<string, Map<string, CloudEvent<{ held?: { amount: number } }>>>();
  const said = (orderId: string, type: string) =>
    [...(told.get(orderId)?.values() ?? [])].some((event) => event.type === type);
  const sidecar = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      if (!new URL(request.url).pathname.startsWith("/v1.0/publish"))
        return new Response(null, { status: 204 });
      const body = (await request.json()) as { event: CloudEvent<{ orderId: string }> }[];
      for (const { event } of body) {
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
      },
      stdout: "inherit",
      stderr: "inherit",
    });
  let service = start();
  const alive = () => {
    if (service.exitCode !== null) throw new Error(`The service ended by itself with ${service.exitCode}`);
  };

  const deliver = async <T, I>(type: EventType<T, I>, body: I & { orderId: string }): Promise<void> => {
    const event = {
      ...type.of(body, { source: "orders", id: `${type.type}-${body.orderId}` }),
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

  try {
    let killed = 0;
    const running = Promise.all(
      orders.map(async ({ orderId, total, token: card, abort, wave }) => {
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
    );
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
    for (const {
      orderId,
      total: { amount },
      token: card,
      abort,
    } of orders) {
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
      expect(there).toBe(abort === "no" && card !== "tok_declined" ? amount : 0);
      const booked = ledger.filter(
        ({ entry, account }) => entry.startsWith(`${orderId}:`) && account === "provider-clearing",
      );
      expect(booked.reduce((net, { debit, credit }) => net + debit - credit, 0)).toBe(
        sum("captured") - sum("refunded"),
      );
      for (const type of ["payment.declined", "payment.captured", "payment.refunded"]) {
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
}, 60_000);

/** On the disk, whenever it is killed: a call that is under way has its job, and nothing is left approved only. */
function nothingIsLost(folder: string): void {
  const jobs = rows<{ key: string }>(folder, "payments", "select key from outbox_jobs").map(({ key }) => key);
  const calling = rows<{ state: string }>(folder, "payments", "select state from payments")
    .map(({ state }) => JSON.parse(state) as Payment)
    .filter((payment) => payment.status === "authorised" || dueCall(payment));
  expect(calling.filter(({ status }) => status === "authorised")).toEqual([]);
  expect(jobs.toSorted()).toEqual(calling.map(({ orderId }) => orderId).toSorted());
}

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
  const deadline = performance.now() + 30_000;
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
