import { createHash } from "node:crypto";
import { exportJWK, generateKeyPair, type JWK, SignJWT } from "jose";

const issuer = "http://shop.test";
const { privateKey, publicKey } = await generateKeyPair("RS256", { extractable: true });
const jwk: JWK = { ...(await exportJWK(publicKey)), kid: "k-1", alg: "RS256", use: "sig" };

/** An access token that `testService` understands. */
export const accessToken = (id: string, scopes: string[], serial: number): string =>
  Buffer.from(JSON.stringify({ id, kind: "user", scopes, serial })).toString("base64url");

/** Identity as the gateway's sessions use it: a provider in memory, with refresh tokens that are used once. */
export function fakeIdentity(now: () => number) {
  const codes = new Map<string, { nonce: string; challenge: string }>();
  let refreshToken: string | undefined;
  let serial = 0;
  const seen = {
    /** Access tokens by the order in which they were given. */
    given: [] as string[],
    refreshed: 0,
    reused: 0,
    revoked: [] as string[],
    /** Paths, in order. */
    asked: [] as string[],
  };
  const settings = {
    seconds: 600,
    /** Replaces what the token endpoint does. */
    token: undefined as undefined | ((form: URLSearchParams) => Promise<Response> | Response | undefined),
    /** Awaited before the token endpoint's answer comes. */
    slow: undefined as undefined | (() => Promise<void>),
    /** Changes the claims of the ID token. */
    claims: {} as Record<string, unknown>,
  };
  const refusal = (error: string): Response => Response.json({ error }, { status: 400 });

  async function tokens(nonce?: string): Promise<Response> {
    const access = accessToken("u_ada", ["orders:read", "orders:write"], ++serial);
    seen.given.push(access);
    refreshToken = `refresh-${serial}`;
    const seconds = Math.floor(now() / 1_000);
    const claims = { iss: issuer, aud: "souk-web", sub: "u_ada", iat: seconds, exp: seconds + 600, nonce };
    const id = new SignJWT({ ...claims, ...settings.claims }).setProtectedHeader({
      alg: "RS256",
      kid: "k-1",
    });
    return Response.json({
      access_token: access,
      token_type: "Bearer",
      expires_in: settings.seconds,
      refresh_token: refreshToken,
      scope: "orders:read orders:write",
      id_token: await id.sign(privateKey),
    });
  }

  async function token(form: URLSearchParams): Promise<Response> {
    const instead = await settings.token?.(form);
    if (instead) return instead;
    if (form.get("client_id") !== "souk-web") return refusal("invalid_client");
    if (form.get("grant_type") === "refresh_token") {
      if (form.get("refresh_token") !== refreshToken) {
        seen.reused++;
        refreshToken = undefined;
        return refusal("invalid_grant");
      }
      seen.refreshed++;
      return tokens();
    }
    const code = codes.get(form.get("code") ?? "");
    codes.delete(form.get("code") ?? "");
    const challenge = createHash("sha256")
      .update(form.get("code_verifier") ?? "")
      .digest("base64url");
    if (!code || code.challenge !== challenge || form.get("redirect_uri") !== `${issuer}/session/callback`)
      return refusal("invalid_grant");
    return tokens(code.nonce);
  }

  async function answer(request: Request): Promise<Response | undefined> {
    const { pathname } = new URL(request.url);
    const path = pathname.replace("/v1.0/invoke/identity/method", "");
    if (path === pathname) return undefined;
    seen.asked.push(path);
    if (path === "/.well-known/openid-configuration")
      return Response.json({
        issuer,
        authorization_endpoint: `${issuer}/auth`,
        token_endpoint: `${issuer}/token`,
        userinfo_endpoint: `${issuer}/me`,
        jwks_uri: `${issuer}/jwks`,
        revocation_endpoint: `${issuer}/token/revocation`,
        end_session_endpoint: `${issuer}/session/end`,
        scopes_supported: ["openid", "profile", "orders:read", "orders:write"],
        response_types_supported: ["code"],
        id_token_signing_alg_values_supported: ["RS256"],
        code_challenge_methods_supported: ["S256"],
        authorization_response_iss_parameter_supported: true,
      });
    if (path === "/jwks") return Response.json({ keys: [jwk] });
    if (path === "/me") return Response.json({ sub: "u_ada", name: "Ada" });
    const form = new URLSearchParams(await request.text());
    if (path === "/token") {
      const given = await token(form);
      await settings.slow?.();
      return given;
    }
    if (path === "/token/revocation") {
      seen.revoked.push(form.get("token") ?? "");
      if (form.get("token") === refreshToken) refreshToken = undefined;
      return new Response(null, { status: 200 });
    }
    return undefined;
  }

  return {
    answer,
    seen,
    settings,
    /** What the person does on identity's pages: signs in; the way back is where the browser is sent. */
    signIn(url: string): string {
      const asked = new URL(url).searchParams;
      const code = `code-${codes.size}-${asked.get("state")}`;
      codes.set(code, { nonce: asked.get("nonce") ?? "", challenge: asked.get("code_challenge") ?? "" });
      const back = new URLSearchParams({ code, state: asked.get("state") ?? "", iss: issuer });
      return `/session/callback?${back}`;
    },
  };
}
