import type { Context, MiddlewareHandler } from "hono";
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTPayload, jwtVerify } from "jose";
import { Problem } from "./problem.ts";

/** Who sends a request. A guest holds no token. */
export interface Caller {
  /** Stable id of the user or client; `guest` for nobody in particular. */
  id: string;
  kind: "guest" | "user" | "client";
  scopes: ReadonlySet<string>;
}

export const guest: Caller = { id: "guest", kind: "guest", scopes: new Set() };

export interface Issuer {
  /** The `iss` that its tokens must carry. */
  issuer: string;
  /** The `aud` that its tokens must carry. */
  audience: string;
  /** The one algorithm that it signs with: pinned, whatever a token's header says (RFC 8725 section 3.1). */
  algorithm: "RS256" | "ES256";
  /** Reads its current key set (RFC 7517). */
  keys(): Promise<JSONWebKeySet>;
}

export type Verify = (token: string) => Promise<Caller>;

const remembered = 5_000;
const keysFreshFor = 10 * 60_000;
const keysAskedAtMostEvery = 5_000;

/**
 * Makes a verifier of access tokens (RFC 9068). A token that held once is remembered until it expires;
 * keys are read again when a token names one that is not known, at most every five seconds.
 * @throws {Problem} 401 from the verifier for a token that does not hold; 503 when the keys cannot be read
 */
export function verifier(
  { issuer, audience, algorithm, keys }: Issuer,
  now: () => number = Date.now,
): Verify {
  const known = new Map<string, { caller: Caller; until: number }>();
  let set: { resolve: ReturnType<typeof createLocalJWKSet>; at: number } | undefined;
  let asked: Promise<void> | undefined;

  async function refresh(): Promise<void> {
    asked ??= keys()
      .then((jwks) => {
        set = { resolve: createLocalJWKSet(jwks), at: now() };
      })
      .finally(() => {
        asked = undefined;
      });
    await asked;
  }

  async function keySet(): Promise<ReturnType<typeof createLocalJWKSet>> {
    if (set === undefined) {
      await refresh().catch((cause) => {
        throw new Problem(503, {
          code: "keys-unavailable",
          detail: `Tokens cannot be checked right now: ${cause instanceof Error ? cause.message : cause}`,
          headers: { "retry-after": "2" },
        });
      });
    } else if (now() - set.at > keysFreshFor) {
      // An issuer that is down does not lock out tokens whose keys are still known.
      await refresh().catch(() => undefined);
    }
    if (set === undefined) throw new Error("the key set was read, but is not there");
    return set.resolve;
  }

  const check = async (token: string): Promise<JWTPayload> => {
    const options = {
      issuer,
      audience,
      algorithms: [algorithm],
      typ: "at+jwt",
      requiredClaims: ["exp", "iat"],
      currentDate: new Date(now()),
    };
    try {
      return (await jwtVerify(token, await keySet(), options)).payload;
    } catch (error) {
      const stale =
        error instanceof errors.JWKSNoMatchingKey &&
        set !== undefined &&
        now() - set.at > keysAskedAtMostEvery;
      if (!stale) throw error;
      await refresh();
      return (await jwtVerify(token, await keySet(), options)).payload;
    }
  };

  return async (token) => {
    const seen = known.get(token);
    if (seen && seen.until > now()) return seen.caller;
    const payload = await check(token).catch((error: unknown) => {
      if (error instanceof Problem) throw error;
      throw unauthorised(
        "invalid_token",
        error instanceof errors.JOSEError ? error.message : "the token does not hold",
      );
    });
    const caller = callerOf(payload);
    if (known.size >= remembered) known.delete(known.keys().next().value ?? "");
    known.set(token, { caller, until: (payload.exp ?? 0) * 1000 });
    return caller;
  };
}

function callerOf(payload: JWTPayload): Caller {
  const client = typeof payload.client_id === "string" ? payload.client_id : undefined;
  const id = payload.sub ?? client;
  if (id === undefined) throw unauthorised("invalid_token", "the token names neither a subject nor a client");
  const scope = typeof payload.scope === "string" ? payload.scope : "";
  return { id, kind: id === client ? "client" : "user", scopes: new Set(scope.split(" ").filter(Boolean)) };
}

/** 401 as RFC 6750 section 3 has it. */
export function unauthorised(error: string | undefined, detail: string): Problem {
  // The header is ASCII in quotes: what came from outside must not break out of it.
  const described = error
    ? `, error="${error}", error_description="${detail.replace(/[^ !#-[\]-~]/g, " ")}"`
    : "";
  return new Problem(401, {
    code: error === undefined ? "unauthenticated" : "invalid-token",
    detail,
    headers: { "www-authenticate": `Bearer realm="souk"${described}` },
  });
}

/** Reads and checks the bearer token of a request, once. */
export async function identify(c: Context, verify: Verify): Promise<Caller> {
  const header = c.req.header("authorization");
  if (header === undefined) return guest;
  const token = /^Bearer +([A-Za-z0-9\-._~+/]+=*)$/i.exec(header)?.[1];
  if (token === undefined)
    throw unauthorised("invalid_request", "Authorization must be: Bearer <access token>");
  return verify(token);
}

type CallerEnv = { Variables: { caller: Caller } };

/**
 * Lets a request pass whose caller holds one of the scopes.
 * @throws {Problem} 401 without a token, 403 without the scope
 */
export function allow(...scopes: string[]): MiddlewareHandler<CallerEnv> {
  return async (c, next) => {
    const { caller } = c.var;
    if (caller.kind === "guest")
      throw unauthorised(undefined, `This needs a token with the scope ${scopes.join(" or ")}`);
    if (!scopes.some((scope) => caller.scopes.has(scope))) {
      throw new Problem(403, {
        code: "insufficient-scope",
        detail: `This needs the scope ${scopes.join(" or ")}`,
        headers: {
          "www-authenticate": `Bearer realm="souk", error="insufficient_scope", scope="${scopes.join(" ")}"`,
        },
      });
    }
    await next();
  };
}
