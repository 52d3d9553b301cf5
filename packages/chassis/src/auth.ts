import type { Context } from "hono";
import {
  createLocalJWKSet,
  errors,
  type JSONWebKeySet,
  type JWTHeaderParameters,
  type JWTPayload,
  jwtVerify,
} from "jose";
import { readToken } from "./jwt.ts";
import { Problem } from "./problem.ts";

/** Who sends a request. A guest holds no token. */
export interface Caller {
  /** Stable id of the user or client; `guest` for nobody in particular. */
  id: string;
  kind: "guest" | "user" | "client";
  scopes: ReadonlySet<string>;
}

export const guest: Caller = { id: "guest", kind: "guest", scopes: new Set() };

/** Who may issue tokens. Its algorithm is pinned, whatever a token's header says (RFC 8725 section 3.1). */
export type Issuer = {
  /** The `iss` that its tokens must carry. */
  issuer: string;
  /** The `aud` that its tokens must carry. */
  audience: string;
} & (
  | {
      algorithm: "RS256" | "ES256";
      /** Reads its current key set (RFC 7517). */
      keys(): Promise<JSONWebKeySet>;
    }
  | {
      algorithm: "HS256";
      /** Reads the key that is shared with it: at least 32 bytes (RFC 7518 section 3.2). */
      secret(): Promise<Uint8Array>;
    }
);

export type Verify = (token: string) => Promise<Caller>;

const remembered = 5_000;
// A key that was withdrawn opens nothing for longer than both of these.
const rememberedFor = 60_000;
const keysFreshFor = 60_000;
const keysAskedAtMostEvery = 5_000;

type Key = Awaited<ReturnType<ReturnType<typeof createLocalJWKSet>>> | Uint8Array;
type FindKey = (header: JWTHeaderParameters) => Promise<Key>;

/**
 * Makes a verifier of access tokens (RFC 9068). A token that held once is remembered for a minute at most;
 * keys are read again every minute, and when a token names one that is not known, at most every five seconds.
 * @throws {Problem} 401 from the verifier for a token that does not hold; 503 when the keys cannot be read
 */
export function verifier(issuers: readonly Issuer[], now: () => number = Date.now): Verify {
  const known = new Map<string, { caller: Caller; until: number }>();
  const trusted = new Map(issuers.map((one) => [one.issuer, { ...one, key: keyOf(one, now) }]));

  const check = async (token: string): Promise<JWTPayload> => {
    const { header, payload } = readToken(token);
    const from = typeof payload.iss === "string" ? trusted.get(payload.iss) : undefined;
    if (from === undefined) throw new Error("the token's issuer is not one that is trusted here");
    if (header.alg !== from.algorithm) throw new Error(`the token must be signed with ${from.algorithm}`);
    const { issuer, audience, algorithm } = from;
    const options = {
      issuer,
      audience,
      algorithms: [algorithm],
      typ: "at+jwt",
      requiredClaims: ["exp", "iat"],
      currentDate: new Date(now()),
    };
    const { payload: checked } = await jwtVerify(token, await from.key(header), options);
    const { iat = 0, exp = 0, sub } = checked;
    if (iat * 1000 > now() + skew) throw new Error("the token was issued in the future");
    if (!(exp - iat <= longestLife)) throw new Error("the token holds for longer than a day");
    if (sub !== undefined && (typeof sub !== "string" || sub === ""))
      throw new Error("the subject is no text");
    // What guests have placed belongs to nobody who signs in.
    if (sub === guest.id || checked.client_id === guest.id)
      throw new Error("the subject has a reserved name");
    return checked;
  };

  return async (token) => {
    const seen = known.get(token);
    // Nothing is remembered for longer because the clock was set back.
    const left = seen ? seen.until - now() : 0;
    if (seen && left > 0 && left <= rememberedFor) return seen.caller;
    const payload = await check(token).catch((error: unknown) => {
      if (error instanceof Problem) throw error;
      throw unauthorised("invalid_token", error instanceof Error ? error.message : "the token does not hold");
    });
    const caller = callerOf(payload);
    if (known.size >= remembered) known.delete(known.keys().next().value ?? "");
    known.set(token, { caller, until: Math.min((payload.exp ?? 0) * 1000, now() + rememberedFor) });
    return caller;
  };
}

/** Clocks of two machines may differ by so much (ms). */
const skew = 60_000;
/** Access tokens are short-lived: nothing that holds for longer than this (s) is one. */
const longestLife = 24 * 60 * 60;

function keyOf(issuer: Issuer, now: () => number): FindKey {
  const read =
    issuer.algorithm === "HS256"
      ? async (): Promise<FindKey> => {
          const secret = await issuer.secret();
          if (secret.byteLength < 32) throw new Error(`the key of ${issuer.issuer} is shorter than 32 bytes`);
          return async () => secret;
        }
      : async (): Promise<FindKey> => createLocalJWKSet(await issuer.keys());
  let current: { find: FindKey; at: number } | undefined;
  let asked: Promise<FindKey> | undefined;

  function refresh(): Promise<FindKey> {
    asked ??= read()
      .then((find) => {
        current = { find, at: now() };
        return find;
      })
      .finally(() => {
        asked = undefined;
      });
    return asked;
  }

  async function keys(): Promise<FindKey> {
    const before = current?.find;
    if (current && Math.abs(now() - current.at) <= keysFreshFor) return current.find;
    return refresh().catch((cause) => {
      // An issuer that is down does not lock out tokens whose keys are still known.
      if (before) return before;
      throw new Problem(503, {
        code: "keys-unavailable",
        detail: `Tokens cannot be checked right now: ${cause instanceof Error ? cause.message : cause}`,
        headers: { "retry-after": "2" },
      });
    });
  }

  return async (header) => {
    const find = await keys();
    try {
      return await find(header);
    } catch (error) {
      const isNew =
        error instanceof errors.JWKSNoMatchingKey &&
        Math.abs(now() - (current?.at ?? 0)) > keysAskedAtMostEvery;
      if (!isNew) throw error;
      return (await refresh())(header);
    }
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
