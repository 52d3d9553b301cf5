import { cacheable, open, problems, router, says } from "chassis";
import { Discovery, Jwks, Token, TokenRefusal, TokenRequest } from "./contracts.ts";
import { accountPages } from "./provider/account-pages.ts";
import { clientRoutes } from "./provider/client-routes.ts";
import { endpoints } from "./provider/endpoints.ts";
import { interactionRoutes } from "./provider/interactions.ts";
import { issuerOf } from "./provider/issuer.ts";
import type { Store } from "./store.ts";
import { userRoutes } from "./users-routes.ts";

const holds = "public, max-age=300";

export const routes = router<Store>()
  .route("/", userRoutes)
  .route("/", clientRoutes)
  .route("/", endpoints)
  .route("/", interactionRoutes)
  .route("/", accountPages)
  .get(
    "/.well-known/openid-configuration",
    says("What this OpenID Provider offers", { 200: Discovery, ...problems(503) }),
    open("clients find the provider by it"),
    async (c) => cacheable(c, await issuerOf(c.var.kit).discovery(), holds),
  )
  .get(
    "/jwks",
    says("The public keys that tokens are checked with", { 200: Jwks, ...problems(503) }),
    open("public keys are public"),
    async (c) => cacheable(c, await issuerOf(c.var.kit).jwks(), holds),
  )
  .post(
    "/token",
    says(
      "Get an access token: as a machine, for a person's code, or for a refresh token",
      { 200: Token, 400: TokenRefusal, 401: TokenRefusal, ...problems(413, 503) },
      { "application/x-www-form-urlencoded": TokenRequest },
    ),
    open("the client shows its own credentials here"),
    async (c) => issuerOf(c.var.kit).answer(c.req.raw),
  );
