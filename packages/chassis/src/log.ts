import { type DestinationStream, type LoggerOptions, pino } from "pino";
import type { Config } from "./config.ts";

export type Log = ReturnType<typeof createLog>;

/** What never passes, at the top of what is logged and one step inside. */
const hidden = [
  "authorization",
  "cookie",
  "token",
  "orderKey",
  "clientSecret",
  "client_secret",
  "secret",
  "password",
  "email",
  "customer",
  "shippingAddress",
];

/**
 * One JSON line a message on standard output. Tokens, secrets and what is personal never pass under their names; what is
 * in a text is for whoever writes it to leave out.
 * @param to where the lines go instead
 */
export function createLog(config: Pick<Config, "name" | "logLevel">, to?: DestinationStream) {
  const options: LoggerOptions<never, boolean> = {
    level: config.logLevel,
    base: { service: config.name },
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label) => ({ level: label }) },
    messageKey: "message",
    redact: hidden.flatMap((name) => [name, `*.${name}`]),
  };
  return to ? pino(options, to) : pino(options);
}
