import {
  accepted,
  allow,
  body,
  cacheable,
  etag,
  idempotent,
  notFound,
  owned,
  problems,
  router,
  says,
  transact,
} from "chassis";
import { LedgerView, NewRefund, PaymentView } from "./contracts.ts";
import { decide, type Payment } from "./payment.ts";
import { ledgerView, view } from "./queries.ts";
import type { Store } from "./store.ts";

export const routes = router<Store>()
  .get(
    "/payments/ledger",
    says("Read the double-entry totals by account and currency", { 200: LedgerView, ...problems(401, 403) }),
    allow("payments:manage"),
    async (c) => cacheable(c, ledgerView(await c.var.kit.store.ledger()), "private, no-cache"),
  )
  .get(
    "/payments/:orderId",
    says("Read what became of an order's money", { 200: PaymentView, ...problems(401, 403, 404) }),
    owned({ all: ["payments:manage", "orders:manage"], own: ["orders:read"] }),
    async (c) => {
      const payment = found(await c.var.kit.store.reachable(c.req.param("orderId"), c.var.reach));
      return cacheable(c, view(payment), "private, no-cache", etag(payment.version));
    },
  )
  .post(
    "/payments/:orderId/refunds",
    says("Give back some or all of what was captured", {
      202: PaymentView,
      ...problems(400, 401, 403, 404, 409, 415, 422),
    }),
    allow("payments:manage"),
    body(NewRefund),
    idempotent(),
    async (c) => {
      const asked = c.req.valid("json");
      const { store, now } = c.var.kit;
      return transact(c, async () => {
        const before = found(await store.load(c.req.param("orderId")));
        const decided = accepted(decide(before, { type: "refund", ...asked, at: now() }));
        const { payment, change } = store.change(before, decided);
        const after = found(payment);
        return {
          change,
          status: 202,
          body: view(after),
          headers: {
            location: `/api/payments/${encodeURIComponent(after.orderId)}`,
            etag: etag(after.version),
          },
        };
      });
    },
  );

function found(payment: Payment | undefined): Payment {
  if (payment === undefined) throw notFound("A payment for an order with this id");
  return payment;
}
