import { createLocalJWKSet, type JWK, jwtVerify } from "jose";
import type { KoaContextWithOIDC } from "oidc-provider";
import type { Account } from "../accounts.ts";
import { type Algorithm, publicPart } from "./ring.ts";

/** What {@link introspectable} needs of its surroundings. */
export interface IntrospectionRoom {
  issuer: string;
  audience: string;
  algorithm: Algorithm;
  keys: JWK[];
  now(): number;
  account(id: string): Promise<Account | undefined>;
}

/**
 * Access tokens are JWTs, which the library refuses to introspect. A client that has shown who it is, and is not
 * public, is told whether one holds (RFC 7662): also that its person has signed out everywhere since, which the token
 * itself cannot say.
 */
export function introspectable(room: IntrospectionRoom) {
  const find = createLocalJWKSet({ keys: room.keys.map(publicPart) });
  return async (ctx: KoaContextWithOIDC, next: () => Promise<void>): Promise<void> => {
    await next();
    const refused = (ctx.body as { error?: string } | undefined)?.error;
    if (ctx.oidc?.route !== "introspection" || refused !== "unsupported_token_type") return;
    const { client, params } = ctx.oidc;
    ctx.status = 200;
    ctx.body =
      client && client.clientAuthMethod !== "none"
        ? await described(room, find, String(params?.token))
        : inactive;
  };
}

const inactive = { active: false };

async function described(
  { issuer, audience, algorithm, now, account }: IntrospectionRoom,
  find: ReturnType<typeof createLocalJWKSet>,
  token: string,
): Promise<object> {
  const checked = await jwtVerify(token, find, {
    issuer,
    audience,
    algorithms: [algorithm],
    typ: "at+jwt",
    currentDate: new Date(now()),
  }).catch(() => undefined);
  if (!checked) return inactive;
  const { sub, iat = 0, client_id } = checked.payload;
  if (sub !== client_id) {
    const user = await account(String(sub));
    if (!user || iat < user.validFrom) return inactive;
  }
  return { active: true, ...checked.payload, token_type: "Bearer" };
}
