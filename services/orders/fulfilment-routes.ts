import { createHash } from "node:crypto";
import {
  accepted,
  allow,
  body,
  type Env,
  etag,
  idempotent,
  notFound,
  owned,
  Problem,
  problems,
  type Reach,
  type Rejection,
  router,
  says,
  transact,
} from "chassis";
import type { Context } from "hono";
import { cancel } from "./cancel.ts";
import { NewCancellation, NewReceipt, NewReturn, OrderView } from "./contracts.ts";
import type { Order, OrderEvent } from "./order.ts";
import { withNote } from "./personal.ts";
import { view } from "./queries.ts";
import { askReturn, receive } from "./returns.ts";
import type { Store } from "./store.ts";

type C = Context<Env<Store>>;

/** A guest is whoever shows the order's key. */
const byKey = { guest: (c: C) => c.req.header("order-key") ?? "" };

/** What is asked of an order once it is placed. */
export const fulfilmentRoutes = router<Store>()
  .post(
    "/orders/:id/cancel",
    says("Cancel what of an order has not been sent: all of it, or some lines", {
      202: OrderView,
      ...problems(400, 404, 409, 415),
    }),
    owned({ all: ["orders:manage"], own: ["orders:write"], key: "Order-Key" }),
    body(NewCancellation),
    idempotent(byKey),
    (c) => {
      const { lines, reason } = c.req.valid("json");
      return answer(c, (order, at) => cancel(order, { lines, at }), { said: reason });
    },
  )
  .post(
    "/orders/:id/returns",
    says("Return what was sent: staff have it at hand, a customer's waits until it is received", {
      202: OrderView,
      ...problems(400, 403, 404, 409, 415),
    }),
    owned({ all: ["orders:manage"], own: ["orders:write"], key: "Order-Key" }),
    body(NewReturn),
    idempotent(byKey),
    (c) => {
      const { lines, reason, writeOff } = c.req.valid("json");
      const atHand = c.var.caller.scopes.has("orders:manage");
      if (writeOff !== undefined && !atHand) {
        const detail = "Only the scope orders:manage may say what is written off";
        const errors = [{ pointer: "/writeOff", detail: "leave it out" }];
        throw new Problem(403, { code: "insufficient-scope", detail, errors });
      }
      const asked = { lines, atHand, writeOff: writeOff ?? false };
      return answer(c, (order, at) => askReturn(order, { ...asked, at }), { said: reason });
    },
  )
  .post(
    "/orders/:id/returns/:returnId/receive",
    says("Say what of a return has come: it is refunded, and restocked or written off", {
      202: OrderView,
      ...problems(400, 404, 409, 415),
    }),
    allow("orders:manage"),
    body(NewReceipt),
    idempotent(),
    (c) => {
      const { lines } = c.req.valid("json");
      const returnId = c.req.param("returnId");
      return answer(c, (order, at) => receive(order, { returnId, lines, at }), { reach: "all" });
    },
  );

/** Decides about the order of the path, notes what was said about it, and answers with the order as it is then. */
function answer(
  c: C,
  decide: (order: Order, at: number) => OrderEvent[] | Rejection,
  { said, reach = c.var.reach }: { said?: string; reach?: Reach } = {},
): Promise<Response> {
  const { store, now } = c.var.kit;
  return transact(c, async () => {
    const order = found(await store.reachable(c.req.param("id") ?? "", digested(reach)));
    const at = now();
    const decided = accepted(decide(order, at));
    const personal = store.personal.open(order);
    const about = decided.find((event) => "returned" in event)?.returned.id;
    // Of somebody who was erased nothing is noted any more.
    const known =
      personal && said !== undefined && decided.length > 0
        ? withNote(personal, { at, text: said, ...(about === undefined ? {} : { about }) })
        : undefined;
    const events: OrderEvent[] = known
      ? [...decided, { type: "noted", at, personal: store.personal.seal(order.id, known) }]
      : decided;
    const changed = store.change(order, events);
    return {
      change: changed.change,
      status: 202,
      body: view(changed.order, known ?? personal),
      headers: { location: `/api/orders/${order.id}`, etag: etag(changed.order.version) },
    };
  });
}

export function found(order: Order | undefined): Order {
  // Whether it exists is nobody else's business: one text for all.
  if (order === undefined) throw notFound("An order of yours with this id");
  return order;
}

export const digest = (key: string): string => createHash("sha256").update(key).digest("base64url");

/** The reach as the store knows it: of keys it has the digests only. */
export const digested = (reach: Reach): Reach =>
  reach === "all" || reach.key === undefined ? reach : { ...reach, key: digest(reach.key) };
