import {
  accepted,
  body,
  type Caller,
  cacheable,
  type Env,
  idempotent,
  notFound,
  open,
  owned,
  Problem,
  problems,
  router,
  says,
  transact,
} from "chassis";
import type { Context } from "hono";
import { type Cart, close, merge, removeLine, setLine, setLines, take } from "./cart.ts";
import { cartsOf, type Decide } from "./carts.ts";
import {
  CartLines,
  CartOwner,
  CartView,
  Checkout,
  CheckoutRequest,
  Merge,
  NewCart,
  NewQuantity,
  Ordered,
} from "./contracts.ts";
import { view } from "./queries.ts";
import type { Shown, Store } from "./store.ts";

type C = Context<Env<Store>>;

/** A guest's cart belongs to whoever knows its id; a user's needs the user's token too. */
const byItsId = owned({ all: [], own: "user", byId: true });
const ordersOnly = "only orders may call it: the access policy of the sidecar says so";
const user = { all: [], own: "user" as const };

export const routes = router<Store>()
  .post(
    "/carts",
    says("Begin a cart, and put something in. Whoever is signed in gets their own", {
      201: CartView,
      ...problems(400, 409, 415, 422, 503),
    }),
    open("everybody may put something into a cart"),
    body(NewCart),
    // Guests begin alike, and must not be given each other's cart.
    idempotent({ guest: (c) => `${c.req.header("x-forwarded-for")} ${c.req.header("user-agent")}` }),
    (c) =>
      transact(c, async () => {
        const { kit, caller } = c.var;
        const { lines = [] } = c.req.valid("json");
        const put: Decide = async (cart) =>
          accepted(setLines(cart, lines, await today(c, cart.lines, lines), kit.now()));
        const carts = cartsOf(kit);
        const begun =
          caller.kind === "user"
            ? found(await carts.change((await carts.of(caller.id)).id, put))
            : await carts.create(put);
        const seen = await shown(c, begun);
        const headers = { location: `/api/carts/${begun.id}`, etag: tag(begun, seen) };
        return { status: 201, body: seen, headers };
      }),
  )
  .get(
    "/carts/mine",
    says("One's own cart", { 200: CartView, ...problems(401, 403, 503) }),
    owned(user),
    async (c) => answer(c, await cartsOf(c.var.kit).of(c.var.caller.id)),
  )
  .post(
    "/carts/mine/merge",
    says("Take over what was put together before signing in", {
      200: CartView,
      ...problems(400, 401, 403, 404, 409, 415, 503),
    }),
    owned(user),
    body(Merge),
    async (c) => {
      const { kit, caller } = c.var;
      const { cartId } = c.req.valid("json");
      const carts = cartsOf(kit);
      const mine = await carts.of(caller.id);
      const from = await carts.find(cartId);
      // A second try, after the first has forgotten the guest's cart.
      if (mine.merged.includes(cartId)) return answer(c, mine);
      const guests = found(from);
      const merged = await carts.change(mine.id, async (cart) =>
        accepted(merge(cart, guests, await today(c, cart.lines, guests.lines), kit.now())),
      );
      await carts.forget(cartId);
      return answer(c, found(merged));
    },
  )
  .get(
    "/carts/:id",
    says("Read a cart, at today's prices", { 200: CartView, ...problems(404, 503) }),
    byItsId,
    async (c) => answer(c, theirs(await cartsOf(c.var.kit).find(c.req.param("id")), c.var.caller)),
  )
  .put(
    "/carts/:id/lines/:sku",
    says("Put so many of a product into the cart", {
      200: CartView,
      ...problems(400, 404, 409, 412, 415, 422, 503),
    }),
    byItsId,
    body(NewQuantity),
    async (c) => {
      const sku = c.req.param("sku");
      const { quantity } = c.req.valid("json");
      const line = { sku, quantity };
      return changed(c, c.req.param("id"), async (cart) =>
        accepted(setLine(cart, line, await today(c, cart.lines, [line]), c.var.kit.now())),
      );
    },
  )
  .delete(
    "/carts/:id/lines/:sku",
    says("Take a product out of the cart", { 200: CartView, ...problems(404, 409, 412, 503) }),
    byItsId,
    async (c) =>
      changed(c, c.req.param("id"), (cart) =>
        accepted(removeLine(cart, c.req.param("sku"), c.var.kit.now())),
      ),
  )
  .post(
    "/checkouts/:cartId",
    says("Hand a cart to an order", { 200: Checkout, ...problems(400, 404, 409, 415, 422, 503) }),
    open(ordersOnly),
    body(CheckoutRequest),
    async (c) => {
      const { orderId, owner } = c.req.valid("json");
      const cart = await cartsOf(c.var.kit).change(c.req.param("cartId"), (one) => {
        return accepted(take(ownedBy(owner, one), orderId, c.var.kit.now()));
      });
      const taken = found(cart);
      return c.json({ orderId: taken.orderId, lines: linesOf(taken) });
    },
  )
  .post(
    "/checkouts/:cartId/lines",
    says("What is in a cart that could be ordered, for a quote: nothing is handed over", {
      200: CartLines,
      ...problems(400, 404, 409, 415, 422, 503),
    }),
    open(ordersOnly),
    body(CartOwner),
    async (c) => {
      const { kit } = c.var;
      const { owner } = c.req.valid("json");
      const cart = ownedBy(owner, found(await cartsOf(kit).find(c.req.param("cartId"))));
      accepted(take(cart, "a quote's", kit.now()));
      return c.json({ lines: linesOf(cart) });
    },
  )
  .post(
    "/checkouts/:cartId/ordered",
    says("The order of a cart is placed", { 204: null, ...problems(400, 404, 415, 503) }),
    open(ordersOnly),
    body(Ordered),
    async (c) => {
      const { orderId } = c.req.valid("json");
      await cartsOf(c.var.kit).change(c.req.param("cartId"), (cart) => close(cart, orderId, c.var.kit.now()));
      return c.body(null, 204);
    },
  );

/**
 * Changes a cart within the caller's reach, and shows it.
 * @throws {Problem} 412 with the ETag of what is there now
 */
async function changed(c: C, id: string, decide: Decide): Promise<Response> {
  let stale: Cart | undefined;
  const cart = await cartsOf(c.var.kit).change(id, (one) => {
    stale = isMeant(c, theirs(one, c.var.caller)) ? undefined : one;
    return stale ? [] : decide(one);
  });
  if (stale === undefined) return answer(c, found(cart));
  throw new Problem(412, {
    code: "precondition-failed",
    detail: "The cart has changed since you read it: read it again, then repeat your change",
    headers: { etag: tag(stale, await shown(c, stale)) },
  });
}

async function answer(c: C, cart: Cart): Promise<Response> {
  const seen = await shown(c, cart);
  return cacheable(c, seen, "private, no-cache", tag(cart, seen));
}

const shown = async (c: C, cart: Cart): Promise<CartView> => view(cart, await today(c, cart.lines));

/** What is for sale today of some lines. */
const today = (c: C, ...lines: { sku: string }[][]): Promise<Map<string, Shown>> =>
  c.var.kit.store.products([...new Set(lines.flat().map(({ sku }) => sku))]);

/** The cart's version, and what else is seen of it: prices change without it. */
const tag = ({ version }: Cart, seen: CartView): string =>
  `"${version}.${Bun.hash(JSON.stringify(seen)).toString(36)}"`;

/** Whoever says which version they mean is told when it is gone. Nobody has to: a change is of one line only. */
function isMeant(c: C, { version }: Cart): boolean {
  const header = c.req.header("if-match")?.trim();
  if (header === undefined || header === "*") return true;
  return header.split(",").some((one) => one.trim().startsWith(`"${version}.`));
}

/** That others' carts are there is nobody's business. */
function theirs(cart: Cart | undefined, caller: Caller): Cart {
  if (cart === undefined || (cart.owner !== undefined && cart.owner !== caller.id)) throw missing();
  return cart;
}

function ownedBy(owner: string | undefined, cart: Cart): Cart {
  if (cart.owner !== undefined && cart.owner !== owner) throw missing();
  return cart;
}

const linesOf = ({ lines }: Cart) => lines.map(({ sku, quantity }) => ({ sku, quantity }));

function found(cart: Cart | undefined): Cart {
  if (cart === undefined) throw missing();
  return cart;
}

const missing = (): Problem => notFound("A cart with this id");
