import {
  accepted,
  allow,
  body,
  cacheable,
  etag,
  idempotent,
  isPlace,
  notFound,
  open,
  owned,
  Problem,
  page,
  problems,
  query,
  readWindow,
  router,
  says,
  transact,
} from "chassis";
import {
  Heard,
  LedgerView,
  Listing,
  NewRefund,
  PaymentView,
  ReconciliationList,
  ReconciliationView,
} from "./contracts.ts";
import { decide, type Payment } from "./payment.ts";
import { providersOf, webhookSecrets } from "./providers/index.ts";
import { BadSignature, readWebhook } from "./providers/stripe-webhook.ts";
import { ledgerView, reconciliationTag, reconciliationView, view } from "./queries.ts";
import { beginReconciliation } from "./reconciliation.ts";
import type { Store } from "./store.ts";

export const routes = router<Store>()
  .get(
    "/payments/ledger",
    says("Read the double-entry totals by account and currency", { 200: LedgerView, ...problems(401, 403) }),
    allow("payments:manage"),
    async (c) => cacheable(c, ledgerView(await c.var.kit.store.ledger()), "private, no-cache"),
  )
  .get(
    "/payments/reconciliations",
    says("List how our books compared with the providers', newest first", {
      200: ReconciliationList,
      ...problems(400, 401, 403),
    }),
    allow("payments:manage"),
    query(Listing),
    async (c) => {
      const { limit, after } = readWindow(c.req.valid("query"), isPlace);
      const runs = await c.var.kit.store.reconciliations(after, limit + 1);
      const listed = page(runs, limit, ({ startedAt: at, id }) => ({ at, id }), reconciliationView);
      return cacheable(c, listed, "private, no-cache");
    },
  )
  .post(
    "/payments/reconciliations",
    says("Compare our books with the providers' now; what is under way already goes on", {
      202: ReconciliationView,
      ...problems(400, 401, 403, 409),
    }),
    allow("payments:manage"),
    idempotent(),
    async (c) => {
      const { kit } = c.var;
      return transact(c, async () => {
        const { run, change } = await beginReconciliation(kit);
        const headers = {
          location: `/api/payments/reconciliations/${run.id}`,
          etag: reconciliationTag(run),
        };
        return { change, status: 202, body: reconciliationView(run), headers };
      });
    },
  )
  .get(
    "/payments/reconciliations/:id",
    says("Read what came of comparing our books with the providers'", {
      200: ReconciliationView,
      ...problems(401, 403, 404),
    }),
    allow("payments:manage"),
    async (c) => {
      const run = await c.var.kit.store.reconciliation(c.req.param("id"));
      if (run === undefined) throw notFound("A reconciliation with this id");
      return cacheable(c, reconciliationView(run), "private, no-cache", reconciliationTag(run));
    },
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
    "/payments/webhooks/stripe",
    says("Stripe tells of what has happened to a payment, signed with its webhook secret", {
      200: Heard,
      ...problems(400, 404, 503),
    }),
    open("its signature shows that Stripe sent it, and all it does is make us ask Stripe"),
    async (c) => {
      const { kit } = c.var;
      if (!providersOf(kit).has("stripe")) throw notFound("A way to pay by Stripe");
      const raw = new Uint8Array(await c.req.arrayBuffer());
      const secrets = await webhookSecrets(kit).catch((error: unknown) => {
        kit.log.error({ err: String(error) }, "webhooks of Stripe cannot be checked");
        throw new Problem(503, { code: "not-configured", detail: "Signatures cannot be checked right now" });
      });
      const told = await readWebhook(raw, c.req.header("stripe-signature"), secrets, kit.now()).catch(refuse);
      return transact(c, async () => {
        const answer = { status: 200 as const, body: { received: true } };
        if (await kit.store.hasHeard(told.id)) return answer;
        kit.log.info({ event: told.id, type: told.type, reference: told.reference }, "told by Stripe");
        return {
          ...answer,
          change: kit.store.hear(told.id, { method: "stripe", reference: told.reference }, kit.now()),
        };
      });
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

function refuse(error: unknown): never {
  if (!(error instanceof BadSignature)) throw error;
  throw new Problem(400, { code: "invalid-signature", detail: "The signature does not hold, or is too old" });
}

function found(payment: Payment | undefined): Payment {
  if (payment === undefined) throw notFound("A payment for an order with this id");
  return payment;
}
