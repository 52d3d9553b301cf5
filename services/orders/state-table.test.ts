import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { cell, type Happened, happenings, page, type Situation, situations } from "./state-table.fixture.ts";

type Cells = Partial<Record<Happened, string>>;

/** Nothing leaves now: whatever shipping wants to hand over is refused. */
const stays = (status: string): Cells => ({
  "shipment.dispatching, a part": `${status} · order.shipment-refused`,
  "shipment.dispatching, all": `${status} · order.shipment-refused`,
});
const noReturn: Cells = { "receive the return": "refused: not-found" };
const noneToReturn: Cells = {
  "return, by staff": "refused: not-returnable",
  "return of all, by staff": "refused: not-returnable",
  "return, by the customer": "refused: not-returnable",
};
const someToReturn = (status: string): Cells => ({
  "return, by staff": `${status} · order.return-received`,
  "return, by the customer": status,
});
const allToReturn = (status: string): Cells => ({
  ...someToReturn(status),
  "return of all, by staff": `${status} · order.return-received`,
});
const notAll: Cells = { "return of all, by staff": "refused: not-returnable" };
const notCancellable: Cells = {
  cancel: "refused: not-cancellable",
  "cancel a part": "refused: not-cancellable",
};
const allReceived: Cells = { "receive the return": "refused: already-received" };

/** Every cell that is not here is one in which nothing happens. */
const wanted: Record<Situation, Cells> = {
  placed: {
    "stock.reserved": "reserved · order.reserved",
    "stock.refused": "rejected · order.rejected",
    "the deadline": "aborting (shows placed) · order.aborting",
    cancel: "aborting (shows placed) · order.aborting",
    "cancel a part": "refused: not-confirmed-yet",
    ...stays("placed"),
    ...noneToReturn,
    ...noReturn,
  },
  reserved: {
    "payment.authorised": "confirmed · order.confirmed",
    "payment.captured, at once": "confirmed · order.confirmed",
    "payment.declined": "aborting (shows reserved) · order.aborting",
    "payment.declined, timed out": "aborting (shows reserved) · order.aborting",
    "payment.expired": "aborting (shows reserved) · order.aborting",
    "the deadline": "aborting (shows reserved) · order.aborting",
    cancel: "aborting (shows reserved) · order.aborting",
    "cancel a part": "refused: not-confirmed-yet",
    ...stays("reserved"),
    ...noneToReturn,
    ...noReturn,
  },
  confirmed: {
    // The service is paid for, and kept.
    "payment.expired": "confirmed · order.lines-cancelled",
    "shipment.dispatching, a part": "confirmed · order.shipment-accepted",
    "shipment.dispatching, all": "confirmed · order.shipment-accepted",
    cancel: "aborting (shows confirmed) · order.aborting",
    "cancel a part": "confirmed · order.lines-cancelled",
    ...noneToReturn,
    ...noReturn,
  },
  "confirmed, one in hand-over": {
    "payment.expired": "confirmed · order.lines-cancelled",
    ...stays("confirmed"),
    "payment.captured, of the shipment": "confirmed · order.shipped",
    "payment.capture-failed, expired": "confirmed · order.shipment-refused · order.lines-cancelled",
    "payment.capture-failed, no parts": "confirmed · order.shipment-refused",
    cancel: "confirmed · order.lines-cancelled",
    "cancel a part": "confirmed · order.lines-cancelled",
    ...noneToReturn,
    ...noReturn,
  },
  "confirmed, all in hand-over": {
    ...stays("confirmed"),
    "payment.captured, of the shipment": "shipped · order.shipped",
    "payment.capture-failed, expired": "confirmed · order.shipment-refused · order.lines-cancelled",
    "payment.capture-failed, no parts": "confirmed · order.shipment-refused",
    ...notCancellable,
    ...noneToReturn,
    ...noReturn,
  },
  "confirmed, one shipped": {
    "payment.expired": "shipped · order.lines-cancelled",
    "shipment.dispatching, a part": "confirmed · order.shipment-accepted",
    "shipment.dispatching, all": "confirmed · order.shipment-refused",
    "shipment.delivered": "confirmed · order.delivered",
    cancel: "shipped · order.lines-cancelled",
    "cancel a part": "confirmed · order.lines-cancelled",
    ...someToReturn("confirmed"),
    ...notAll,
    ...noReturn,
  },
  "confirmed, one shipped, two in hand-over": {
    ...stays("confirmed"),
    "payment.captured, of the shipment": "shipped · order.shipped",
    "payment.capture-failed, expired": "shipped · order.shipment-refused · order.lines-cancelled",
    "payment.capture-failed, no parts": "confirmed · order.shipment-refused",
    ...notCancellable,
    ...someToReturn("confirmed"),
    ...notAll,
    ...noReturn,
  },
  "confirmed, one shipped and back": {
    "payment.expired": "shipped · order.lines-cancelled",
    "shipment.dispatching, a part": "confirmed · order.shipment-accepted",
    "shipment.dispatching, all": "confirmed · order.shipment-refused",
    "shipment.delivered": "confirmed · order.delivered",
    cancel: "shipped · order.lines-cancelled",
    "cancel a part": "confirmed · order.lines-cancelled",
    ...noneToReturn,
    ...allReceived,
  },
  "confirmed, the rest cancelled": {
    ...stays("confirmed"),
    cancel: "aborting (shows confirmed) · order.aborting",
    "cancel a part": "refused: not-cancellable",
    ...noneToReturn,
    ...noReturn,
  },
  shipped: {
    ...stays("shipped"),
    "shipment.delivered": "shipped · order.delivered",
    ...notCancellable,
    ...allToReturn("shipped"),
    ...noReturn,
  },
  "shipped, one arrived": {
    ...stays("shipped"),
    "shipment.delivered": "delivered · order.delivered",
    ...notCancellable,
    ...allToReturn("shipped"),
    ...noReturn,
  },
  "shipped, the rest cancelled": {
    ...stays("shipped"),
    "shipment.delivered": "delivered · order.delivered",
    ...notCancellable,
    ...someToReturn("shipped"),
    ...notAll,
    ...noReturn,
  },
  "shipped, all received back": {
    ...stays("shipped"),
    "shipment.delivered": "shipped · order.delivered",
    "payment.refunded, of the return": "shipped",
    "stock.restocked": "shipped",
    ...notCancellable,
    ...noneToReturn,
    ...allReceived,
  },
  delivered: {
    ...stays("delivered"),
    ...notCancellable,
    ...allToReturn("delivered"),
    ...noReturn,
  },
  "delivered, a return asked for": {
    ...stays("delivered"),
    ...notCancellable,
    ...someToReturn("delivered"),
    ...notAll,
    "receive the return": "delivered · order.return-received",
  },
  "delivered, all received back": {
    ...stays("delivered"),
    "payment.refunded, of the return": "delivered",
    "stock.restocked": "delivered",
    ...notCancellable,
    ...noneToReturn,
    ...allReceived,
  },
  "delivered, all received back and restocked": {
    ...stays("delivered"),
    "payment.refunded, of the return": "returned · order.returned",
    ...notCancellable,
    ...noneToReturn,
    ...allReceived,
  },
  returned: {
    ...stays("returned"),
    ...notCancellable,
    ...noneToReturn,
    ...allReceived,
  },
  "aborting before it was reserved": {
    "stock.released": "cancelled · order.cancelled",
    ...stays("aborting (shows placed)"),
    ...noneToReturn,
    ...noReturn,
  },
  "aborting, declined": {
    "stock.released": "rejected · order.rejected",
    ...stays("aborting (shows reserved)"),
    ...notCancellable,
    ...noneToReturn,
    ...noReturn,
  },
  "aborting, cancelled": {
    "stock.released": "aborting (shows confirmed)",
    "payment.voided or refunded, nothing is held": "aborting (shows confirmed)",
    ...stays("aborting (shows confirmed)"),
    ...noneToReturn,
    ...noReturn,
  },
  "aborting, the stock is back": {
    "payment.voided or refunded, nothing is held": "cancelled · order.cancelled",
    ...stays("aborting (shows confirmed)"),
    ...noneToReturn,
    ...noReturn,
  },
  "aborting, the money is back": {
    "stock.released": "cancelled · order.cancelled",
    ...stays("aborting (shows confirmed)"),
    ...noneToReturn,
    ...noReturn,
  },
  rejected: {
    ...stays("rejected"),
    ...notCancellable,
    ...noneToReturn,
    ...noReturn,
  },
  cancelled: {
    ...stays("cancelled"),
    ...noneToReturn,
    ...noReturn,
  },
};

describe.each(Object.keys(situations) as Situation[])("%s", (situation) => {
  test.each(Object.keys(happenings) as Happened[])("%s", (happened) => {
    expect(cell(situation, happened)).toBe(wanted[situation][happened] ?? "—");
  });
});

test("every status is there", () => {
  expect([...new Set(Object.values(situations).map(({ status }) => status))].toSorted()).toEqual([
    "aborting",
    "cancelled",
    "confirmed",
    "delivered",
    "placed",
    "rejected",
    "reserved",
    "returned",
    "shipped",
  ]);
});

test("the page is what the code says (npm run contracts)", () => {
  expect(readFileSync(join(import.meta.dir, "../../docs/orders/state-table.md"), "utf8")).toBe(page());
});
