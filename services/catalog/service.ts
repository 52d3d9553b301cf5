import { service } from "chassis";
import { routes } from "./routes.ts";
import { store } from "./store.ts";

export default service({
  name: "catalog",
  store,
  routes,
  statuses: { "not-found": 404 },
  bodyLimits: { "/products/import": 64 * 1024 * 1024 },
});
