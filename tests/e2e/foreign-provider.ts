import { exportJWK, generateKeyPair, SignJWT } from "jose";

/** Somebody else's provider, which a shop trusts: it signs in whom a test wants, without passwords. */
export interface ForeignProvider {
  /** For the shop: the variable that makes it trust this provider. */
  env: { TRUSTED_ISSUERS: string };
  /** An access token of a person, by id. */
  tokenOf(id: string, scope: string): Promise<string>;
  stop(): Promise<void>;
}

/** Starts one, with keys of its own. Stop it when done. */
export async function foreignProvider(): Promise<ForeignProvider> {
  const { privateKey, publicKey } = await generateKeyPair("ES256");
  const jwk = { ...(await exportJWK(publicKey)), kid: "test", alg: "ES256", use: "sig" };
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: () => Response.json({ keys: [jwk] }),
  });
  const issuer = `http://127.0.0.1:${server.port}`;
  const trusted = [{ issuer, algorithm: "ES256", jwksUri: `${issuer}/jwks` }];
  return {
    env: { TRUSTED_ISSUERS: JSON.stringify(trusted) },
    tokenOf: (id, scope) =>
      new SignJWT({ client_id: "test", scope })
        .setProtectedHeader({ alg: "ES256", typ: "at+jwt", kid: "test" })
        .setIssuer(issuer)
        .setAudience("souk")
        .setSubject(id)
        .setIssuedAt()
        .setExpirationTime("5m")
        .sign(privateKey),
    stop: () => server.stop(true),
  };
}
