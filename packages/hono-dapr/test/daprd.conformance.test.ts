import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { type Infra, type Sidecar as Process, startInfra, startSidecar } from "souk/testing";
import { dapr } from "../src/index.ts";
import { conformance, type World } from "../src/testing/conformance.ts";

setDefaultTimeout(60_000);

const retries = `
apiVersion: dapr.io/v1alpha1
kind: Resiliency
metadata: { name: retries }
spec:
  policies:
    retries:
      delivery: { policy: constant, duration: 100ms, maxRetries: 3 }
  targets:
    components:
      pubsub: { inbound: { retry: delivery } }
`;

const component = (name: string, type: string, metadata: Record<string, string>, scopes: string[]) => `
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: { name: ${name} }
scopes: ${JSON.stringify(scopes)}
spec:
  type: ${type}
  version: v1
  metadata: ${JSON.stringify(Object.entries(metadata).map(([key, value]) => ({ name: key, value })))}
`;

/** Nothing but GET below `open` may be called. */
const closed = (open: string) => `
  accessControl:
    defaultAction: deny
    trustDomain: public
    policies:
      - appId: caller
        defaultAction: deny
        trustDomain: public
        namespace: default
        operations:
          - { name: ${open}/**, httpVerb: [GET], action: allow }
`;

const configuration = (more: string) => `
apiVersion: dapr.io/v1alpha1
kind: Configuration
metadata: { name: conformance }
spec:
  nameResolution:
    component: sqlite
    configuration: { connectionString: "\${SOUK_NAMES}" }
${more}`;

async function openDaprd(): Promise<World> {
  const infra: Infra = await startInfra({ mtls: true });
  const { host, port, password } = infra.redis;
  const redis = new Bun.RedisClient(`redis://:${password}@${host}:${port}`);
  const processes = new Map<string, Process>();
  const servers: ReturnType<typeof Bun.serve>[] = [];
  const addresses = new Map<string, string>();
  const components = {
    "pubsub.yaml": infra.pubsub(),
    "state.yaml": infra.state(),
    "secrets.yaml": infra.secrets({ greeting: "hello" }),
    "configuration.yaml": component(
      "configuration",
      "configuration.redis",
      { redisHost: `${host}:${port}`, redisPassword: password },
      ["caller"],
    ),
    "tick.yaml": component("tick", "bindings.cron", { schedule: "@every 1s" }, ["callee"]),
    "retries.yaml": retries,
  };

  return {
    async start(appId, build, open) {
      const appApiToken = crypto.randomUUID();
      const daprApiToken = crypto.randomUUID();
      // The sidecar's address is not known before it is started, which needs the app.
      let url = "";
      const sidecar = dapr({
        appId,
        appToken: appApiToken,
        apiToken: daprApiToken,
        endpoint: "http://sidecar",
        fetch: (input, init) => fetch(input.replace("http://sidecar", url), init),
      });
      const app = build(sidecar);
      const server = Bun.serve({
        port: 0,
        hostname: "127.0.0.1",
        idleTimeout: 60,
        fetch: (request) => app.fetch(request),
      });
      servers.push(server);
      addresses.set(appId, server.url.origin);
      const process = await startSidecar(infra, {
        appId,
        appPort: server.port,
        components,
        appApiToken,
        daprApiToken,
        configuration: configuration(open ? closed(open) : ""),
      });
      processes.set(appId, process);
      url = process.url;
      return sidecar;
    },
    withToken: (appId, apiToken) => dapr({ appId, apiToken, endpoint: processes.get(appId)?.url }),
    async put(topic, text) {
      await redis.send("XADD", [topic, "*", "data", text]);
    },
    around: (appId, path, init) => fetch(`${addresses.get(appId)}${path}`, init),
    pass: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    async configure(key, value) {
      await redis.set(key, `${value}||1`);
    },
    async tick() {
      // The cron component ticks every second by itself.
    },
    async close() {
      redis.close();
      await Promise.all(servers.map((server) => server.stop(true)));
      await infra.stop();
    },
  };
}

conformance("daprd", openDaprd, { describe, test, expect, beforeAll, afterAll });
