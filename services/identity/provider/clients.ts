import { personScopes, staffScopes } from "./scopes.ts";

/** A client that may get tokens. Its secret is not kept, only a digest of it. */
export interface Client {
  id: string;
  /** As people read it on the consent page. */
  name: string;
  /** Empty where it has no secret. */
  secretDigest: string;
  /** The most that it may ever have; a person's role narrows it further. */
  scopes: string[];
  /** Of a client that acts for people, or shows a key instead of a secret; a machine with a secret has none. */
  settings?: ClientSettings | null | undefined;
}

export interface ClientSettings {
  /** `none`: public; it has nothing to prove who it is but its redirect URIs and PKCE. */
  auth: "client_secret" | "private_key_jwt" | "none";
  /** A native program may listen on any port of a loopback redirect URI (RFC 8252 section 7.3). */
  type: "web" | "native";
  grants: ("client_credentials" | "authorization_code" | "refresh_token")[];
  /** Compared as they stand (RFC 9700 section 4.1.3). */
  redirectUris: string[];
  postLogoutRedirectUris: string[];
  /** Public keys (RFC 7517) of a client with `private_key_jwt`. */
  keys?: Record<string, unknown>[];
  /** It is the shop itself: people are not asked whether it may act for them. */
  firstParty?: boolean;
}

export const webClientId = "souk-web";
export const cliClientId = "souk-cli";
export const developmentClientId = "development";

/** Clients that exist in development only, whatever a database has of them. */
export const ofDevelopment: ReadonlySet<string> = new Set([developmentClientId, cliClientId]);

const everything = [...personScopes, ...staffScopes];

/**
 * The gateway's sessions: every installation has this client. It is public, so there is no secret to keep: the code
 * is worth something only to who has the PKCE verifier, and only at the gateway's own redirect URI.
 */
export const webClient = (publicUrl: string): Client => ({
  id: webClientId,
  name: "Souk",
  secretDigest: "",
  scopes: everything,
  settings: {
    auth: "none",
    type: "web",
    grants: ["authorization_code", "refresh_token"],
    redirectUris: [`${publicUrl}/session/callback`],
    postLogoutRedirectUris: [`${publicUrl}/`],
    firstParty: true,
  },
});

/** For trying, in development: a program on one's own machine that listens on any port of the loopback address. */
export const cliClient: Client = {
  id: cliClientId,
  name: "Souk command line",
  secretDigest: "",
  scopes: everything,
  settings: {
    auth: "none",
    type: "native",
    grants: ["authorization_code", "refresh_token"],
    redirectUris: ["http://127.0.0.1/callback", "http://[::1]/callback"],
    postLogoutRedirectUris: [],
  },
};

/** Clients that the shop makes itself, at each start. */
export const ofTheShop: ReadonlySet<string> = new Set([webClientId, ...ofDevelopment]);
