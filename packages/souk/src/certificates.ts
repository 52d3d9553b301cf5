/**
 * Who may get a certificate from Sentry.
 *
 * Left to itself, a self-hosted Sentry signs for whoever asks: any process of the machine could call itself
 * orders. Here each sidecar carries a token (a JWT, readable by its owner only) that names it, and Sentry signs
 * for nobody else. The key behind the tokens is new at every start and is kept nowhere.
 */
import { generateKeyPairSync, sign, X509Certificate } from "node:crypto";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type Home, writePrivate } from "./home.ts";

const FILES = ["ca.crt", "issuer.crt", "issuer.key"];
const DAY_MS = 24 * 60 * 60 * 1000;

/** Sentry's configuration file. */
export function sentryConfigFile(home: Home): string {
  return join(home.secrets, "sentry.yaml");
}

/** Where the token of a sidecar is. */
export function sentryTokenFile(home: Home, app: string): string {
  return join(home.secrets, `${app}.sentry-token`);
}

/** Writes a token for each of `apps` and a configuration by which Sentry serves them only. */
export function admit(home: Home, apps: readonly string[]): void {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const jwks = join(home.secrets, "sentry-jwks.json");
  const kid = "sidecars";
  writePrivate(
    jwks,
    JSON.stringify({ keys: [{ ...publicKey.export({ format: "jwk" }), kid, alg: "ES256", use: "sig" }] }),
  );
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  for (const app of apps) {
    const body = [
      encode({ alg: "ES256", typ: "JWT", kid }),
      encode({
        aud: "spiffe://localhost/ns/default/dapr-sentry",
        sub: `spiffe://public/ns/default/${app}`,
        iat: Math.floor(Date.now() / 1000),
      }),
    ].join(".");
    const signature = sign("sha256", Buffer.from(body), { key: privateKey, dsaEncoding: "ieee-p1363" });
    writePrivate(sentryTokenFile(home, app), `${body}.${signature.toString("base64url")}`);
  }
  writeSentryConfig(home, [
    "    tokenValidators:",
    "      - name: jwks",
    "        options:",
    "          minRefreshInterval: 2m",
    "          requestTimeout: 5s",
    `          source: ${JSON.stringify(jwks)}`,
  ]);
}

/** A configuration by which Sentry serves every process of this machine, as the official CLI needs it. */
export function admitAll(home: Home): void {
  writeSentryConfig(home, []);
}

function writeSentryConfig(home: Home, more: string[]): void {
  const lifetime = Number(process.env.SOUK_CERTIFICATE_SECONDS ?? DAY_MS / 1000);
  // A sidecar asks for the next certificate at half the time between the two ends of this one, of which the earlier is
  // put back by the skew: with one as long as the lifetime it would ask without a pause.
  const skew = Math.min(15 * 60, Math.floor(lifetime / 10));
  writePrivate(
    sentryConfigFile(home),
    [
      "apiVersion: dapr.io/v1alpha1",
      "kind: Configuration",
      "metadata: { name: sentry }",
      "spec:",
      "  mtls:",
      "    enabled: true",
      `    workloadCertTTL: ${lifetime}s`,
      `    allowedClockSkew: ${skew}s`,
      ...more,
      "",
    ].join("\n"),
  );
}

/** Removes Sentry's certificates when they end within a month: it then makes new ones. Says whether it did. */
export function dropOldCertificates(home: Home, now = Date.now()): boolean {
  if (!dropsCertificatesSoon(home, now)) return false;
  for (const name of FILES) rmSync(join(home.certs, name), { force: true });
  return true;
}

/** Whether the certificates end within a month, or are half there. */
export function dropsCertificatesSoon(home: Home, now = Date.now()): boolean {
  const files = FILES.map((name) => join(home.certs, name));
  if (!files.some((file) => existsSync(file))) return false;
  const whole = files.every((file) => existsSync(file));
  const ends = whole ? Math.min(...files.slice(0, 2).map(validTo)) : 0;
  return ends - now <= 30 * DAY_MS;
}

/** When a certificate ends; 0 when the file holds none. */
function validTo(file: string): number {
  const text = readFileSync(file, "utf8");
  return text.includes("-----END CERTIFICATE-----") ? Date.parse(new X509Certificate(text).validTo) : 0;
}

/** What every sidecar must trust: Sentry's root certificate. Null until Sentry has written all it writes. */
export function trustAnchors(home: Home): string | null {
  if (!FILES.every((name) => existsSync(join(home.certs, name)))) return null;
  const text = readFileSync(join(home.certs, "ca.crt"), "utf8");
  return text.trimEnd().endsWith("-----END CERTIFICATE-----") ? text : null;
}
