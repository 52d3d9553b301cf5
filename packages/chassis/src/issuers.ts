import type { Sidecar } from "hono-dapr";
import type { JSONWebKeySet } from "jose";
import type { Issuer } from "./auth.ts";
import type { Config } from "./config.ts";

/**
 * Who may issue tokens for this service: the shop's own provider, whose keys come from identity through the sidecar,
 * and those that `TRUSTED_ISSUERS` names, a JSON array of
 * `{ "issuer": "https://…", "audience"?: "souk", "algorithm": "RS256" | "ES256", "jwksUri": "https://…" }` or
 * `{ "issuer": "https://…", "audience"?: "souk", "algorithm": "HS256", "secret": "<name in the secret store>" }`;
 * the value of the secret is the key in base64url.
 * @throws {Error} naming what is wrong with an entry
 */
export function issuersOf(config: Config, sidecar: Sidecar): Issuer[] {
  const audience = config.env.TOKEN_AUDIENCE || "souk";
  const own: Issuer = {
    issuer: config.publicUrl,
    audience,
    algorithm: config.env.TOKEN_ALGORITHM === "ES256" ? "ES256" : "RS256",
    async keys() {
      const response = await sidecar.fetch("http://identity/jwks", { timeout: 3_000 });
      if (!response.ok) throw new Error(`identity answered ${response.status} for its keys`);
      return (await response.json()) as JSONWebKeySet;
    },
  };
  const others = entries(config.env.TRUSTED_ISSUERS).map((entry, at) =>
    trusted(entry, audience, sidecar, `TRUSTED_ISSUERS[${at}]`),
  );
  const twice = [own, ...others].find((one, at, all) => all.findIndex((o) => o.issuer === one.issuer) !== at);
  if (twice) throw new Error(`TRUSTED_ISSUERS names ${twice.issuer} twice, or the shop itself`);
  return [own, ...others];
}

function entries(text: string | undefined): Record<string, unknown>[] {
  if (!text) return [];
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Error("TRUSTED_ISSUERS is not JSON");
  }
  if (!Array.isArray(value) || value.some((one) => typeof one !== "object" || one === null))
    throw new Error("TRUSTED_ISSUERS must be an array of objects");
  return value as Record<string, unknown>[];
}

function trusted(entry: Record<string, unknown>, audience: string, sidecar: Sidecar, where: string): Issuer {
  const text = (name: string): string => {
    const value = entry[name];
    if (typeof value !== "string" || value === "") throw new Error(`${where} has no ${name}`);
    return value;
  };
  const issuer = text("issuer");
  const meant = { issuer, audience: "audience" in entry ? text("audience") : audience };
  const algorithm = text("algorithm");
  if (algorithm === "HS256") {
    const name = text("secret");
    const secret = async (): Promise<Uint8Array> =>
      Buffer.from(await sidecar.secrets("secrets").get(name), "base64url");
    return { ...meant, algorithm, secret };
  }
  if (algorithm !== "RS256" && algorithm !== "ES256")
    throw new Error(`${where}: the algorithm must be RS256, ES256 or HS256, not ${algorithm}`);
  const uri = new URL(text("jwksUri"));
  if (uri.protocol !== "https:" && !["localhost", "127.0.0.1", "[::1]"].includes(uri.hostname))
    throw new Error(`${where}: keys are read over https only, not from ${uri.origin}`);
  const keys = async (): Promise<JSONWebKeySet> => {
    const response = await fetch(uri, { signal: AbortSignal.timeout(3_000), redirect: "error" });
    if (!response.ok) throw new Error(`${uri.origin} answered ${response.status} for its keys`);
    return (await response.json()) as JSONWebKeySet;
  };
  return { ...meant, algorithm, keys };
}
