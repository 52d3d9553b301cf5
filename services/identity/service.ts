import { service } from "chassis";
import { prepare, ready } from "./provider/issuer.ts";
import { routes } from "./routes.ts";
import { store } from "./store.ts";

export default service({
  name: "identity",
  store,
  routes,
  prepare,
  checks: { "signing key": ready },
  // Clients authenticate here with their secret, not with a token.
  ownCredentials: ["/token"],
});
