import { afterAll, expect, test } from "bun:test";
import { createPublicKey, verify } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import {
  admit,
  dropOldCertificates,
  dropsCertificatesSoon,
  sentryConfigFile,
  sentryTokenFile,
  trustAnchors,
} from "./certificates.ts";
import { homeOf, prepare } from "./home.ts";

const dir = mkdtempSync(join(tmpdir(), "souk-certs-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const home = homeOf(dir, dir);
prepare(home);

test("each sidecar gets a token that names it, and Sentry knows the key", () => {
  admit(home, ["orders", "catalog"]);
  const config = parse(readFileSync(sentryConfigFile(home), "utf8"));
  const [validator] = config.spec.mtls.tokenValidators;
  expect(validator.name).toBe("jwks");
  const { keys } = JSON.parse(readFileSync(validator.options.source, "utf8"));
  expect(keys[0].d).toBeUndefined();

  const path = sentryTokenFile(home, "orders");
  expect(statSync(path).mode & 0o077).toBe(0);
  const [head = "", body = "", signature = ""] = readFileSync(path, "utf8").split(".");
  const claims = JSON.parse(Buffer.from(body, "base64url").toString());
  expect(claims).toMatchObject({
    sub: "spiffe://public/ns/default/orders",
    aud: "spiffe://localhost/ns/default/dapr-sentry",
  });
  const key = { key: createPublicKey({ key: keys[0], format: "jwk" }), dsaEncoding: "ieee-p1363" as const };
  expect(verify("sha256", Buffer.from(`${head}.${body}`), key, Buffer.from(signature, "base64url"))).toBe(
    true,
  );
  expect(readFileSync(sentryTokenFile(home, "catalog"), "utf8")).not.toBe(readFileSync(path, "utf8"));
});

test("certificates that are half there are dropped, and none are trusted meanwhile", () => {
  expect(dropOldCertificates(home)).toBe(false);
  expect(trustAnchors(home)).toBeNull();
  writeFileSync(join(home.certs, "ca.crt"), "-----BEGIN CERTIFICATE-----\n");
  expect(trustAnchors(home)).toBeNull();
  expect(dropsCertificatesSoon(home)).toBe(true);
  expect(dropOldCertificates(home)).toBe(true);
  expect(dropsCertificatesSoon(home)).toBe(false);
});
