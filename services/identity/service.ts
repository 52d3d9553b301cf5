import { service } from "chassis";
import { adminReady, prepareAccounts } from "./accounts.ts";
import { prepare, ready } from "./provider/issuer.ts";
import { jobs } from "./reactions.ts";
import { routes } from "./routes.ts";
import { store } from "./store.ts";

export default service({
  name: "identity",
  store,
  routes,
  jobs,
  seals: ({ sealedUsers }) => [sealedUsers],
  async prepare(kit, commit) {
    await prepareAccounts(kit, commit);
    await prepare(kit, commit);
  },
  checks: { "signing key": ready, "development admin": adminReady },
  statuses: { "invalid-link": 422, "insufficient-scope": 403, "own-role": 403, "not-yours": 403 },
  // Clients authenticate here with their secret, not with a token.
  ownCredentials: ["/token", "/token/introspection", "/token/revocation"],
});
