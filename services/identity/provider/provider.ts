import type { Log } from "chassis";
import type { JWK } from "jose";
import type { Adapter, AdapterPayload, Provider } from "oidc-provider";
import type { Client } from "../store.ts";
import { staffScopes } from "./scopes.ts";
import { holds } from "./secret.ts";

const tokenSeconds = 600;
// The shop's API, as RFC 8707 names it: an absolute URI. Nobody has to ask for it.
const api = "urn:souk:api";

/** What {@link createProvider} needs of its surroundings. */
export interface ProviderRoom {
  issuer: string;
  /** The `aud` of the tokens. */
  audience: string;
  /** Private keys, the one that signs first. */
  keys: JWK[];
  client(id: string): Promise<Client | undefined>;
  log: Log;
}

/**
 * The OpenID Provider, as far as it is offered: `client_credentials` for machines, with JWTs as RFC 9068 has them.
 * Nothing is kept for a token, and nothing is read but the client.
 */
export async function createProvider({
  issuer,
  audience,
  keys,
  client,
  log,
}: ProviderRoom): Promise<Provider> {
  const { default: OpenIdProvider, errors } = await library(log);
  const provider = new OpenIdProvider(issuer, {
    adapter: (kind) => clientsOnly(kind, client),
    jwks: { keys: keys as never },
    scopes: [...staffScopes],
    responseTypes: [],
    clientAuthMethods: ["client_secret_basic", "client_secret_post"],
    ttl: { ClientCredentials: tokenSeconds },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      userinfo: { enabled: false },
      rpInitiatedLogout: { enabled: false },
      pushedAuthorizationRequests: { enabled: false },
      dPoP: { enabled: false },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => api,
        getResourceServerInfo(ctx, resource, known) {
          if (resource !== api) throw new errors.InvalidTarget();
          const { params } = ctx.oidc;
          const may = new Set(known.scope?.split(" "));
          // Who asks for nothing in particular gets all that it may have.
          const asked = typeof params?.scope === "string" ? params.scope : [...may].join(" ");
          const refused = asked.split(" ").find((scope) => !may.has(scope));
          if (refused !== undefined) throw new errors.InvalidScope("requested scope is not allowed", refused);
          if (params) params.scope = asked;
          return {
            scope: asked,
            audience,
            accessTokenTTL: tokenSeconds,
            accessTokenFormat: "jwt",
            jwt: { sign: { alg: "RS256" } },
          };
        },
      },
    },
  });
  // Clients' secrets are kept as digests.
  Object.assign(provider.Client.prototype, {
    compareClientSecret(this: { clientSecret?: string }, secret: string): boolean {
      return holds(secret, this.clientSecret);
    },
  });
  provider.on("server_error", (_ctx, error) =>
    log.error({ err: error.stack ?? String(error) }, "a token request failed"),
  );
  return provider;
}

/** Loads the library, which tells standard error that it does not know Bun; our tests do, and our log is JSON. */
async function library(log: Log): Promise<typeof import("oidc-provider")> {
  const { warn } = console;
  console.warn = (text: unknown) => log.debug({ text: String(text) }, "oidc-provider");
  try {
    return await import("oidc-provider");
  } finally {
    console.warn = warn;
  }
}

/** Where the library looks for what it keeps. It keeps nothing; it only looks for clients. */
function clientsOnly(kind: string, client: ProviderRoom["client"]): Adapter {
  const unused = async (): Promise<never> => {
    throw new Error(`nothing is kept of a ${kind}`);
  };
  return {
    async find(id) {
      const found = kind === "Client" ? await client(id) : undefined;
      return found && metadataOf(found);
    },
    upsert: unused,
    findByUid: unused,
    findByUserCode: unused,
    consume: unused,
    destroy: unused,
    revokeByGrantId: unused,
  };
}

const metadataOf = ({ id, name, secretDigest, scopes }: Client): AdapterPayload => ({
  client_id: id,
  client_name: name,
  client_secret: secretDigest,
  scope: scopes.join(" "),
  grant_types: ["client_credentials"],
  response_types: [],
  redirect_uris: [],
  token_endpoint_auth_method: "client_secret_basic",
});
