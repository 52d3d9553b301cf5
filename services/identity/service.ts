import { service } from "chassis";
import { prepareAccounts } from "./accounts.ts";
import { prepare, ready } from "./provider/issuer.ts";
import { routes } from "./routes.ts";
import { store } from "./store.ts";

export default service({
  name: "identity",
  store,
  routes,
  async prepare(kit, commit) {
    prepareAccounts(kit, commit);
    await prepare(kit, commit);
  },
  checks: { "signing key": ready },
  // Clients authenticate here with their secret, not with a token.
  ownCredentials: ["/token"],
});
