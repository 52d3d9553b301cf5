import type { Exchange } from "../answers.ts";

/** What a client wanted once, however often it asked: the requests of one Idempotency-Key, or one without. */
export interface Intent {
  requests: Exchange[];
  /** Answers with 2xx. */
  accepted: Exchange[];
  /** It may have had its effect: it was accepted, or some request of it has no answer that rules that out. */
  possible: boolean;
}

export const isAccepted = ({ answer }: Exchange): boolean =>
  typeof answer?.status === "number" && answer.status >= 200 && answer.status < 300;

/** No answer, or a failure on the way back: it may have had its effect or not. */
export const isUncertain = ({ answer }: Exchange): boolean =>
  answer === undefined || answer.status === null || answer.status >= 500;

export const pathOf = ({ asked }: Exchange): string => asked.path.split("?")[0] ?? "";

/** The requests of a method whose path fits; the groups of the pattern are handed on, decoded. */
export function requests(
  exchanges: Exchange[],
  method: string,
  pattern: RegExp,
): { exchange: Exchange; parts: string[] }[] {
  return exchanges.flatMap((exchange) => {
    const match = exchange.asked.method === method ? pattern.exec(pathOf(exchange)) : null;
    return match ? [{ exchange, parts: match.slice(1).map(decodeURIComponent) }] : [];
  });
}

/** What was wanted: requests of one caller, method, path and key belong together; of guests, who are many, of one body. */
export function intents(exchanges: Exchange[]): Intent[] {
  const groups = Map.groupBy(exchanges, ({ asked: { n, who, method, path, idempotencyKey, body } }) =>
    idempotencyKey === undefined
      ? String(n)
      : [who, method, path, idempotencyKey, who === "guest" ? JSON.stringify(body) : ""].join("\n"),
  );
  return [...groups.values()].map((all) => {
    const accepted = all.filter(isAccepted);
    return { requests: all, accepted, possible: accepted.length > 0 || all.some(isUncertain) };
  });
}

export const orders = /^\/api\/orders$/;
export const cancels = /^\/api\/orders\/([^/]+)\/cancel$/;
export const returns = /^\/api\/orders\/([^/]+)\/returns$/;
export const refunds = /^\/api\/payments\/([^/]+)\/refunds$/;
export const imports = /^\/api\/products\/import$/;
export const taxRates = /^\/api\/tax-rates\/([^/]+)\/([^/]+)$/;
export const levels = /^\/api\/stock\/([^/]+)$/;
