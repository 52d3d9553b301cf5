import type { Commit, Log } from "chassis";
import { StorageUnavailable } from "drizzle-outbox";
import type { JWK } from "jose";
import type { AccountClaims, KoaContextWithOIDC, Provider } from "oidc-provider";
import type { Account } from "../accounts.ts";
import type { Store } from "../store.ts";
import { adapters } from "./adapter.ts";
import type { Client } from "./clients.ts";
import { introspectable } from "./introspection.ts";
import { library } from "./library.ts";
import { lifetimes } from "./lifetimes.ts";
import { continuePage, errorPage, signedOutPage, signOutPage } from "./pages.ts";
import { loadGrant, policy } from "./policy.ts";
import type { Algorithm } from "./ring.ts";
import { personScopes, staffScopes } from "./scopes.ts";
import type { Sealing } from "./sealing.ts";
import { holds } from "./secret.ts";

// The shop's API, as RFC 8707 names it: an absolute URI. Nobody has to ask for it.
export const api = "urn:souk:api";
/** A header within this service: where a form of the page may lead in the end. */
export const leadsTo = "x-leads-to";
const signOutConfirm = "/session/end/confirm";

/** What {@link createProvider} needs of its surroundings. */
export interface ProviderRoom {
  issuer: string;
  /** The `aud` of the tokens. */
  audience: string;
  algorithm: Algorithm;
  /** Private keys, the one that signs first. */
  keys: JWK[];
  sealing: Sealing;
  store: Store;
  commit: Commit;
  now(): number;
  log: Log;
  client(id: string): Promise<Client | undefined>;
  account(id: string): Promise<Account | undefined>;
  /** The scopes of a person's role. */
  scopesOf(account: Account): readonly string[];
}

/**
 * The OpenID Provider: authorization code with PKCE for people, `client_credentials` for machines, refresh tokens that
 * are used once. Access tokens are JWTs as RFC 9068 has them. For `client_credentials` with a secret nothing is kept,
 * and nothing is read but the client.
 */
export async function createProvider(room: ProviderRoom): Promise<Provider> {
  const { issuer, audience, algorithm, keys, sealing, client, log } = room;
  const { default: OpenIdProvider, errors, interactionPolicy } = await library(log);
  const usedAlready = (kind: string): Error =>
    kind === "ReplayDetection"
      ? new errors.InvalidClient("client assertion tokens must only be used once")
      : new errors.InvalidGrant(`${kind} has just been used by another request`);
  const algorithms = [algorithm];
  const signs = ["RS256", "PS256", "ES256", "EdDSA"] as const;

  const provider = new OpenIdProvider(issuer, {
    adapter: adapters({ ...room, usedAlready }),
    jwks: { keys: keys as never },
    cookies: {
      keys: [sealing.cookieKey],
      long: { signed: true, httpOnly: true, sameSite: "lax" },
      short: { signed: true, httpOnly: true, sameSite: "lax" },
    },
    scopes: [...personScopes, ...staffScopes],
    claims: {
      openid: ["sub"],
      profile: ["name", "locale", "role"],
      email: ["email", "email_verified"],
    },
    responseTypes: ["code"],
    pkce: { required: () => true },
    clientAuthMethods: ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"],
    clientDefaults: { id_token_signed_response_alg: algorithm },
    enabledJWA: { idTokenSigningAlgValues: algorithms, clientAuthSigningAlgValues: signs },
    allowOmittingSingleRegisteredRedirectUri: false,
    rotateRefreshToken: true,
    issueRefreshToken: (_ctx, asking) => asking.grantTypeAllowed("refresh_token"),
    ttl: lifetimes,
    clientBasedCORS: () => false,
    interactions: { policy: policy(interactionPolicy), url: (_ctx, { uid }) => `/interaction/${uid}` },
    loadExistingGrant: (ctx) => loadGrant(ctx, client),
    findAccount: (ctx, id, token) => person(room, ctx, id, token as { iat?: number } | undefined),
    renderError(ctx, out) {
      ctx.type = "html";
      ctx.body = String(errorPage(out));
    },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      // Tokens are for the API, and so is /me: see routes.ts.
      userinfo: { enabled: false },
      pushedAuthorizationRequests: { enabled: false },
      dPoP: { enabled: false },
      revocation: {
        enabled: true,
        allowedPolicy: (_ctx, asking, token) => token.clientId === asking.clientId,
      },
      introspection: {
        enabled: true,
        // Others' refresh tokens are nobody's business.
        allowedPolicy: (_ctx, asking, token) =>
          asking.clientAuthMethod !== "none" && token.clientId === asking.clientId,
      },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource(ctx) {
          ctx.body = String(signOutPage({ action: signOutConfirm, xsrf: stateOf(ctx).secret ?? "" }));
        },
        postLogoutSuccessSource(ctx) {
          ctx.body = String(signedOutPage());
        },
      },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => api,
        useGrantedResource: () => true,
        async getResourceServerInfo(ctx, resource, known) {
          if (resource !== api) throw new errors.InvalidTarget();
          const scope =
            ctx.oidc.route === "token" && ctx.oidc.params?.grant_type === "client_credentials"
              ? ofMachine(ctx, known.scope)
              : await ofPerson(room, ctx, known.scope);
          return {
            scope,
            audience,
            accessTokenTTL: lifetimes.AccessToken,
            accessTokenFormat: "jwt",
            jwt: { sign: { alg: algorithm } },
          };
        },
      },
    },
  });

  /** Who asks for nothing in particular gets all that it may have. */
  function ofMachine(ctx: KoaContextWithOIDC, allowed: string | undefined): string {
    const { params } = ctx.oidc;
    const may = (allowed?.split(" ") ?? []).filter((scope) => staffScopes.includes(scope));
    const asked = typeof params?.scope === "string" ? params.scope : may.join(" ");
    const refused = asked.split(" ").find((scope) => !may.includes(scope));
    if (refused !== undefined) throw new errors.InvalidScope("requested scope is not allowed", refused);
    if (params) params.scope = asked;
    return asked;
  }

  // Clients' secrets are kept as digests.
  Object.assign(provider.Client.prototype, {
    compareClientSecret(this: { clientSecret?: string }, secret: string): boolean {
      return holds(secret, this.clientSecret);
    },
  });
  provider.use(introspectable(room));
  provider.use(withoutScript);
  provider.use(inTheQuery);
  provider.on("server_error", (ctx, error) => {
    if (!StorageUnavailable.of(error)) {
      log.error({ err: error.stack ?? String(error) }, "a request to the OpenID Provider failed");
      return;
    }
    // That the database does not store is said once, when it begins.
    ctx.status = 503;
    ctx.set("retry-after", "2");
  });
  return provider;
}

/**
 * Where nobody is signed in any more, or somebody else, the library wants a form sent by a script: ours has a button.
 * And it says where a form may lead, which is what our policy for pages needs to know.
 */
async function withoutScript(ctx: KoaContextWithOIDC, next: () => Promise<void>): Promise<void> {
  await next();
  const { oidc } = ctx;
  if (!oidc || (oidc.route !== "end_session" && oidc.route !== "resume") || ctx.type !== "text/html") return;
  const { secret, postLogoutRedirectUri } = stateOf(ctx);
  if (typeof ctx.body === "string" && ctx.body.includes("<script>") && secret)
    ctx.body = String(continuePage({ action: signOutConfirm, xsrf: secret }));
  if (postLogoutRedirectUri) ctx.set(leadsTo, postLogoutRedirectUri);
}

/** Answers go by query alone: a form would need a script, and a fragment stays where pages can read it. */
async function inTheQuery(ctx: KoaContextWithOIDC, next: () => Promise<void>): Promise<void> {
  const { response_mode: mode } = ctx.query;
  if (ctx.path !== "/auth" || mode === undefined || mode === "query") return next();
  ctx.status = 400;
  ctx.type = "html";
  ctx.body = String(
    errorPage({ error: "unsupported_response_mode", error_description: "response_mode must be query" }),
  );
}

/** What a session remembers between the page that asks about signing out and its answer. */
const stateOf = ({ oidc }: KoaContextWithOIDC): { secret?: string; postLogoutRedirectUri?: string } =>
  (oidc.session?.state as Record<string, string> | undefined) ?? {};

/** What a client may have, as far as the person may; everything that it may have, as long as nobody has signed in. */
async function ofPerson(
  { account, scopesOf }: ProviderRoom,
  ctx: KoaContextWithOIDC,
  allowed: string | undefined,
): Promise<string> {
  const may = allowed?.split(" ") ?? [];
  const id = ctx.oidc.account?.accountId ?? ctx.oidc.session?.accountId;
  const user = id === undefined ? undefined : await account(id);
  if (!user) return may.join(" ");
  const theirs = new Set([...personScopes, ...scopesOf(user)]);
  return may.filter((scope) => theirs.has(scope)).join(" ");
}

/** The account of an id, unless what rests on it is older than the account's last change of password or role. */
async function person(
  { account }: ProviderRoom,
  ctx: KoaContextWithOIDC,
  id: string,
  token: { iat?: number } | undefined,
) {
  const user = await account(id);
  if (!user) return undefined;
  const since = token ? token.iat : ctx.oidc.session?.loginTs;
  if (since !== undefined && since < user.validFrom) return undefined;
  return { accountId: user.id, claims: () => claimsOf(user) };
}

/** All that a client may be told of a person; scopes narrow it. */
export const claimsOf = (user: Account): AccountClaims => ({
  sub: user.id,
  name: user.name,
  locale: user.language,
  role: user.role,
  email: user.email,
  email_verified: user.emailVerified,
});
