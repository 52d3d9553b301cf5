import { type Caller, callService, type Kit, Problem } from "chassis";
import * as v from "valibot";
import { CartCheckout, CartLines, type NewOrder } from "./contracts.ts";

/** Carts belong to another service: an order asks for one, and says when it has it. */

type Calls = Pick<Kit<unknown>, "sidecar" | "log" | "id">;

/** What is ordered, and under which id. */
interface Basket {
  id: string;
  lines: { sku: string; quantity: number; unitPrice?: { amount: number; currency: string } }[];
}

const patience = 3_000;

/**
 * The lines of an order: as asked, or taken over from a cart, which then says the order's id as well: it is the same for
 * whoever asks again, so that a cart is ordered once.
 * @throws {Problem} 422 `unknown-cart`, `empty-cart`; 409 `cart-ordered`; 503 while carts cannot be reached
 */
export async function basket(
  calls: Calls,
  caller: Caller,
  { cartId, lines = [] }: Pick<NewOrder, "cartId" | "lines">,
): Promise<Basket> {
  const id = calls.id();
  if (cartId === undefined) return { id, lines };
  const taken = await asked(calls, CartCheckout, cartId, "", { orderId: id, ...ownerOf(caller) });
  return { id: taken.orderId, lines: taken.lines };
}

/**
 * The lines that an order would have, without ordering anything.
 * @throws {Problem} as {@link basket}
 */
export async function contents(
  calls: Calls,
  caller: Caller,
  { cartId, lines = [] }: Pick<NewOrder, "cartId" | "lines">,
): Promise<Basket["lines"]> {
  if (cartId === undefined) return lines;
  return (await asked(calls, CartLines, cartId, "/lines", ownerOf(caller))).lines;
}

const ownerOf = (caller: Caller): { owner?: string } => (caller.kind === "user" ? { owner: caller.id } : {});

/** What carts says of a cart that is to be ordered, or why it cannot be. */
async function asked<S extends v.GenericSchema>(
  calls: Pick<Calls, "sidecar" | "log">,
  schema: S,
  cartId: string,
  path: string,
  what: object,
): Promise<v.InferOutput<S>> {
  const { log } = calls;
  const answer = await ask(calls, `checkouts/${encodeURIComponent(cartId)}${path}`, what).catch(
    (error: unknown) => error,
  );
  if (!(answer instanceof Response)) {
    log.warn({ err: String(answer) }, "carts did not answer");
    throw unavailable();
  }
  const body: unknown = await answer.json().catch(() => undefined);
  if (answer.status === 200) {
    const taken = v.safeParse(schema, body);
    // It was lost on its way.
    if (!taken.success) throw unavailable();
    return taken.output;
  }
  const { code } = v.parse(v.fallback(v.object({ code: v.string() }), { code: "" }), body);
  if (answer.status === 404 && code === "not-found") {
    throw refused(422, "unknown-cart", `there is no cart ${cartId} of yours`);
  }
  if (code === "empty-cart") throw refused(422, code, "there is nothing in the cart");
  if (code === "cart-ordered") throw ordered();
  log.warn({ status: answer.status, code }, "carts refused");
  throw unavailable();
}

/** @throws what makes the job be tried again */
export async function closeCart(
  calls: Pick<Calls, "sidecar">,
  cartId: string,
  orderId: string,
): Promise<undefined> {
  const answer = await ask(calls, `checkouts/${encodeURIComponent(cartId)}/ordered`, { orderId });
  if (answer.status !== 204) throw new Error(`carts answered ${answer.status}`);
}

const ask = (calls: Pick<Calls, "sidecar">, path: string, body: object): Promise<Response> =>
  callService(calls, "carts", path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    timeout: patience,
  });

/** The answer to whoever comes second. */
export const ordered = (): Problem =>
  refused(409, "cart-ordered", "this cart has been ordered: begin a new one");

const refused = (status: number, code: string, detail: string): Problem =>
  new Problem(status, { code, detail, errors: [{ pointer: "/cartId", detail }] });

const unavailable = (): Problem =>
  new Problem(503, {
    code: "service-unavailable",
    detail: "Carts cannot be reached right now: nothing was ordered",
    headers: { "retry-after": "1" },
  });
