import { join } from "node:path";
import type { Config } from "chassis";
import type { Provider } from "./provider.ts";
import { testProvider } from "./test.ts";

const opened = new WeakMap<Config, Map<string, Provider>>();

/**
 * The providers that an order can be paid with, by its payment method; opened once. `TEST_PROVIDER_BOOK` is the file
 * of the test provider's book; `:memory:` keeps it in this process.
 */
export function providers(config: Config): ReadonlyMap<string, Provider> {
  let all = opened.get(config);
  if (all === undefined) {
    const book = config.env.TEST_PROVIDER_BOOK ?? join(config.dataDir, "test-provider.db");
    all = new Map([["test", testProvider(book)]]);
    opened.set(config, all);
  }
  return all;
}
