import { flag, type Kit, Problem } from "chassis";
import * as v from "valibot";

/** What can be set while orders run: npx souk config. */

export const CheckoutPaused = flag("checkout.paused", v.pipe(v.string(), v.trim(), v.maxLength(300)), {
  default: "",
  says: "No new orders are taken, and this text says why to whoever asks for one; orders that are under way go on",
});

/** The ways to pay that there are, whether this shop takes them or not. */
const methods = ["test", "stripe"];

export const PaymentsOff = flag(
  "payments.off",
  v.pipe(
    v.string(),
    v.transform((text) => text.split(",").map((name) => name.trim())),
    v.array(v.picklist(methods)),
  ),
  {
    default: [],
    says: `Ways to pay that new orders cannot take, comma between (${methods.join(", ")}); payments that are under way go on`,
  },
);

export const flags = [CheckoutPaused, PaymentsOff];

/** Long enough for a crowd not to come back at once, and short enough not to lose it. */
const comeBackAfter = 30;

/** @throws {Problem} 503 `checkout-paused` while no orders are taken */
export function ensureOpen({ flag }: Pick<Kit<unknown>, "flag">): void {
  const why = flag(CheckoutPaused);
  if (why !== "")
    throw new Problem(503, {
      code: "checkout-paused",
      detail: why,
      headers: { "retry-after": String(comeBackAfter) },
    });
}
