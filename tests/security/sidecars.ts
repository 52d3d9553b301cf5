import { readFileSync } from "node:fs";
import { join } from "node:path";
import { connect, type PeerCertificate } from "node:tls";
import { parse } from "yaml";
import { commandOf } from "../../packages/souk/src/processes.ts";
import type { Shop } from "../../packages/souk/src/shop.ts";

const root = join(import.meta.dir, "../..");

/** What a service's own YAML allows it, and others to ask of it. */
export interface Allowed {
  service: string;
  /** Who may call it: app, then paths with their verbs. */
  callers: Map<string, { name: string; httpVerb: string[] }[]>;
  /** Building blocks of its sidecar, over HTTP. */
  apis: string[];
  secrets: string[];
}

export const services = (
  parse(readFileSync(join(root, "dapr.yaml"), "utf8")) as { apps: { appID: string }[] }
).apps
  .map(({ appID }) => appID)
  .sort();

interface Configuration {
  spec: {
    accessControl: { policies: { appId: string; operations: { name: string; httpVerb: string[] }[] }[] };
    api: { allowed: { name: string; protocol: string }[] };
    secrets: { scopes: { allowedSecrets: string[] }[] };
  };
}

/** Reads `dapr/config/<service>.yaml`. */
export function allowedOf(service: string): Allowed {
  const { spec } = parse(readFileSync(join(root, "dapr/config", `${service}.yaml`), "utf8")) as Configuration;
  return {
    service,
    callers: new Map(spec.accessControl.policies.map(({ appId, operations }) => [appId, operations])),
    apis: spec.api.allowed.filter(({ protocol }) => protocol === "http").map(({ name }) => name),
    secrets: spec.secrets.scopes.flatMap(({ allowedSecrets }) => allowedSecrets),
  };
}

/** The secrets of a service, as its sidecar's store reads them. */
export const secretsOf = (shop: Shop, service: string): Record<string, string> =>
  JSON.parse(readFileSync(join(shop.home.secrets, `${service}.json`), "utf8")) as Record<string, string>;

/** Asks a sidecar over HTTP, with the token of its service unless another is given. */
export async function ask(
  shop: Shop,
  service: string,
  path: string,
  { token = secretsOf(shop, service)["dapr-api-token"], ...init }: RequestInit & { token?: string } = {},
): Promise<{ status: number; text: string }> {
  const { daprHttpPort } = shop.run.services[service] ?? { daprHttpPort: 0 };
  const headers = {
    ...(init.headers as Record<string, string>),
    ...(token ? { "dapr-api-token": token } : {}),
  };
  const response = await fetch(`http://127.0.0.1:${daprHttpPort}${path}`, { ...init, headers });
  return { status: response.status, text: await response.text() };
}

/** The port on which a sidecar hears the others. */
export function internalPort(shop: Shop, service: string): number {
  const command = commandOf(shop.run.services[service]?.sidecarPid ?? 0) ?? "";
  const port = /--dapr-internal-grpc-port[ \0](\d+)/.exec(command)?.[1];
  if (port === undefined) throw new Error(`the sidecar of ${service} does not say where it listens`);
  return Number(port);
}

/** The certificate that a sidecar shows to the others now. */
export const certificateOf = (shop: Shop, service: string): Promise<PeerCertificate> =>
  new Promise((resolve, reject) => {
    const socket = connect({
      host: "127.0.0.1",
      port: internalPort(shop, service),
      ALPNProtocols: ["h2"],
      // Whose it is, is looked at by who asks.
      rejectUnauthorized: false,
    });
    socket.once("secureConnect", () => {
      resolve(socket.getPeerCertificate());
      socket.destroy();
    });
    socket.once("error", reject);
  });

interface Described {
  paths: Record<string, Record<string, object>>;
}
/** A file of a service's contract. */
export const contract = <T>(service: string, file: string): T =>
  JSON.parse(readFileSync(join(root, "services", service, "contract", file), "utf8")) as T;

/** The paths of a service's contract with their methods, parameters filled in. */
export const operations = (service: string): [method: string, path: string][] =>
  Object.entries(contract<Described>(service, "openapi.json").paths).flatMap(([path, methods]) =>
    // That it lives is for everybody to see.
    Object.keys(path === "/health" ? {} : methods).map((method): [string, string] => [
      method.toUpperCase(),
      path.replace(/\{\w+\}/g, "x"),
    ]),
  );

/** Whether a policy has an operation for a call, as Dapr reads it: `/orders/**` is `/orders` and all below. */
export function allows(
  policy: { name: string; httpVerb: string[] }[],
  method: string,
  path: string,
): boolean {
  return policy.some(
    ({ name, httpVerb }) =>
      httpVerb.includes(method) &&
      (name.endsWith("/**") ? `${path}/`.startsWith(name.slice(0, -2)) : name === path),
  );
}

/** A field of the broker's component. */
export function fieldOf(name: string): string {
  const { spec } = parse(readFileSync(join(root, "components/pubsub.yaml"), "utf8")) as {
    spec: { metadata: { name: string; value: string }[] };
  };
  return spec.metadata.find((field) => field.name === name)?.value ?? "";
}
