import { service } from "chassis";
import { flags } from "./flags.ts";
import { jobs, reactions } from "./reactions.ts";
import { routes } from "./routes.ts";
import { store } from "./store.ts";

export default service({
  name: "orders",
  store,
  routes,
  seals: (store) => store.sealedRows(),
  shares: ["payment-tokens"],
  reactions,
  jobs,
  flags,
  statuses: {
    "not-found": 404,
    "unknown-product": 422,
    "mixed-currencies": 422,
    "total-too-large": 422,
    "promotion-not-applicable": 422,
    "promotion-never-holds": 422,
    "unknown-shipping-method": 422,
  },
});
