import { service } from "chassis";
import { checks, crons, jobs, reactions } from "./reactions.ts";
import { measures } from "./reconciliation.ts";
import { routes } from "./routes.ts";
import { store } from "./store.ts";

export default service({
  name: "payments",
  store,
  routes,
  shares: ["payment-tokens"],
  reactions,
  jobs,
  crons,
  checks,
  measures,
  // Stripe signs what it sends; it has no token.
  ownCredentials: ["/payments/webhooks/stripe"],
  // A call may wait for its provider's time-out; it must not keep others waiting.
  jobsAtOnce: 4_096,
  statuses: { "wrong-currency": 422, "refund-too-large": 422 },
});
