/** How Sentry and the sidecars are started. */
import { sentryConfigFile } from "./certificates.ts";
import type { Home } from "./home.ts";

export interface SidecarOptions {
  daprd: string;
  appId: string;
  /** Omitted: a sidecar without a service, for calls outwards only. */
  appPort?: number;
  httpPort: number;
  grpcPort: number;
  internalPort: number;
  metricsPort: number;
  resources: string[];
  config: string | null;
  /** "host:port"; omitted: no mTLS. */
  sentryAddress?: string;
  appProtocol?: string;
  logLevel?: string;
  maxBodySize?: string | null;
  readBufferSize?: string | null;
  maxConcurrency?: number | null;
}

/** The command line of a sidecar that listens on loopback only. */
export function sidecarCommand(options: SidecarOptions): string[] {
  return [
    options.daprd,
    "--app-id",
    options.appId,
    ...(options.appPort ? ["--app-port", String(options.appPort), "--app-channel-address", "127.0.0.1"] : []),
    "--app-protocol",
    options.appProtocol ?? "http",
    "--dapr-http-port",
    String(options.httpPort),
    "--dapr-grpc-port",
    String(options.grpcPort),
    "--dapr-internal-grpc-port",
    String(options.internalPort),
    "--dapr-listen-addresses",
    "127.0.0.1",
    "--dapr-internal-grpc-listen-address",
    "127.0.0.1",
    "--metrics-port",
    String(options.metricsPort),
    "--metrics-listen-address",
    "127.0.0.1",
    ...options.resources.flatMap((path) => ["--resources-path", path]),
    ...(options.config ? ["--config", options.config] : []),
    ...(options.sentryAddress ? ["--enable-mtls", "--sentry-address", options.sentryAddress] : []),
    ...(options.maxBodySize ? ["--max-body-size", options.maxBodySize] : []),
    ...(options.readBufferSize ? ["--read-buffer-size", options.readBufferSize] : []),
    ...(options.maxConcurrency ? ["--app-max-concurrency", String(options.maxConcurrency)] : []),
    "--dapr-graceful-shutdown-seconds",
    "5",
    "--log-level",
    options.logLevel ?? "warn",
    "--log-as-json",
  ];
}

/** The variables of a sidecar, beside the usual ones. */
export function sidecarEnvironment(options: {
  daprApiToken: string;
  appApiToken: string;
  trustAnchors?: string;
  sentryToken?: string;
  redisPort?: number;
  secretsFile?: string;
  names?: string;
  /** Where mails are sent to. */
  mail?: Record<string, string>;
}): Record<string, string> {
  return {
    DAPR_HOST_IP: "127.0.0.1",
    // Fewer collections of a small heap: some megabytes a sidecar for a seventh more orders a second.
    GOGC: process.env.GOGC ?? "400",
    NAMESPACE: "default",
    DAPR_API_TOKEN: options.daprApiToken,
    APP_API_TOKEN: options.appApiToken,
    ...(options.trustAnchors ? { DAPR_TRUST_ANCHORS: options.trustAnchors } : {}),
    ...(options.sentryToken ? { DAPR_SENTRY_TOKEN_FILE: options.sentryToken } : {}),
    ...(options.redisPort ? { SOUK_REDIS: `127.0.0.1:${options.redisPort}` } : {}),
    ...(options.secretsFile ? { SOUK_SECRETS: options.secretsFile } : {}),
    ...(options.names ? { SOUK_NAMES: options.names } : {}),
    ...options.mail,
  };
}

/** The command line of Sentry, which makes its certificates in the shop's folder when there are none. */
export function sentryCommand(sentry: string, home: Home, port: number, healthPort: number): string[] {
  return [
    sentry,
    "--config",
    sentryConfigFile(home),
    "--issuer-credentials",
    home.certs,
    "--trust-domain",
    "localhost",
    "--listen-address",
    "127.0.0.1",
    "--port",
    String(port),
    "--healthz-listen-address",
    "127.0.0.1",
    "--healthz-port",
    String(healthPort),
    "--enable-metrics=false",
    "--log-level",
    "warn",
    "--log-as-json",
  ];
}

/** Whether a sidecar is up and its components ready. */
export const sidecarReady = (port: number, token: string): Promise<boolean> =>
  answers(`http://127.0.0.1:${port}/v1.0/healthz`, { "dapr-api-token": token });

/** Whether a GET is answered with 2xx within a second. */
export async function answers(url: string, headers: Record<string, string> = {}): Promise<boolean> {
  try {
    const response = await fetch(url, { headers, signal: AbortSignal.timeout(1_000), redirect: "manual" });
    await response.arrayBuffer();
    return response.ok;
  } catch (error) {
    if (error instanceof Error) return false;
    throw error;
  }
}

/** Asks until the answer is yes. Throws after `withinMs` or when `signal` says so. */
export async function until(
  what: string,
  ask: () => Promise<boolean> | boolean,
  withinMs: number,
  signal?: AbortSignal,
): Promise<void> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    signal?.throwIfAborted();
    if (await ask()) return;
    if (performance.now() > deadline) throw new Error(`${what} took longer than ${withinMs / 1000} s.`);
    await Bun.sleep(30);
  }
}
