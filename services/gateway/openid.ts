import { type Config, type Kit, Problem } from "chassis";
import {
  allowInsecureRequests,
  authorizationCodeGrant,
  buildAuthorizationUrl,
  buildEndSessionUrl,
  type Configuration,
  calculatePKCECodeChallenge,
  customFetch,
  discovery,
  enableNonRepudiationChecks,
  fetchUserInfo,
  None,
  ResponseBodyError,
  randomNonce,
  randomPKCECodeVerifier,
  randomState,
  refreshTokenGrant,
  type TokenEndpointResponse,
  tokenRevocation,
} from "openid-client";

/** What a sign-in needs at its end, and must not be known to others until then. */
export interface Begun {
  state: string;
  nonce: string;
  verifier: string;
}

/** Tokens of a person. */
export interface Tokens {
  access: string;
  /** Seconds for which the access token holds. */
  seconds: number;
  refresh?: string;
  scopes: string[];
}

type Room = Pick<Kit<unknown>, "sidecar" | "now" | "log">;

const clientId = "souk-web";
const patience = 10_000;
/** What the provider says about itself, and with it its keys, is read again after this long. */
const holdsFor = 5 * 60_000;

/** The gateway as a client of identity (OpenID Connect), which it asks through the sidecars and not from outside. */
export class OpenId {
  readonly #issuer: string;
  #known: { configuration: Promise<Configuration>; at: number } | undefined;

  constructor({ publicUrl }: Pick<Config, "publicUrl">) {
    this.#issuer = publicUrl;
  }

  /** Begins a sign-in: where to send the browser. */
  async begin(room: Room): Promise<Begun & { url: string }> {
    const configuration = await this.#configuration(room);
    const begun = { state: randomState(), nonce: randomNonce(), verifier: randomPKCECodeVerifier() };
    const url = buildAuthorizationUrl(configuration, {
      redirect_uri: `${this.#issuer}/session/callback`,
      // All there is: the provider gives what the person's role has of it.
      scope: (configuration.serverMetadata().scopes_supported ?? ["openid"]).join(" "),
      state: begun.state,
      nonce: begun.nonce,
      code_challenge: await calculatePKCECodeChallenge(begun.verifier),
      code_challenge_method: "S256",
    });
    return { ...begun, url: url.href };
  }

  /**
   * Ends a sign-in with what the browser brought back.
   * @param query of the callback, with its `?`
   * @throws {Error} of openid-client, when it does not hold
   */
  async finish(
    room: Room,
    query: string,
    { state, nonce, verifier }: Begun,
  ): Promise<Tokens & { user: string; name: string | null }> {
    const configuration = await this.#configuration(room);
    const answer = await authorizationCodeGrant(
      configuration,
      new URL(`${this.#issuer}/session/callback${query}`),
      { expectedState: state, expectedNonce: nonce, pkceCodeVerifier: verifier, idTokenExpected: true },
    );
    const claims = answer.claims();
    if (!claims) throw new Error("there is no ID token");
    const named = await fetchUserInfo(configuration, answer.access_token, claims.sub).catch((error) => {
      room.log.warn({ err: String(error) }, "the name of a person cannot be read");
      return claims;
    });
    return {
      ...tokensOf(answer),
      user: claims.sub,
      name: typeof named.name === "string" ? named.name : null,
    };
  }

  /** New tokens; nothing when the provider does not give any more: the person has to sign in anew. */
  async refresh(room: Room, token: string): Promise<Tokens | undefined> {
    try {
      return tokensOf(await refreshTokenGrant(await this.#configuration(room), token));
    } catch (error) {
      if (error instanceof ResponseBodyError && error.error === "invalid_grant") return undefined;
      throw error;
    }
  }

  /** Ends a refresh token, and with it all that came of the same sign-in (RFC 7009). */
  async revoke(room: Room, token: string): Promise<void> {
    await tokenRevocation(await this.#configuration(room), token, { token_type_hint: "refresh_token" });
  }

  /** Where the browser goes to sign out of the provider as well. */
  async signOutUrl(room: Room): Promise<string> {
    const parameters = { post_logout_redirect_uri: `${this.#issuer}/` };
    return buildEndSessionUrl(await this.#configuration(room), parameters).href;
  }

  #configuration(room: Room): Promise<Configuration> {
    const now = room.now();
    if (this.#known && Math.abs(now - this.#known.at) < holdsFor) return this.#known.configuration;
    const known = { configuration: this.#discover(room), at: now };
    this.#known = known;
    known.configuration.catch(() => {
      if (this.#known === known) this.#known = undefined;
    });
    return known.configuration;
  }

  async #discover(room: Room): Promise<Configuration> {
    const issuer = this.#issuer;
    // Unencrypted is only what a browser in development sees; we ask through the sidecars.
    const execute = issuer.startsWith("http:")
      ? [allowInsecureRequests, enableNonRepudiationChecks]
      : [enableNonRepudiationChecks];
    try {
      return await discovery(new URL(issuer), clientId, undefined, None(), {
        execute,
        [customFetch]: async (url, { body, ...options }) => {
          if (!url.startsWith(`${issuer}/`)) throw new Error(`${url} is not of ${issuer}`);
          const target = `http://identity${url.slice(issuer.length)}`;
          return room.sidecar.fetch(target, {
            ...options,
            body: body as RequestInit["body"],
            timeout: patience,
          });
        },
      });
    } catch (error) {
      room.log.warn({ err: String(error) }, "the OpenID Provider does not say what it offers");
      throw signInUnavailable();
    }
  }
}

export const signInUnavailable = (): Problem =>
  new Problem(503, {
    code: "sign-in-unavailable",
    detail: "Signing in is not possible right now: try again soon",
    headers: { "retry-after": "2" },
  });

function tokensOf(answer: TokenEndpointResponse): Tokens {
  return {
    access: answer.access_token,
    seconds: answer.expires_in ?? 60,
    ...(answer.refresh_token === undefined ? {} : { refresh: answer.refresh_token }),
    scopes: answer.scope?.split(" ").filter(Boolean) ?? [],
  };
}
