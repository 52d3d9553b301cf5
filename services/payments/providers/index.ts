import { join } from "node:path";
import type { Config } from "chassis";
import type { Provider } from "./provider.ts";
import { testProvider } from "./test.ts";

const opened = new WeakMap<Config, Map<string, Provider>>();

/** The providers that an order can be paid with, by its payment method; opened once. */
export function providers(config: Config): ReadonlyMap<string, Provider> {
  let all = opened.get(config);
  if (all === undefined) {
    all = new Map([["test", testProvider(join(config.dataDir, "test-provider.db"))]]);
    opened.set(config, all);
  }
  return all;
}
