import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, readlinkSync } from "node:fs";
import { connect as http2 } from "node:http2";
import { listeners, processesOf } from "../../packages/souk/src/processes.ts";
import { ways } from "../../services/gateway/ways.ts";
import { type TestShop, testShop } from "../e2e/shop.ts";
import { allowedOf, allows, ask, operations, secretsOf, services } from "./sidecars.ts";

let it: TestShop;
beforeAll(async () => {
  it = await testShop();
}, 240_000);
afterAll(async () => {
  await it?.stop();
});

const json = { "content-type": "application/json" };
const policies = services.map(allowedOf);

describe.each(services)("the app of %s, past its sidecar", (service) => {
  const around = [
    "/dapr/subscribe",
    "/dapr/config",
    "/metrics",
    "/ready",
    "/_events/orders",
    "/openapi.json",
  ];
  test.each([
    ["no token", {}],
    ["a wrong token", { "dapr-api-token": "wrong" }],
    ["its sidecar's own token", "dapr-api-token"],
    ["the token of another app", "another"],
  ])("refuses a call with %s", async (_, how) => {
    const token =
      how === "another"
        ? secretsOf(it.shop, service === "orders" ? "catalog" : "orders")["app-api-token"]
        : typeof how === "string"
          ? secretsOf(it.shop, service)[how]
          : how["dapr-api-token" as keyof typeof how];
    const { appPort } = it.shop.run.services[service] ?? { appPort: 0 };
    const asked: [string, string][] = [
      ...operations(service),
      ...around.flatMap((path): [string, string][] => [
        ["GET", path],
        ["POST", path],
      ]),
    ];
    for (const [method, path] of asked) {
      const response = await fetch(`http://127.0.0.1:${appPort}${path}`, {
        method,
        headers: { ...json, ...(token === undefined ? {} : { "dapr-api-token": token }) },
        redirect: "manual",
      });
      expect([method, path, response.status]).toEqual([method, path, 401]);
      await response.body?.cancel();
    }
  });
});

describe.each(services)("the sidecar of %s", (service) => {
  const own = allowedOf(service);

  test("does nothing without its token", async () => {
    const other = secretsOf(it.shop, service === "orders" ? "catalog" : "orders")["dapr-api-token"];
    for (const token of ["", "wrong", other, secretsOf(it.shop, service)["app-api-token"]]) {
      for (const [method, path] of [
        ["GET", "/v1.0/metadata"],
        ["GET", "/v1.0/secrets/secrets/key"],
        ["GET", "/v1.0/secrets/secrets/bulk"],
        ["GET", `/v1.0/invoke/${service}/method/ready`],
        ["POST", `/v1.0/publish/pubsub/${service}`],
        ["POST", "/v1.0/shutdown"],
      ] as const) {
        const { status } = await ask(it.shop, service, path, { method, token });
        expect([method, path, status]).toEqual([method, path, 401]);
      }
    }
  });

  const blocks: Record<string, [string, string][]> = {
    state: [
      ["GET", "/v1.0/state/state/x"],
      ["POST", "/v1.0/state/state"],
      ["DELETE", "/v1.0/state/state/x"],
    ],
    bindings: [["POST", "/v1.0/bindings/mail"]],
    shutdown: [["POST", "/v1.0/shutdown"]],
    metadata: [
      ["GET", "/v1.0/metadata"],
      ["PUT", "/v1.0/metadata/who"],
    ],
    actors: [["POST", "/v1.0/actors/a/1/state"]],
    configuration: [["GET", "/v1.0/configuration/secrets"]],
    lock: [["POST", "/v1.0-alpha1/lock/state"]],
    workflows: [["POST", "/v1.0/workflows/dapr/w/start"]],
    crypto: [["PUT", "/v1.0-alpha1/crypto/secrets/encrypt"]],
    jobs: [["POST", "/v1.0-alpha1/jobs/j"]],
    conversation: [["POST", "/v1.0-alpha2/conversation/c/converse"]],
  };

  test.each(Object.keys(blocks).filter((api) => !own.apis.includes(api)))(
    "does not offer %s",
    async (api) => {
      for (const [method, path] of blocks[api] ?? []) {
        const { status, text } = await ask(it.shop, service, path, {
          method,
          headers: json,
          body: method === "GET" ? undefined : "{}",
        });
        // What is not on the list is no path of the sidecar: it takes it for a call of nobody.
        expect([path, status, JSON.parse(text).errorCode]).toEqual([path, 404, "ERR_DIRECT_INVOKE"]);
      }
    },
  );

  test("does not stop, invoke, publish or read state over gRPC", async () => {
    for (const method of [
      "Shutdown",
      "InvokeService",
      "PublishEvent",
      "BulkPublishEventAlpha1",
      "GetState",
      "SaveState",
      "GetSecret",
      "GetBulkSecret",
      "InvokeBinding",
      "SubscribeTopicEventsAlpha1",
    ])
      expect([method, await grpc(service, method)]).toEqual([method, "12"]);
  });

  test("gives the secrets that are named, and no other", async () => {
    const there = Object.keys(secretsOf(it.shop, service));
    expect(there).toContain("app-api-token");
    for (const name of there) {
      const { status } = await ask(it.shop, service, `/v1.0/secrets/secrets/${name}`);
      expect([name, status]).toEqual([name, own.secrets.includes(name) ? 200 : 403]);
    }
    const { text } = await ask(it.shop, service, "/v1.0/secrets/secrets/bulk");
    expect(Object.keys(JSON.parse(text)).filter((name) => !own.secrets.includes(name))).toEqual([]);
    for (const name of ["redis-password", "dapr-api-token", "app-api-token"])
      expect(own.secrets).not.toContain(name);
  });

  test("publishes its own topic alone", async () => {
    for (const topic of [...services, ...services.map((name) => `${name}-dead`), "anything"]) {
      if (topic === service || topic === `${service}-dead`) continue;
      for (const path of [`/v1.0/publish/pubsub/${topic}`, `/v1.0/publish/bulk/pubsub/${topic}`]) {
        const body = path.includes("bulk")
          ? JSON.stringify([{ entryId: "1", event: {}, contentType: "application/json" }])
          : "{}";
        const { status, text } = await ask(it.shop, service, path, { method: "POST", headers: json, body });
        expect([path, status, JSON.parse(text).errorCode]).toEqual([path, 403, "ERR_PUBSUB_FORBIDDEN"]);
      }
    }
  });

  test("calls nobody but whom it may", async () => {
    const around: [string, string][] = [
      ["GET", "/dapr/subscribe"],
      ["GET", "/metrics"],
      ["POST", "/_events/orders"],
      ["POST", "/_crons/renew"],
      ["POST", "/configuration/configuration/checkout.paused"],
      ["PUT", "/"],
    ];
    const denied = policies
      .filter((callee) => callee.service !== service)
      .flatMap((callee) =>
        [...operations(callee.service), ...around]
          .filter(([method, path]) => !allows(callee.callers.get(service) ?? [], method, path))
          .map(([method, path]) => ({ method, path: `/v1.0/invoke/${callee.service}/method${path}` })),
      );
    expect(denied.length).toBeGreaterThan(services.length);
    const tried = async ({ method, path }: (typeof denied)[number]) => {
      const init = { method, headers: json, body: method === "GET" ? undefined : "{}" };
      for (;;) {
        const { status, text } = await ask(it.shop, service, path, init);
        // On a busy machine it may not even have found out whom to ask.
        if (text.includes("failed to look up address")) continue;
        return { method, path, status, denied: text.includes("access control policy has denied access") };
      }
    };
    // Many at once: to some services a sidecar tries again, and waits between.
    const answers: Awaited<ReturnType<typeof tried>>[] = [];
    for (let at = 0; at < denied.length; at += 32)
      answers.push(...(await Promise.all(denied.slice(at, at + 32).map(tried))));
    expect(answers).toEqual(denied.map((one) => ({ ...one, status: 403, denied: true })));
  });
});

/** Calls a method of a sidecar over gRPC, as its app would, and gives the status (12 is "not implemented"). */
function grpc(service: string, method: string): Promise<string> {
  const { daprGrpcPort } = it.shop.run.services[service] ?? { daprGrpcPort: 0 };
  const session = http2(`http://127.0.0.1:${daprGrpcPort}`);
  return new Promise<string>((resolve, reject) => {
    session.once("error", reject);
    const stream = session.request({
      ":method": "POST",
      ":path": `/dapr.proto.runtime.v1.Dapr/${method}`,
      "content-type": "application/grpc",
      te: "trailers",
      "dapr-api-token": secretsOf(it.shop, service)["dapr-api-token"] ?? "",
    });
    const status = (headers: Record<string, unknown>): void => {
      if (headers["grpc-status"] !== undefined) resolve(String(headers["grpc-status"]));
    };
    stream.on("response", status);
    stream.on("trailers", status);
    stream.once("error", reject);
    stream.resume();
    stream.end(Buffer.alloc(5));
  }).finally(() => session.destroy());
}

describe("the gateway", () => {
  test("may call all that its ways lead to", async () => {
    const asked = ways.flatMap(({ service, path, methods }) =>
      methods.map((method) => {
        const inside = path.replace(/^\/api(?=\/)/, "").replace(/:\w+/g, "x");
        return { method, path: `/v1.0/invoke/${service}/method${inside}` };
      }),
    );
    expect(asked.length).toBeGreaterThan(40);
    for (const { method, path } of asked) {
      // Whoever asks has no token and sends nothing: the service refuses what is not for everybody.
      const { text } = await ask(it.shop, "gateway", path, { method, redirect: "manual" });
      expect([method, path, text.includes("access control policy")]).toEqual([method, path, false]);
    }
  });

  test.each([
    ["DELETE", "orders/method/orders/x"],
    ["PATCH", "orders/method/orders/x"],
    ["PUT", "payments/method/payments/x/refunds"],
    ["DELETE", "inventory/method/stock/x"],
    ["POST", "identity/method/jwks"],
    ["GET", "orders/method/orders/../metrics"],
    ["GET", "orders/method/orders/%2e%2e/metrics"],
    ["GET", "orders/method/orders%2f..%2fmetrics"],
    ["GET", "orders/method//metrics"],
    ["GET", "orders/method/dapr/subscribe"],
    ["POST", "orders/method/_events/payments"],
  ])("may not: %s %s", async (method, path) => {
    const { status, text } = await ask(it.shop, "gateway", `/v1.0/invoke/${path}`, { method });
    expect(status).toBeGreaterThanOrEqual(400);
    // Nothing of what lies there comes back, whether the policy or the path stopped it.
    expect(text).not.toMatch(/# HELP|pubsubname|"keys"|SUCCESS/);
  });
});

describe("the network", () => {
  test("hears nobody but this machine", () => {
    const sockets = new Map(listeners().map((each) => [each.inode, each]));
    const loopback = ["0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F"];
    const found = [process.pid, ...processesOf(it.shop.home.dir)].flatMap((pid) =>
      readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
        const socket = sockets.get(/^socket:\[(\d+)\]$/.exec(link(`/proc/${pid}/fd/${fd}`))?.[1] ?? "");
        return socket ? [socket] : [];
      }),
    );
    // Each service has its own port and four of its sidecar.
    expect(found.length).toBeGreaterThanOrEqual(services.length * 5);
    expect(
      found.filter(
        ({ address, port }) => !loopback.includes(address) && port !== it.shop.run.sentry.healthPort,
      ),
    ).toEqual([]);
  });
});

function link(file: string): string {
  try {
    return readlinkSync(file);
  } catch {
    return ""; // closed meanwhile
  }
}
