import { service } from "chassis";
import { jobs, reactions } from "./reactions.ts";
import { routes } from "./routes.ts";
import { store } from "./store.ts";

export default service({
  name: "payments",
  store,
  routes,
  reactions,
  jobs,
  // A call may wait for its provider's time-out; it must not keep others waiting.
  jobsAtOnce: 4_096,
  statuses: { "wrong-currency": 422, "refund-too-large": 422 },
});
