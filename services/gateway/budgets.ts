import type { Config } from "chassis";

/** What requests are counted as. Each has limits of its own: who browses can still pay, and the other way round. */
export type Budget = "sign-in" | "checkout" | "reads" | "changes" | "webhooks" | "bad-tokens";
/** Whose requests are counted: those of a network without a token, of a person, of a machine's client. */
export type By = "address" | "user" | "client";

export type Limits = Partial<Record<By, number>>;

/** Requests a minute where a deployment says nothing else. */
const usual: Record<Budget, Limits> = {
  // Each attempt is several steps: the page, the password, the code, the way back.
  "sign-in": { address: 120, user: 60, client: 600 },
  checkout: { address: 120, user: 60, client: 60_000 },
  // A page of a shop asks for a dozen things.
  reads: { address: 3_000, user: 3_000, client: 600_000 },
  changes: { address: 600, user: 600, client: 60_000 },
  // A provider tells of every payment, from few addresses; what is not signed by it goes no further.
  webhooks: { address: 60_000 },
  // Of one address; checking a signature costs more than anything else here.
  "bad-tokens": { address: 600 },
};

export const budgets = Object.keys(usual) as Budget[];

/**
 * Limits of a budget: `RATE_LIMIT_SIGN_IN="address=120 user=60 client=600"`, and so for CHECKOUT, READS, CHANGES,
 * WEBHOOKS and BAD_TOKENS; what is not named keeps its default, `off` or 0 has no limit. `RATE_LIMITS=off` takes away those that
 * are not set by themselves.
 * @throws {Error} naming the variable and what it may say
 */
export function limitsOf({ env }: Pick<Config, "env">, budget: Budget): Limits {
  const all = env.RATE_LIMITS?.trim() || "on";
  if (all !== "on" && all !== "off") throw new Error(`RATE_LIMITS must be "on" or "off", not "${all}"`);
  const name = `RATE_LIMIT_${budget.replace("-", "_").toUpperCase()}`;
  const said = env[name]?.trim();
  if (!said) return all === "off" ? {} : usual[budget];
  if (said === "off") return {};
  const limits = limitsIn(said);
  if (limits === undefined)
    throw new Error(`${name} must be like "address=60 user=60 client=600", or "off"; not "${said}"`);
  return all === "off" ? limits : { ...usual[budget], ...limits };
}

/** Limits that a text names: `address=60 user=60 client=600`, or `off`; 0 is none. Undefined: it is no such text. */
export function limitsIn(text: string): Limits | undefined {
  if (text.trim() === "off") return { address: 0, user: 0, client: 0 };
  const parts = text
    .trim()
    .split(/[\s,]+/)
    .map((part) => /^(address|user|client)=(\d{1,9})$/.exec(part));
  if (parts.includes(null)) return undefined;
  return Object.fromEntries(parts.map((part) => [part?.[1], Number(part?.[2])]));
}

const signingIn = /^\/(token|auth|interaction|session\/(sign-in|callback))(\/|$)/;
// What a machine asks for each token that it is shown, and the ends of sessions.
const machines = /^\/token\/(introspection|revocation)$/;
const accounts = /^(\/api\/users|\/(register|reset-password|forgot-password|verify-email))(\/|$)/;
const told = /^\/api\/(?:payments|shipping)\/webhooks\//;
const buying = /^\/api\/((orders|quotes)$|carts(\/|$))/;

/** What a request counts as. */
export function budgetOf(method: string, path: string): Budget {
  if (signingIn.test(path)) return machines.test(path) ? "changes" : "sign-in";
  if (method === "GET" || method === "HEAD" || method === "OPTIONS") return "reads";
  if (accounts.test(path)) return "sign-in";
  if (told.test(path)) return "webhooks";
  return buying.test(path) ? "checkout" : "changes";
}
