import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openApi } from "../../packages/souk/src/api-client.ts";
import { type Shop, startShop } from "../../packages/souk/src/shop.ts";
import { type Infra, startInfra, startSidecar } from "../../packages/souk/src/testing.ts";
import { eventually, type TestShop, testShop } from "../e2e/shop.ts";
import { ask, certificateOf, secretsOf, services } from "./sidecars.ts";

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
