import { randomBytes } from "node:crypto";
import {
  accepted,
  body,
  cacheable,
  etag,
  follow,
  idempotent,
  integer,
  isPlace,
  notFound,
  open,
  owned,
  type Place,
  Problem,
  page,
  problems,
  query,
  readWindow,
  router,
  says,
  transact,
} from "chassis";
import { unacceptable } from "./acceptable.ts";
import { basket, ordered } from "./carts.ts";
import {
  Contact,
  NewOrder,
  OrderList,
  OrderQuery,
  OrderStatuses,
  OrderStep,
  OrderView,
  StatusQuery,
} from "./contracts.ts";
import { ensureOpen, PaymentsOff } from "./flags.ts";
import { digest, digested, found, fulfilmentRoutes } from "./fulfilment-routes.ts";
import { place } from "./order.ts";
import { taken } from "./payment-methods.ts";
import { sealedToken } from "./payment-token.ts";
import { pricingRoutes } from "./pricing-routes.ts";
import { contactOf, progress, view } from "./queries.ts";
import type { Store } from "./store.ts";

const deadlineAfter = 15 * 60_000;

export const routes = router<Store>()
  .route("/", pricingRoutes)
  .post(
    "/orders",
    says("Place an order", { 202: OrderView, ...problems(400, 403, 409, 415, 422, 503) }),
    open("guests may buy", "orders:write", "orders:manage"),
    body(NewOrder),
    idempotent({ guest: async (c) => (await c.req.json<NewOrder>()).customer.email.toLowerCase() }),
    async (c) => {
      const asked = c.req.valid("json");
      ensureOpen(c.var.kit);
      const refused = unacceptable(asked, {
        methods: taken(c.var.kit.config.env, c.var.kit.flag(PaymentsOff)),
        mayPrice: c.var.caller.scopes.has("orders:manage"),
      });
      if (refused) throw new Problem(refused.status, refused);
      const { cartId, reference, customer, shippingAddress, payment } = asked;
      const { store, now, config } = c.var.kit;
      // A cart chooses the order's id, so that it is ordered once.
      const { id, lines } = await basket(c.var.kit, c.var.caller, asked);
      const language = c.req.header("accept-language")?.slice(0, 35);
      const personal = { customer, shippingAddress };
      const key = c.var.caller.kind === "guest" ? randomBytes(24).toString("base64url") : undefined;
      const at = now();
      const facts = {
        id,
        payment: sealedToken(payment, id, c.var.kit),
        personal: store.personal.seal(id, { ...personal, language }),
        country: shippingAddress.country,
        owner: c.var.caller.id,
        reference: reference ?? null,
        keyDigest: key === undefined ? null : digest(key),
      };
      const customers = () => store.countedUnder(c.var.caller, customer.email);
      let again = false;
      return transact(c, async () => {
        if (cartId !== undefined && (await store.load(id))) throw ordered();
        const known = await store.withProducts(lines);
        const offer = await store.pricing.offer(known, { ...asked, ...facts, at, customers }, again);
        again = true;
        const decided = accepted(place({ ...facts, lines: known, offer, at }));
        const { order, change } = store.change(
          undefined,
          decided,
          at + integer(config, "CHECKOUT_DEADLINE_MS", deadlineAfter),
        );
        return {
          change: store.pricing.claiming(
            cartId === undefined ? change : store.closing(cartId, { id, placedAt: at }, change),
            order,
            offer,
          ),
          status: 202,
          body: key === undefined ? view(order, personal) : { ...view(order, personal), orderKey: key },
          headers: { location: `/api/orders/${order.id}`, etag: etag(order.version) },
        };
      });
    },
  )
  .get(
    "/orders",
    says("List orders, newest first: one's own, or all with orders:manage", {
      200: OrderList,
      ...problems(400, 403),
    }),
    owned({ all: ["orders:manage"], own: ["orders:read"] }),
    query(OrderQuery),
    async (c) => {
      const { customer, status, reference, ...paging } = c.req.valid("query");
      const { limit, after } = readWindow(paging, isPlace);
      const { store } = c.var.kit;
      const rows = await store.list(c.var.reach, { customer, status, reference, after, limit: limit + 1 });
      const place = (row: (typeof rows)[number]): Place => ({ at: row.placedAt, id: row.order.id });
      return cacheable(
        c,
        page(rows, limit, place, ({ order }) => view(order, store.personal.open(order))),
        "private, no-cache",
      );
    },
  )
  .get(
    "/order-statuses",
    says(
      "How far up to a hundred orders are, for whoever waits for them; those that the caller may not see are missing",
      {
        200: OrderStatuses,
        ...problems(400, 403),
      },
    ),
    owned({ all: ["orders:manage"], own: ["orders:read"] }),
    query(StatusQuery),
    async (c) => {
      const ids = [...new Set(c.req.valid("query").ids.split(","))];
      const items = await c.var.kit.store.statuses(c.var.reach, ids);
      return cacheable(c, { items }, "private, no-cache");
    },
  )
  .get(
    "/orders/:id",
    says("Read an order", { 200: OrderView, ...problems(401, 404) }),
    owned({ all: ["orders:manage"], own: ["orders:read"], key: "Order-Key" }),
    async (c) => {
      const { store } = c.var.kit;
      const order = found(await store.reachable(c.req.param("id"), digested(c.var.reach)));
      return cacheable(c, view(order, store.personal.open(order)), "private, no-cache", etag(order.version));
    },
  )
  .get(
    "/orders/:id/events",
    says(
      "Follow an order live: server-sent events, one for each status",
      { 200: { "text/event-stream": OrderStep }, 204: null, ...problems(404) },
      undefined,
      { "Last-Event-ID": "The id of the last message that you have: what came after it is told" },
    ),
    owned({ all: ["orders:manage"], own: ["orders:read"], key: "Order-Key" }),
    async (c) => {
      const { store } = c.var.kit;
      const id = c.req.param("id");
      const reach = digested(c.var.reach);
      found(await store.reachable(id, reach));
      const read = async () => progress(await store.reachable(id, reach));
      const versions = async (ids: string[]) =>
        new Map((await store.statuses("all", ids)).map(({ id, version }) => [id, version]));
      return follow(c, { id, versions, read });
    },
  )
  .get(
    "/contacts/:orderId",
    says("Whom to write to about an order", { 200: Contact, ...problems(404) }),
    open("only notifications may call it: the access policy of the sidecar says so"),
    async (c) => {
      const { store } = c.var.kit;
      const order = found(await store.load(c.req.param("orderId")));
      const contact = contactOf(order, store.personal.open(order));
      if (contact === undefined) throw notFound("Somebody to write to about this order");
      return cacheable(c, contact, "private, no-cache", etag(order.version));
    },
  )
  .route("/", fulfilmentRoutes);
