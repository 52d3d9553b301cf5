import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Infra, startInfra, startSidecar } from "../../packages/souk/src/testing.ts";
import { eventually } from "../e2e/shop.ts";
import { contract, fieldOf, services } from "./sidecars.ts";

const json = { "content-type": "application/json" };

describe("topics", () => {
  const scopes = (name: string): Map<string, string[]> =>
    new Map(
      fieldOf(name)
        .split(";")
        .map((one) => {
          const [app = "", topics = ""] = one.split("=");
          return [app, topics.split(",").sort()];
        }),
    );

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
    const all = new Set(
      [...scopes("publishingScopes").values(), ...scopes("subscriptionScopes").values()].flat(),
    );
    expect(new Set(fieldOf("protectedTopics").split(","))).toEqual(all);
  });
});

describe("a topic that is not in its scopes", () => {
  let infra: Infra;
  beforeAll(async () => {
    infra = await startInfra();
  }, 120_000);
  afterAll(() => infra?.stop());

  /** An app that asks for topics, beside a sidecar that has our scopes; it notes what it is given. */
  async function listener(appId: string, topics: string[]) {
    const heard: string[] = [];
    const server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      async fetch(request) {
        const { pathname } = new URL(request.url);
        if (pathname === "/dapr/subscribe")
          return Response.json(
            topics.map((topic) => ({ pubsubname: "pubsub", topic, route: `/heard/${topic}` })),
          );
        if (!pathname.startsWith("/heard/")) return new Response(null, { status: 404 });
        heard.push(pathname.slice("/heard/".length));
        return Response.json({ status: "SUCCESS" });
      },
    });
    const metadata = Object.fromEntries(
      ["publishingScopes", "subscriptionScopes", "protectedTopics"].map((name) => [name, fieldOf(name)]),
    );
    const sidecar = await startSidecar(infra, {
      appId,
      appPort: server.port,
      components: { "pubsub.yaml": infra.pubsub({ metadata }) },
    });
    return { heard, sidecar, stop: () => Promise.all([server.stop(true), sidecar.stop()]) };
  }

  test("gives a service nothing, however it asks", async () => {
    const catalog = await listener("catalog", ["orders", "payments", "catalog-dead"]);
    const inventory = await listener("inventory", ["orders"]);
    const orders = await listener("orders", ["payments"]);
    const publish = async ({ sidecar }: typeof catalog, topic: string): Promise<number> => {
      const headers = { ...json, "dapr-api-token": sidecar.daprApiToken };
      const response = await fetch(`${sidecar.url}/v1.0/publish/pubsub/${topic}`, {
        method: "POST",
        headers,
        body: "{}",
      });
      return response.status;
    };
    expect(await publish(orders, "orders")).toBe(204);
    expect(await publish(catalog, "catalog-dead")).toBe(204);
    await eventually("who may hear it has heard it", async () => inventory.heard.includes("orders"), 30_000);
    await eventually(
      "what it may hear it has heard",
      async () => catalog.heard.includes("catalog-dead"),
      30_000,
    );
    expect(catalog.heard).toEqual(["catalog-dead"]);
    await Promise.all([catalog, inventory, orders].map((one) => one.stop()));
  }, 120_000);
});
