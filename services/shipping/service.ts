import { service } from "chassis";
import { reactions } from "./reactions.ts";
import { routes } from "./routes.ts";
import { store } from "./store.ts";

export default service({
  name: "shipping",
  store,
  routes,
  reactions,
  statuses: { "not-found": 404, "not-in-shipment": 422, "ambiguous-price": 422 },
});
