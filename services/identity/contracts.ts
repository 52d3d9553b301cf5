import * as v from "valibot";

/** The schemas of this service's answers. */

/** OpenID Connect Discovery 1.0, section 3: only what is offered. */
export const Discovery = v.object({
  issuer: v.string(),
  token_endpoint: v.string(),
  jwks_uri: v.string(),
  grant_types_supported: v.array(v.string()),
  response_types_supported: v.array(v.string()),
  scopes_supported: v.array(v.string()),
  subject_types_supported: v.array(v.string()),
  id_token_signing_alg_values_supported: v.array(v.string()),
  token_endpoint_auth_methods_supported: v.array(v.string()),
});

/** RFC 7517: the public keys. */
export const Jwks = v.object({
  keys: v.array(
    v.object({
      kty: v.string(),
      kid: v.string(),
      use: v.string(),
      alg: v.string(),
      n: v.string(),
      e: v.string(),
    }),
  ),
});

/** RFC 6749, section 4.4.2; the client may also show its secret in the Authorization header. */
export const TokenRequest = v.object({
  grant_type: v.literal("client_credentials"),
  scope: v.optional(v.string()),
  client_id: v.optional(v.string()),
  client_secret: v.optional(v.string()),
});

/** RFC 6749, section 5.1. */
export const Token = v.object({
  access_token: v.string(),
  token_type: v.literal("Bearer"),
  expires_in: v.number(),
  scope: v.optional(v.string()),
});

/** RFC 6749, section 5.2. */
export const TokenRefusal = v.object({ error: v.string(), error_description: v.optional(v.string()) });

/** Nothing is published yet. */
export const publishes = [];
