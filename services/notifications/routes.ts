import { randomBytes } from "node:crypto";
import {
  allow,
  body,
  cacheable,
  etag,
  idempotent,
  isPlace,
  type Kit,
  notFound,
  owned,
  type Place,
  page,
  problems,
  query,
  type Reach,
  Rejected,
  type Rejection,
  readWindow,
  router,
  says,
  transact,
} from "chassis";
import {
  DeliveryList,
  DeliveryQuery,
  DeliveryView,
  Listing,
  NewWebhook,
  WebhookList,
  WebhookPatch,
  WebhookView,
} from "./contracts.ts";
import { refusalOf } from "./outside/addresses.ts";
import { rulesOf } from "./outside/delivering.ts";
import { secretOf } from "./outside/signature.ts";
import { unsubscribing } from "./outside/unsubscribe-routes.ts";
import { deliveryView, webhookView } from "./queries.ts";
import { type Store, secretPlace } from "./store.ts";
import { again, type Delivery, refusedEvents, rotated, type Webhook } from "./webhook.ts";

const unshared = "private, no-cache";
/** So many webhooks an owner. */
const most = 50;
const scopes = ["orders:manage", "payments:manage"];
const registrars = owned({ all: [], own: scopes });

export const routes = router<Store>()
  .post(
    "/webhooks",
    says("Register a webhook; the answer shows its secret, once", {
      201: WebhookView,
      ...problems(400, 403, 409, 415, 422),
    }),
    allow(...scopes),
    body(NewWebhook),
    idempotent(),
    async (c) => {
      const { url, events } = c.req.valid("json");
      const { kit, caller } = c.var;
      refuse(refusedEvents(events, caller.scopes), refusedUrl(url, kit));
      const { now, sealed, store } = kit;
      return transact(c, async () => {
        if ((await store.countWebhooks(caller.id)) >= most) {
          refuse({
            rejected: "too-many-webhooks",
            detail: `There may be ${most} webhooks: delete one first`,
          });
        }
        const id = kit.id();
        const secret = newSecret();
        const webhook: Webhook = {
          id,
          owner: caller.id,
          url,
          events: [...new Set(events)],
          status: "enabled",
          reason: null,
          failingSince: null,
          secrets: [{ sealed: sealed.seal(secret, secretPlace, id), until: null }],
          version: 1,
          createdAt: now(),
        };
        return {
          change: { writes: [store.addWebhook(webhook)] },
          status: 201,
          body: { ...webhookView(webhook, now()), secret },
          headers: { location: `/api/webhooks/${id}`, etag: etag(1), "cache-control": "no-store" },
        };
      });
    },
  )
  .get(
    "/webhooks",
    says("List one's webhooks, newest first", { 200: WebhookList, ...problems(400, 403) }),
    registrars,
    query(Listing),
    async (c) => {
      const { now, store } = c.var.kit;
      const { limit, after } = readWindow(c.req.valid("query"), isPlace);
      const rows = await store.webhooks(c.var.caller.id, { after, limit: limit + 1 });
      return cacheable(
        c,
        page(rows, limit, placeOf, (row) => webhookView(row, now())),
        unshared,
      );
    },
  )
  .get(
    "/webhooks/:id",
    says("Read a webhook", { 200: WebhookView, ...problems(403, 404) }),
    registrars,
    async (c) => {
      const { now, store } = c.var.kit;
      const webhook = await theirs(store, c.req.param("id"), c.var.reach);
      return cacheable(c, webhookView(webhook, now()), unshared, etag(webhook.version));
    },
  )
  .patch(
    "/webhooks/:id",
    says("Change a webhook's address or events, disable it, or enable it again", {
      200: WebhookView,
      ...problems(400, 403, 404, 415, 422),
    }),
    registrars,
    body(WebhookPatch),
    async (c) => {
      const { url, events, status } = c.req.valid("json");
      const { caller, kit, reach } = c.var;
      refuse(
        refusedEvents(events ?? [], caller.scopes),
        url === undefined ? undefined : refusedUrl(url, kit),
      );
      const { now, store } = kit;
      return transact(c, async () => {
        const before = await theirs(store, c.req.param("id"), reach);
        const enabled = status === "enabled" && before.status === "disabled";
        const after: Webhook = {
          ...before,
          ...(url === undefined ? {} : { url }),
          ...(events === undefined ? {} : { events: [...new Set(events)] }),
          ...(status === undefined ? {} : { status }),
          // It has a new chance.
          ...(enabled ? { failingSince: null } : {}),
          ...(status === undefined ? {} : { reason: null }),
        };
        const version = before.version + 1;
        return {
          change: { writes: [store.saveWebhook(before, after)] },
          status: 200,
          body: webhookView(after, now()),
          headers: { etag: etag(version) },
        };
      });
    },
  )
  .delete(
    "/webhooks/:id",
    says("Delete a webhook, and its deliveries", { 204: null, ...problems(403, 404) }),
    registrars,
    async (c) => {
      const { store } = c.var.kit;
      return transact(c, async () => {
        const { id } = await theirs(store, c.req.param("id"), c.var.reach);
        return { change: { writes: store.removeWebhook(id) }, status: 204 };
      });
    },
  )
  .post(
    "/webhooks/:id/secret",
    says("Make a new secret, shown once; the one before goes on signing for a day", {
      201: WebhookView,
      ...problems(400, 403, 404, 409),
    }),
    registrars,
    idempotent(),
    async (c) => {
      const { now, sealed, store } = c.var.kit;
      return transact(c, async () => {
        const before = await theirs(store, c.req.param("id"), c.var.reach);
        const secret = newSecret();
        const secrets = rotated(before.secrets, sealed.seal(secret, secretPlace, before.id), now());
        const after = { ...before, secrets };
        return {
          change: { writes: [store.saveWebhook(before, after)] },
          status: 201,
          body: { ...webhookView(after, now()), secret },
          headers: {
            location: `/api/webhooks/${before.id}`,
            etag: etag(before.version + 1),
            "cache-control": "no-store",
          },
        };
      });
    },
  )
  .get(
    "/webhooks/:id/deliveries",
    says("List a webhook's deliveries with every try, newest first; kept for 30 days", {
      200: DeliveryList,
      ...problems(400, 403, 404),
    }),
    registrars,
    query(DeliveryQuery),
    async (c) => {
      const { store } = c.var.kit;
      const { status, ...paging } = c.req.valid("query");
      const { limit, after } = readWindow(paging, isPlace);
      const { id } = await theirs(store, c.req.param("id"), c.var.reach);
      const rows = await store.deliveries(id, { status, after, limit: limit + 1 });
      return cacheable(c, page(rows, limit, placeOf, deliveryView), unshared);
    },
  )
  .post(
    "/webhooks/:id/deliveries/:deliveryId/redeliver",
    says("Send an event again; it keeps its id", { 202: DeliveryView, ...problems(400, 403, 404, 409) }),
    registrars,
    idempotent(),
    async (c) => {
      const { now, store } = c.var.kit;
      return transact(c, async () => {
        const webhook = await theirs(store, c.req.param("id"), c.var.reach);
        const delivery = await store.delivery(c.req.param("deliveryId"));
        if (delivery?.webhookId !== webhook.id) throw notFound("A delivery of this webhook with this id");
        const decided = again(delivery, webhook);
        if ("rejected" in decided) throw new Rejected(decided);
        const at = now();
        return {
          change: store.deliverAgain(delivery, decided.delivery, at),
          status: 202,
          body: deliveryView({ ...delivery, ...decided.delivery, nextAt: at }),
          // Where one sees what becomes of it.
          headers: { location: `/api/webhooks/${webhook.id}/deliveries` },
        };
      });
    },
  )
  .route("/", unsubscribing);

const newSecret = (): string => secretOf(randomBytes(32));

function refuse(...rejections: (Rejection | undefined)[]): void {
  const first = rejections.find((one) => one !== undefined);
  if (first) throw new Rejected(first);
}

function refusedUrl(url: string, kit: Kit<Store>): Rejection | undefined {
  const refusal = refusalOf(url, rulesOf(kit));
  if (refusal === undefined) return undefined;
  return {
    rejected: "webhook-url-refused",
    detail: `The URL ${refusal}`,
    errors: [{ pointer: "/url", detail: refusal }],
  };
}

/** @throws {Problem} 404 for one that is somebody else's as well */
async function theirs(store: Store, id: string, reach: Reach): Promise<Webhook> {
  const webhook = await store.webhook(id);
  if (webhook && reach !== "all" && webhook.owner === reach.owner) return webhook;
  throw notFound("A webhook of yours with this id");
}

const placeOf = ({ createdAt, id }: Webhook | Delivery): Place => ({ at: createdAt, id });
