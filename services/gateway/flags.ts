import { flag } from "chassis";
import * as v from "valibot";
import { limitsIn } from "./budgets.ts";

/** What can be set while the gateway runs: npx souk config. */

export const CheckoutLimits = flag(
  "rate-limits.checkout",
  v.pipe(
    v.string(),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      const limits = limitsIn(dataset.value);
      if (limits !== undefined) return limits;
      addIssue({ message: 'It must be like "address=60 user=60 client=600", or "off"' });
      return NEVER;
    }),
  ),
  {
    default: {},
    says: 'Orders and changes of carts a minute, of a network without a token, a user and a client ("address=20 user=20 client=600"); what is not named stays as the gateway was started with, "off" is no limit',
  },
);

export const flags = [CheckoutLimits];
