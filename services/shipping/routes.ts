import {
  accepted,
  allow,
  body,
  cacheable,
  type Env,
  etag,
  idempotent,
  isPlace,
  type Kit,
  notFound,
  open,
  owned,
  Problem,
  page,
  problems,
  query,
  type Rejection,
  readWindow,
  requireMatch,
  router,
  says,
  transact,
} from "chassis";
import type { Change } from "drizzle-outbox";
import type { Context } from "hono";
import * as v from "valibot";
import { readMessage } from "./carriers/message.ts";
import {
  CarrierMessage,
  Dispatch,
  Heard,
  NewRate,
  OfferList,
  RateKey,
  RateQuery,
  RateView,
  ShipmentList,
  ShipmentQuery,
  ShipmentView,
} from "./contracts.ts";
import { isOfferPlace, placeOf, view } from "./queries.ts";
import { type Entry, offers, put, remove } from "./rate.ts";
import {
  type Consignment,
  deliver,
  dispatch,
  hear,
  type ShipmentEvent,
  shipmentOf,
  type Told,
} from "./shipment.ts";
import type { Found, Store } from "./store.ts";

type C = Context<Env<Store>>;

// A browser asks each time whether its copy still holds; a shared cache that is not told of changes may be 10 s late.
const shared = "public, max-age=0, s-maxage=10";
const staff = "orders:manage";

export const routes = router<Store>()
  .get(
    "/shipments",
    says("List shipments, newest first: of one's own orders, or all with orders:manage", {
      200: ShipmentList,
      ...problems(400, 401, 403),
    }),
    owned({ all: [staff], own: ["orders:read"] }),
    query(ShipmentQuery),
    async (c) => {
      const { order, status, ...paging } = c.req.valid("query");
      const { limit, after } = readWindow(paging, isPlace);
      const found = await c.var.kit.store.list(c.var.reach, { order, status, after, limit: limit + 1 });
      const place = ({ madeAt, shipment }: Found) => ({ at: madeAt, id: shipment.id });
      return cacheable(c, page(found, limit, place, view), "private, no-cache");
    },
  )
  .get(
    "/shipments/:id",
    says("Read a shipment", { 200: ShipmentView, ...problems(401, 403, 404) }),
    owned({ all: [staff], own: ["orders:read"] }),
    async (c) => {
      const shipment = found(await c.var.kit.store.reachable(c.req.param("id"), c.var.reach));
      return cacheable(c, view(shipment), "private, no-cache", etag(shipment.version));
    },
  )
  .post(
    "/shipments/:id/dispatch",
    says("Hand a shipment over, all of it or some: it goes when its money is captured", {
      202: ShipmentView,
      ...problems(400, 401, 403, 404, 409, 415, 422),
    }),
    allow(staff),
    body(Dispatch),
    idempotent(),
    (c) => {
      const asked = c.req.valid("json");
      return changed(c, c.req.param("id"), (before, of) => dispatch(before, { ...of, ...asked }));
    },
  )
  .post(
    "/shipments/:id/deliver",
    says("Say that a shipment has arrived", { 202: ShipmentView, ...problems(400, 401, 403, 404, 409) }),
    allow(staff),
    idempotent(),
    (c) => changed(c, c.req.param("id"), deliver),
  )
  .get(
    "/shipping/rates",
    says("What sending costs, by country, method and weight", { 200: OfferList, ...problems(400) }),
    open("what sending costs is public"),
    query(RateQuery),
    async (c) => {
      const { country, weight, currency, ...paging } = c.req.valid("query");
      const { limit, after } = readWindow(paging, isOfferPlace);
      const grams = weight === undefined ? undefined : Number(weight);
      const all = offers(await c.var.kit.store.rates(country), { country, weight: grams, currency });
      const last = JSON.stringify(after);
      const from =
        after === undefined ? 0 : all.findIndex((one) => JSON.stringify(placeOf(one)) === last) + 1;
      const answer = page(all.slice(from, from + limit + 1), limit, placeOf, (offer) => offer);
      return cacheable(c, answer, shared);
    },
  )
  .get(
    "/shipping/rates/:country/:method",
    says("Read a rate", { 200: RateView, ...problems(401, 403, 404) }),
    allow(staff),
    async (c) => {
      const { rate, version } = set(await entry(c));
      return cacheable(c, rate, "private, no-cache", etag(version));
    },
  )
  .put(
    "/shipping/rates/:country/:method",
    says("Set what sending costs; a new rate needs no If-Match", {
      200: RateView,
      201: RateView,
      ...problems(400, 401, 403, 404, 412, 415, 422, 428),
    }),
    allow(staff),
    body(NewRate),
    (c) => {
      const { store } = c.var.kit;
      const { country, method } = key(c);
      const { name, prices } = c.req.valid("json");
      return transact(c, async () => {
        const before = await store.rate(country, method);
        const isNew = before?.status !== "set";
        // Who means a version means a rate that is there.
        if (c.req.header("if-match") !== undefined) set(before);
        if (!isNew) requireMatch(c, before.version);
        const { entry, change } = store.changeRate(
          before,
          accepted(put(before, { country, method, name, prices })),
        );
        const { rate, version } = set(entry);
        const headers = {
          etag: etag(version),
          ...(isNew ? { location: `/api/shipping/rates/${country}/${method}` } : {}),
        };
        return { change, status: isNew ? 201 : 200, body: rate, headers };
      });
    },
  )
  .delete(
    "/shipping/rates/:country/:method",
    says("Take a rate off the table", { 204: null, ...problems(401, 403, 404, 412, 428) }),
    allow(staff),
    (c) =>
      transact(c, async () => {
        const before = set(await entry(c));
        requireMatch(c, before.version);
        return { change: c.var.kit.store.changeRate(before, accepted(remove(before))).change, status: 204 };
      }),
  )
  .post(
    "/shipping/webhooks/:carrier",
    says(
      "A carrier tells of a parcel: delivered, in-transit or exception; signed as Standard Webhooks says",
      { 200: Heard, ...problems(400, 404, 503) },
      { "application/json": CarrierMessage },
      {
        "Webhook-Id": "The message's id, the same however often it is sent",
        "Webhook-Timestamp": "When it was sent, in seconds since 1970",
        "Webhook-Signature": "v1, and what the carrier's secret makes of id, time and body",
      },
    ),
    open("its signature shows that the carrier sent it, and it speaks of its own parcels only"),
    async (c) => {
      const { kit } = c.var;
      const carrier = c.req.param("carrier");
      const text = await c.req.text();
      const { id, news } = await readMessage(kit, carrier, { text, header: (name) => c.req.header(name) });
      return transact(c, async () => {
        const answer = { status: 200 as const, body: { received: true } };
        if (await kit.store.hasHeard(id)) return answer;
        const heard: Change = { writes: kit.store.heard(id, kit.now()) };
        const changes = news ? await told(kit, { carrier, ...news }) : [];
        return { ...answer, change: together([heard, ...changes]) };
      });
    },
  );

/** Decides about one shipment with all that is known of its order, and shows what has become of it. */
function changed(
  c: C,
  id: string,
  decide: (before: Consignment, of: { id: string; at: number }) => ShipmentEvent[] | Rejection,
): Promise<Response> {
  const { store, now } = c.var.kit;
  return transact(c, async () => {
    const before = found(await store.reachable(id, c.var.reach));
    const known = await store.load(before.orderId);
    if (known === undefined) throw new Error(`${id} is of no order`);
    const { consignment, change } = store.change(known, agreed(decide(known, { id, at: now() })));
    const shipment = shipmentOf(consignment, id) ?? before.shipment;
    const version = change.writes ? (consignment?.version ?? 0) : before.version;
    return {
      change,
      status: 202,
      body: view({ ...before, shipment }),
      headers: { location: `/api/shipments/${encodeURIComponent(id)}`, etag: etag(version) },
    };
  });
}

/** As `accepted`; what has only to wait for another shipment is told how long. */
function agreed(decided: ShipmentEvent[] | Rejection): ShipmentEvent[] {
  if (Array.isArray(decided) || decided.rejected !== "dispatch-in-progress") return accepted(decided);
  throw new Problem(409, { code: decided.rejected, detail: decided.detail, headers: { "retry-after": "1" } });
}

function found(shipment: Found | undefined): Found {
  // Whether it exists is nobody else's business: one text for all.
  if (shipment === undefined) throw notFound("A shipment of yours with this id");
  return shipment;
}

/** @throws {Problem} 404: what can be no country or no method has no rate */
function key(c: C): v.InferOutput<typeof RateKey> {
  const { success, output } = v.safeParse(RateKey, c.req.param());
  if (!success) throw noRate();
  return output;
}

const noRate = (): Problem => notFound("A rate for this country and method");

async function entry(c: C): Promise<Entry | undefined> {
  const { country, method } = key(c);
  return c.var.kit.store.rate(country, method);
}

function set(entry: Entry | undefined): Extract<Entry, { status: "set" }> {
  if (entry?.status !== "set") throw noRate();
  return entry;
}

/** What news of a parcel change. Of one that is not known they are refused: they may be ahead of its dispatch. */
async function told(
  { store, now }: Kit<Store>,
  { carrier, tracking, ...news }: { carrier: string; tracking: string; told: Told; detail?: string },
): Promise<Change[]> {
  const travelling = Map.groupBy(await store.travelling(carrier, tracking), ({ orderId }) => orderId);
  if (travelling.size === 0 && !(await store.hasArrived(carrier, tracking)))
    throw notFound("A parcel with this tracking number");
  const at = now();
  const changes = Array.from(travelling, async ([orderId, shipments]) => {
    const before = await store.load(orderId);
    const ids = shipments.map(({ id }) => id);
    return before ? store.change(before, hear(before, { ids, ...news, at })).change : {};
  });
  return Promise.all(changes);
}

const together = (changes: Change[]): Change => ({
  writes: changes.flatMap(({ writes = [] }) => writes),
  events: changes.flatMap(({ events = [] }) => events),
});
