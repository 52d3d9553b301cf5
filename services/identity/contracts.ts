import { line } from "chassis";
import { event } from "hono-dapr";
import * as v from "valibot";

/** The schemas of this service's events, bodies and answers. */

/** OpenID Connect Discovery 1.0, section 3: only what is offered. */
export const Discovery = v.object({
  issuer: v.string(),
  authorization_endpoint: v.string(),
  token_endpoint: v.string(),
  userinfo_endpoint: v.string(),
  revocation_endpoint: v.string(),
  introspection_endpoint: v.string(),
  end_session_endpoint: v.string(),
  jwks_uri: v.string(),
  grant_types_supported: v.array(v.string()),
  response_types_supported: v.array(v.string()),
  response_modes_supported: v.array(v.string()),
  scopes_supported: v.array(v.string()),
  claims_supported: v.array(v.string()),
  subject_types_supported: v.array(v.string()),
  code_challenge_methods_supported: v.array(v.string()),
  authorization_response_iss_parameter_supported: v.boolean(),
  id_token_signing_alg_values_supported: v.array(v.string()),
  token_endpoint_auth_methods_supported: v.array(v.string()),
  token_endpoint_auth_signing_alg_values_supported: v.array(v.string()),
});

/** RFC 7517: the public keys, of RSA or of the curve P-256. */
export const Jwks = v.object({
  keys: v.array(
    v.object({
      kty: v.string(),
      kid: v.string(),
      use: v.string(),
      alg: v.string(),
      n: v.optional(v.string()),
      e: v.optional(v.string()),
      crv: v.optional(v.string()),
      x: v.optional(v.string()),
      y: v.optional(v.string()),
    }),
  ),
});

const ofClient = {
  client_id: v.optional(v.string()),
  client_secret: v.optional(v.string()),
  client_assertion_type: v.optional(v.string()),
  client_assertion: v.optional(v.string()),
};

/** RFC 6749, sections 4.1.3, 4.4.2 and 6; the client may also show its secret in the Authorization header. */
export const TokenRequest = v.object({
  grant_type: v.picklist(["client_credentials", "authorization_code", "refresh_token"]),
  scope: v.optional(v.string()),
  resource: v.optional(v.string()),
  code: v.optional(v.string()),
  redirect_uri: v.optional(v.string()),
  code_verifier: v.optional(v.string()),
  refresh_token: v.optional(v.string()),
  ...ofClient,
});

/** RFC 6749, section 5.1; OpenID Connect Core, section 3.1.3.3. */
export const Token = v.object({
  access_token: v.string(),
  token_type: v.literal("Bearer"),
  expires_in: v.number(),
  scope: v.optional(v.string()),
  refresh_token: v.optional(v.string()),
  id_token: v.optional(v.string()),
});

/** RFC 6749, section 5.2. */
export const TokenRefusal = v.object({ error: v.string(), error_description: v.optional(v.string()) });

/** RFC 7009, section 2.1; RFC 7662, section 2.1. */
export const TokenQuestion = v.object({
  token: v.pipe(v.string(), v.minLength(1)),
  token_type_hint: v.optional(v.string()),
  ...ofClient,
});

/** RFC 7662, section 2.2. */
export const Introspection = v.object({
  active: v.boolean(),
  scope: v.optional(v.string()),
  client_id: v.optional(v.string()),
  sub: v.optional(v.string()),
  aud: v.optional(v.string()),
  iss: v.optional(v.string()),
  exp: v.optional(v.number()),
  iat: v.optional(v.number()),
  token_type: v.optional(v.string()),
});

/** OpenID Connect Core, section 5.3.2: as far as the token's scopes go. */
export const UserInfo = v.object({
  sub: v.string(),
  name: v.optional(v.string()),
  locale: v.optional(v.string()),
  role: v.optional(v.string()),
  email: v.optional(v.string()),
  email_verified: v.optional(v.boolean()),
});

/** A signing key, as its keepers see it. */
export const KeyView = v.object({
  kid: v.string(),
  algorithm: v.string(),
  state: v.picklist(["signs", "next", "checks", "withdrawn"]),
  createdAt: v.string(),
  signsFrom: v.nullable(v.string()),
});
export const KeyList = v.object({ items: v.array(KeyView) });
/** `at`: when the next key begins to sign. */
export const KeyRotation = v.object({ at: v.string(), items: v.array(KeyView) });

/** What a client may be allowed: everything that asks for more than a guest may do. */
export const StaffScope = v.picklist([
  "orders:read",
  "orders:write",
  "orders:manage",
  "catalog:write",
  "inventory:write",
  "payments:manage",
  "users:manage",
  "ops",
]);
/** What a client may learn of a person (OpenID Connect Core, section 5.4), and that it may do so while they are away. */
export const PersonScope = v.picklist(["openid", "profile", "email", "offline_access"]);

const Uri = v.pipe(v.string(), v.maxLength(2_000));
/**
 * A client that is to get tokens. One with redirect URIs signs people in; one without is a machine. `keys` are the public
 * keys (RFC 7517) of one with `private_key_jwt`; `native` is a program on people's own devices.
 */
export const NewClient = v.strictObject({
  name: line(100),
  scopes: v.pipe(
    v.array(v.picklist([...StaffScope.options, ...PersonScope.options])),
    v.minLength(1),
    v.maxLength(50),
  ),
  auth: v.optional(v.picklist(["client_secret", "private_key_jwt", "none"]), "client_secret"),
  redirectUris: v.optional(v.pipe(v.array(Uri), v.maxLength(20))),
  postLogoutRedirectUris: v.optional(v.pipe(v.array(Uri), v.maxLength(20))),
  native: v.optional(v.boolean()),
  keys: v.optional(v.pipe(v.array(v.record(v.string(), v.unknown())), v.minLength(1), v.maxLength(5))),
});
export type NewClient = v.InferOutput<typeof NewClient>;

export const ClientView = v.object({
  id: v.string(),
  name: v.string(),
  scopes: v.array(v.string()),
  auth: v.string(),
  redirectUris: v.array(v.string()),
  postLogoutRedirectUris: v.array(v.string()),
});
/** `secret` is shown once: only a digest of it is kept. */
export const CreatedClient = v.object({ ...ClientView.entries, secret: v.optional(v.string()) });
export const ClientList = v.object({ items: v.array(ClientView), nextCursor: v.nullable(v.string()) });
export const ClientQuery = v.strictObject({ limit: v.optional(v.string()), cursor: v.optional(v.string()) });

// ── Users ───────────────────────────────────────────────────────────────────────────────────────────────────

/** An address as mail servers take it (RFC 5321: 254 characters at most). */
export const Email = v.pipe(v.string(), v.trim(), v.maxLength(254), v.email());
/** At least 8 characters, whatever they are (NIST SP 800-63B); well-known passwords are refused besides. */
export const Password = v.pipe(
  v.string(),
  v.regex(/^[^\p{Cc}\p{Cs}]{8,128}$/u, "8 to 128 characters, no control characters"),
);
/** A password that is only compared: nothing is demanded of it. */
const AnyPassword = v.pipe(v.string(), v.maxLength(1_000));
const Language = v.pipe(
  v.string(),
  v.regex(/^[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$/, "a BCP 47 tag such as en-GB"),
);
const Role = v.picklist(["customer", "staff", "admin"]);
/** Out of the link in a mail. */
const LinkToken = line(255);

export const NewUser = v.strictObject({
  email: Email,
  password: Password,
  name: line(200),
  language: v.optional(Language),
});
export type NewUser = v.InferOutput<typeof NewUser>;

/** What is left out stays. Who changes their own e-mail or password shows `currentPassword`; a role needs users:manage. */
export const UserPatch = v.strictObject({
  name: v.optional(line(200)),
  language: v.optional(Language),
  email: v.optional(Email),
  password: v.optional(Password),
  currentPassword: v.optional(AnyPassword),
  role: v.optional(Role),
});

export const UserView = v.object({
  id: v.string(),
  email: v.string(),
  emailVerified: v.boolean(),
  /** Takes the place of `email` once the link that was sent there has been opened. */
  pendingEmail: v.optional(v.string()),
  name: v.string(),
  role: Role,
  language: v.string(),
  createdAt: v.string(),
});
export type UserView = v.InferOutput<typeof UserView>;
export const UserList = v.object({ items: v.array(UserView), nextCursor: v.nullable(v.string()) });
export const UserQuery = v.strictObject({
  email: v.optional(Email),
  role: v.optional(Role),
  limit: v.optional(v.string()),
  cursor: v.optional(v.string()),
});

/** All that is kept of a person here, but the hash of the password; and where the rest is. */
export const UserExport = v.object({
  exportedAt: v.string(),
  user: v.object({ ...UserView.entries, version: v.number(), validFrom: v.string() }),
  openLinks: v.array(v.object({ purpose: v.string(), expiresAt: v.string() })),
  wrongPasswords: v.array(v.string()),
  elsewhere: v.array(v.object({ what: v.string(), href: v.string() })),
});
export type UserExport = v.InferOutput<typeof UserExport>;

export const MailRequest = v.strictObject({ email: Email });
export const LinkUse = v.strictObject({ token: LinkToken });
export const PasswordReset = v.strictObject({ token: LinkToken, password: Password });

// ── Published on topic `identity` ───────────────────────────────────────────────────────────────────────────

const userId = v.string();
/** A JWE (RFC 7516, compact; dir, A256GCM) under the secret `mail`, which only the mailer has as well. */
const Sealed = v.string();

export const UserRegistered = event(
  "identity",
  "user.registered",
  v.object({ userId, language: v.string() }),
);
export const UserChanged = event("identity", "user.changed", v.object({ userId }));
export const UserErased = event("identity", "user.erased", v.object({ userId }));
export const UserMailRequested = event(
  "identity",
  "user.mail-requested",
  v.object({
    userId,
    template: v.picklist(["verify-email", "reset-password", "already-registered"]),
    language: v.string(),
    to: Sealed,
    name: Sealed,
    link: Sealed,
  }),
);

const sealed = "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA";
const example = { userId: "u-1", language: "en" };

/** Everything published here, each with an example that consumers check themselves against. */
export const publishes = [
  { type: UserRegistered, example },
  { type: UserChanged, example: { userId: "u-1" } },
  { type: UserErased, example: { userId: "u-1" } },
  {
    type: UserMailRequested,
    example: { ...example, template: "verify-email" as const, to: sealed, name: sealed, link: sealed },
  },
];
