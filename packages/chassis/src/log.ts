import { pino } from "pino";
import type { Config } from "./config.ts";

export type Log = ReturnType<typeof createLog>;

/** One JSON line a message on standard output. Tokens and secrets never pass, wherever they stand. */
export function createLog(config: Pick<Config, "name" | "logLevel">) {
  return pino({
    level: config.logLevel,
    base: { service: config.name },
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label) => ({ level: label }) },
    messageKey: "message",
    redact: [
      "authorization",
      "token",
      "*.authorization",
      "*.token",
      "*.clientSecret",
      "*.secret",
      "*.password",
    ],
  });
}
