import type { Env } from "chassis";
import type { MiddlewareHandler } from "hono";
import { addressOf } from "./addresses.ts";
import { budgetOf } from "./budgets.ts";
import type { Memory } from "./edge.ts";
import { network } from "./limiter.ts";

type E = Env<Memory>;

/** Gives everybody their share: machines by client, people by user, everybody else by network. */
export const limited: MiddlewareHandler<E> = async (c, next) => {
  const { caller, kit } = c.var;
  const by = caller.kind === "guest" ? "address" : caller.kind;
  const who = caller.kind === "guest" ? network(addressOf(c)) : caller.id;
  const told = kit.store.limits.take(kit, budgetOf(c.req.method, c.req.path), by, who);
  await next();
  for (const [name, value] of told) c.res.headers.set(name, value);
};

/** Of requests with a token: refuses it unseen from a network that has sent many that did not hold. */
export const guessing: MiddlewareHandler<E> = async (c, next) => {
  const { kit } = c.var;
  const { limits } = kit.store;
  const who = network(addressOf(c));
  limits.ensure(kit.now(), "bad-tokens", "address", who);
  await next();
  if (c.res.status === 401) limits.note(kit, "bad-tokens", "address", who);
};
