import { service } from "chassis";
import { jobs, measures, prepare, reactions } from "./reactions.ts";
import { routes } from "./routes.ts";
import { store } from "./store.ts";

export default service({
  name: "notifications",
  store,
  routes,
  reactions,
  jobs,
  // A receiver may take all its time; it must not keep mails waiting.
  jobsAtOnce: 512,
  seals: (store) => store.sealedRows(),
  prepare,
  measures,
  statuses: { "events-not-allowed": 403, "webhook-url-refused": 422 },
});
