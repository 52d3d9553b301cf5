import type { Log } from "chassis";

export type Library = typeof import("oidc-provider");

/** Loads the library, which tells standard error that it does not know Bun; our tests do, and our log is JSON. */
export async function library(log: Log): Promise<Library> {
  const { warn } = console;
  console.warn = (text: unknown) => log.debug({ text: String(text) }, "oidc-provider");
  try {
    return await import("oidc-provider");
  } finally {
    console.warn = warn;
  }
}
