import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { appendFileSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { connect as http2 } from "node:http2";
import { join } from "node:path";
import { parse } from "yaml";
import { openApi } from "../../packages/souk/src/api-client.ts";
import { listeners, processesOf } from "../../packages/souk/src/processes.ts";
import { type Shop, startShop } from "../../packages/souk/src/shop.ts";
import { type Infra, startInfra, startSidecar } from "../../packages/souk/src/testing.ts";
import { ways } from "../../services/gateway/ways.ts";
import { eventually, type TestShop, testShop } from "../e2e/shop.ts";
import { allowedOf, ask, certificateOf, secretsOf, services } from "./sidecars.ts";

const root = join(import.meta.dir, "../..");
let it: TestShop;
let again: Shop | undefined;
beforeAll(async () => {
  // Short enough to be renewed while we look.
  process.env.SOUK_CERTIFICATE_SECONDS = "30";
  it = await testShop();
}, 240_000);
afterAll(async () => {
  delete process.env.SOUK_CERTIFICATE_SECONDS;
  await again?.stop();
  await it?.stop();
});

const json = { "content-type": "application/json" };
const policies = services.map(allowedOf);

interface Described {
  paths: Record<string, Record<string, object>>;
}
const contract = <T>(service: string, file: string): T =>
  JSON.parse(readFileSync(join(root, "services", service, "contract", file), "utf8")) as T;

/** The paths of a service's contract with their methods, parameters filled in. */
const operations = (service: string): [method: string, path: string][] =>
  Object.entries(contract<Described>(service, "openapi.json").paths).flatMap(([path, methods]) =>
    // That it lives is for everybody to see.
    Object.keys(path === "/health" ? {} : methods).map((method): [string, string] => [
      method.toUpperCase(),
      path.replace(/\{\w+\}/g, "x"),
    ]),
  );

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

/** Whether a policy has an operation for a call, as Dapr reads it: `/orders/**` is `/orders` and all below. */
function allows(policy: { name: string; httpVerb: string[] }[], method: string, path: string): boolean {
  return policy.some(
    ({ name, httpVerb }) =>
      httpVerb.includes(method) &&
      (name.endsWith("/**") ? `${path}/`.startsWith(name.slice(0, -2)) : name === path),
  );
}

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

describe("topics", () => {
  const scopes = (name: string): Map<string, string[]> => {
    const { spec } = parse(readFileSync(join(root, "components/pubsub.yaml"), "utf8")) as {
      spec: { metadata: { name: string; value: string }[] };
    };
    const value = spec.metadata.find((field) => field.name === name)?.value ?? "";
    return new Map(
      value.split(";").map((one) => {
        const [app = "", topics = ""] = one.split("=");
        return [app, topics.split(",").sort()];
      }),
    );
  };

  interface Events {
    events: { topic: string }[];
    receives: { topic: string }[];
  }

  test.each(services)("%s may publish and hear what its contract says, and no more", (service) => {
    const { events, receives } = contract<Events>(service, "events.json");
    const dead = `${service}-dead`;
    const sorted = (topics: string[]): string[] => [...new Set(topics)].sort();
    expect(scopes("publishingScopes").get(service)).toEqual(
      sorted([...events.map(({ topic }) => topic), dead]),
    );
    expect(scopes("subscriptionScopes").get(service)).toEqual(
      sorted([...receives.map(({ topic }) => topic), dead]),
    );
  });

  test("all are protected: who has no scope for one has none", () => {
    const { spec } = parse(readFileSync(join(root, "components/pubsub.yaml"), "utf8")) as {
      spec: { metadata: { name: string; value: string }[] };
    };
    const value = spec.metadata.find((field) => field.name === "protectedTopics")?.value ?? "";
    const all = new Set(
      [...scopes("publishingScopes").values(), ...scopes("subscriptionScopes").values()].flat(),
    );
    expect(new Set(value.split(","))).toEqual(all);
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

describe("certificates", () => {
  let foreign: Infra;
  afterAll(() => foreign?.stop());

  test("a sidecar whose certificate another authority has signed is refused", async () => {
    foreign = await startInfra({ mtls: true });
    // It trusts the shop, and knows where its sidecars are: only what it shows of itself is wrong.
    appendFileSync(join(foreign.dir, "certs/ca.crt"), readFileSync(join(it.shop.home.certs, "ca.crt")));
    const sidecar = await startSidecar(foreign, {
      appId: "gateway",
      configuration: [
        "apiVersion: dapr.io/v1alpha1",
        "kind: Configuration",
        "metadata: { name: foreign }",
        "spec:",
        "  nameResolution:",
        "    component: sqlite",
        `    configuration: { connectionString: ${JSON.stringify(it.shop.home.names)}, updateInterval: 30s }`,
        "",
      ].join("\n"),
    });
    for (const path of ["catalog/method/products", "orders/method/orders", "identity/method/jwks"]) {
      const response = await fetch(`${sidecar.url}/v1.0/invoke/${path}`, {
        headers: { "dapr-api-token": sidecar.daprApiToken },
      });
      const text = await response.text();
      expect([path, response.status >= 500]).toEqual([path, true]);
      // It was found, and no connection came about: neither policy nor app were ever asked.
      expect(text).toContain("code = Unavailable");
    }
    await sidecar.stop();
    // The same call of the real gateway is answered.
    expect((await ask(it.shop, "gateway", "/v1.0/invoke/catalog/method/products")).status).toBe(200);
  }, 120_000);

  test("name the service, and nobody else", async () => {
    for (const service of services)
      expect((await certificateOf(it.shop, service)).subjectaltname).toBe(
        `URI:spiffe://public/ns/default/${service}`,
      );
  });

  /** Buyers and staff, who do not stop until `meanwhile` has; what was refused to them. */
  async function underLoad(meanwhile: () => Promise<void>): Promise<string[]> {
    const sku = await it.product({ onHand: 100_000 });
    const failures: string[] = [];
    let [done, asked] = [false, 0];
    const load = async (ask: () => Promise<unknown>): Promise<void> => {
      while (!done) {
        asked++;
        await ask().catch((error: unknown) => failures.push(String(error)));
      }
    };
    const running = [
      load(() => it.place([{ sku, quantity: 1 }])),
      load(() => it.stock(sku)),
      load(() => it.api.call("/api/orders?limit=1")),
      load(() => it.api.call(`/api/products/${sku}?n=${asked}`)),
      load(() => it.ledger()),
    ];
    try {
      await meanwhile();
    } finally {
      done = true;
      await Promise.all(running);
    }
    expect(asked).toBeGreaterThan(100);
    return failures;
  }

  /** Starts all sidecars anew, one after the other: each reads whom to trust when it starts. */
  async function restartSidecars(): Promise<void> {
    for (const service of services) {
      await it.shop.kill(service, "sidecar", "SIGTERM");
      await it.shop.ready(60_000);
    }
    // The others may take a moment to see that it is back.
    const all = [
      "/api/products",
      "/api/stock",
      "/api/orders",
      "/api/payments/ledger",
      "/api/users",
      "/api/webhooks",
    ];
    await eventually("all are reached again", async () => {
      const answers = await Promise.all(all.map((path) => it.refusal(path)));
      return answers.every(({ status }) => status < 500);
    });
  }

  const buys = async (): Promise<void> => {
    const order = await it.place([{ sku: await it.product(), quantity: 1 }]);
    expect(await it.settled(order)).toMatchObject({ status: "confirmed" });
  };

  test("are renewed under load: no request fails", async () => {
    const seen = new Map<string, Set<string>>(services.map((service) => [service, new Set()]));
    const failures = await underLoad(() =>
      eventually(
        "every sidecar has shown three certificates",
        async () => {
          for (const service of services)
            seen.get(service)?.add((await certificateOf(it.shop, service)).serialNumber);
          return [...seen.values()].every((serials) => serials.size >= 3);
        },
        120_000,
      ),
    );
    expect(failures).toEqual([]);
    // New connections take the certificates of now: a sidecar that begins anew is called, and calls.
    await it.shop.kill("orders", "sidecar");
    await it.shop.ready();
    await buys();
  }, 240_000);

  test("come from another authority when that is renewed, root and all; no request fails as they change", async () => {
    const successor = await startInfra({ mtls: true });
    const [from, to] = [join(successor.dir, "certs"), it.shop.home.certs];
    const put = (name: string, text: string): void => writeFileSync(join(to, name), text, { mode: 0o600 });
    const [old, next] = [to, from].map((folder) => readFileSync(join(folder, "ca.crt"), "utf8"));
    // First everybody trusts both, then the issuer is another one, in the end the old root is trusted by nobody.
    put("ca.crt", `${old}${next}`);
    await restartSidecars();
    const issuer = new X509Certificate(readFileSync(join(from, "issuer.crt")));
    const failures = await underLoad(async () => {
      for (const name of ["issuer.key", "issuer.crt"]) put(name, readFileSync(join(from, name), "utf8"));
      // Sentry reads them when it starts, and is started again whenever it ends.
      process.kill(it.shop.run.sentry.pid ?? Number.NaN, "SIGTERM");
      await eventually(
        "every sidecar shows a certificate of the new authority",
        async () => {
          const shown = await Promise.all(services.map((service) => certificateOf(it.shop, service)));
          return shown.every(({ raw }) => new X509Certificate(raw).verify(issuer.publicKey));
        },
        120_000,
      );
    });
    expect(failures).toEqual([]);
    put("ca.crt", next ?? "");
    await restartSidecars();
    await buys();
    await successor.stop();
  }, 300_000);
});

describe("tokens between a service and its sidecar", () => {
  test("are made anew once they are taken away: those of before open nothing", async () => {
    const { home } = it.shop;
    const before = Object.fromEntries(services.map((service) => [service, secretsOf(it.shop, service)]));
    const sku = await it.product();
    const order = await it.place([{ sku, quantity: 1 }]);
    await it.settled(order);
    await it.shop.stop();
    for (const service of services) {
      const { "dapr-api-token": _, "app-api-token": __, ...kept } = before[service] ?? {};
      writeFileSync(join(home.secrets, `${service}.json`), JSON.stringify(kept), { mode: 0o600 });
    }
    again = await startShop({ home: home.dir, port: 0, quiet: true });
    for (const service of services) {
      const old = before[service] ?? {};
      const now = secretsOf(again, service);
      expect(now["dapr-api-token"]).not.toBe(old["dapr-api-token"]);
      expect(now["app-api-token"]).not.toBe(old["app-api-token"]);
      // What else it keeps there has stayed: nobody has to sign in again, and what was encrypted still opens.
      expect(now).toMatchObject(without(old));
      const ready = `/v1.0/invoke/${service}/method/health`;
      expect((await ask(again, service, ready, { token: old["dapr-api-token"] })).status).toBe(401);
      expect((await ask(again, service, ready)).status).toBe(200);
      const { appPort } = again.run.services[service] ?? { appPort: 0 };
      const headers = { "dapr-api-token": old["app-api-token"] ?? "" };
      expect((await fetch(`http://127.0.0.1:${appPort}/ready`, { headers })).status).toBe(401);
    }
    const api = await openApi(home.devClient, again.url);
    expect((await api.call<{ status: string }>(`/api/orders/${order.id}`)).body.status).toBe("confirmed");
  }, 120_000);
});

const without = ({ "dapr-api-token": _, "app-api-token": __, ...rest }: Record<string, string>) => rest;
