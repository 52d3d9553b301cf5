import type { Service } from "chassis";
import type { Provider } from "../../services/payments/providers/provider.ts";
import type { App } from "./plan.ts";

/** A bug, planted to see whether the simulator finds it. */
export interface Bug {
  name: string;
  /** Another SQL text for a statement; `undefined` has it answered without being run. */
  rewrite?(app: App, text: string): string | undefined;
  service?(definition: Service<unknown>, app: App): Service<unknown>;
  provider?(provider: Provider): Provider;
  /** Publishing is answered before the broker has the events: whoever dies then has lost them. */
  publishesLater?: boolean;
  /** What failed is acknowledged to the broker. */
  acknowledgesFailures?: boolean;
  /** A commit is answered before it is safe: a crash takes the last one. */
  forgetsLastCommit?: boolean;
}
