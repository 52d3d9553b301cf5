import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parse } from "yaml";
import { contractOf, validate } from "../packages/chassis/src/contract.ts";
import { violations } from "./architecture.ts";

const root = resolve(import.meta.dir, "..");
const services = readdirSync(join(root, "services")).sort();

function sources(folder: string): Map<string, string> {
  const files = new Map<string, string>();
  for (const entry of readdirSync(join(root, folder), { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile() && path.endsWith(".ts") && !path.includes("node_modules")) {
      files.set(path.slice(root.length + 1), readFileSync(path, "utf8"));
    }
  }
  return files;
}

describe("who may import what", () => {
  test("holds in the whole tree", () => {
    expect(violations(new Map([...sources("services"), ...sources("packages")]))).toEqual([]);
  });

  // Each rule broken once: a rule that cannot turn red protects nothing.
  test.each([
    ["services/orders/routes.ts", 'import { x } from "../inventory/stock.ts";', "own folder"],
    ["services/orders/routes.ts", 'import { x } from "@souk/inventory";', "shares no code"],
    ["services/orders/routes.ts", 'import { eq } from "drizzle-orm";', "know Drizzle"],
    ["services/orders/order.ts", 'import { z } from "valibot";', "types and other domain files"],
    ["services/orders/order.ts", 'import { tables } from "./store.ts";', "knows no other room"],
    ["services/orders/order.ts", 'import { routes } from "./returns-routes.ts";', "knows no other room"],
    ["services/orders/returns-routes.ts", 'import { eq } from "drizzle-orm";', "know Drizzle"],
    ["services/orders/published.ts", 'import { insert } from "drizzle-outbox";', "the others are told"],
    ["services/orders/order.ts", "export const at = Date.now();", "is pure"],
    ["services/orders/order.ts", "export async function decide() {}", "is pure"],
    ["services/orders/reactions.ts", "await sidecar.publish(OrderPlaced, data);", "only the relay publishes"],
    ["services/orders/contracts.ts", 'import { db } from "./store.ts";', "schemas of what it publishes"],
    ["services/orders/service.ts", 'import { Hono } from "hono";', "wires the other rooms"],
    ["services/orders/store.ts", 'import { Hono } from "hono";', "loads and saves"],
    ["services/orders/store.ts", 'import { ada } from "./users.fixture.ts";', "fixtures are for tests"],
    ["services/orders/routes.ts", "const url = process.env.DATABASE_URL;", "reads the environment"],
    [
      "packages/chassis/src/x.ts",
      'import { order } from "../../../services/orders/order.ts";',
      "know nothing of shops",
    ],
    ["packages/hono-dapr/src/x.ts", 'import { outbox } from "drizzle-outbox";', "stands alone"],
    ["packages/drizzle-outbox/src/x.ts", 'import { dapr } from "hono-dapr";', "stands alone"],
    ["packages/chassis/src/x.ts", 'import { dapr } from "../../hono-dapr/src/dapr.ts";', "by its name"],
    [
      "packages/souk/src/chaos/checker/x.ts",
      'import { openSqlite } from "drizzle-outbox";',
      "shares no code",
    ],
    [
      "packages/souk/src/chaos/checker/rules/x.ts",
      'import { openApi } from "../../../api-client.ts";',
      "shares no code",
    ],
  ])("%s must not say: %s", (file, code, rule) => {
    expect(
      violations(new Map([[file, code]]))
        .map((violation) => violation.rule)
        .join("\n"),
    ).toContain(rule);
  });

  test("types may cross where values may not", () => {
    expect(
      violations(new Map([["services/orders/order.ts", 'import type { Rejection } from "chassis";']])),
    ).toEqual([]);
  });
});

describe("the list of services", () => {
  test("in dapr.yaml is the folders of services/", () => {
    const { apps } = parse(readFileSync(join(root, "dapr.yaml"), "utf8")) as {
      apps: { appID: string; appDirPath: string }[];
    };
    expect(apps.map((app) => app.appID).sort()).toEqual(services);
    for (const app of apps) expect(resolve(root, app.appDirPath)).toBe(join(root, "services", app.appID));
  });
});

describe("schedules", () => {
  interface Component {
    metadata: { name: string };
    spec: { type: string; metadata: { name: string; value: string }[] };
    scopes?: string[];
  }
  const scheduled = readdirSync(join(root, "components"))
    .map((file) => parse(readFileSync(join(root, "components", file), "utf8")) as Component)
    .filter(({ spec }) => spec.type === "bindings.cron")
    .map(({ spec, scopes }) => {
      const { schedule = "", ...rest } = Object.fromEntries(
        spec.metadata.map(({ name, value }) => [name, value]),
      );
      return { scopes, schedule, ...rest };
    });

  test("every cron of a service has one component, and every component a cron", async () => {
    const wanted: unknown[] = [];
    for (const service of services) {
      const { default: definition } = await import(join(root, "services", service, "service.ts"));
      for (const name of Object.keys(definition.crons ?? {}))
        wanted.push({ scopes: [service], route: `/_crons/${name}`, direction: "input" });
    }
    const routes = scheduled.map(({ schedule, ...rest }) => rest);
    const sorted = (list: unknown[]) =>
      list.map((one) => JSON.stringify(one, ["scopes", "route", "direction"])).sort();
    expect(sorted(routes)).toEqual(sorted(wanted));
  });

  test("are times of the clock: the sidecars of replicas would not agree on others", () => {
    for (const { schedule } of scheduled)
      expect(schedule).toMatch(/^(CRON_TZ=\S+ )?(\S+ ){4}\S+$|^@(hourly|daily|weekly|monthly)$/);
  });
});

interface EventsFile {
  source: string;
  events: { topic: string; type: string; example: { data: unknown } }[];
}

const readEvents = (service: string): EventsFile =>
  JSON.parse(readFileSync(join(root, "services", service, "contract/events.json"), "utf8")) as EventsFile;

describe("contracts", () => {
  test.each(services)("of %s are as its code says (npm run contracts)", async (service) => {
    for (const [name, wanted] of Object.entries(await contractOf(join(root, "services", service)))) {
      expect(readFileSync(join(root, "services", service, "contract", name), "utf8")).toBe(wanted);
    }
  });

  test("what a service reads is what its publisher says", async () => {
    const examples = new Map(
      services.flatMap((service) =>
        readEvents(service).events.map(
          ({ topic, type, example }) => [type, { service, topic, data: example.data }] as const,
        ),
      ),
    );
    const checked: string[] = [];
    for (const service of services) {
      const { default: definition } = await import(join(root, "services", service, "service.ts"));
      for (const { type } of definition.reactions ?? []) {
        const published = examples.get(type.type);
        const { formerly = published?.topic } = type as { formerly?: string };
        expect(
          [published?.topic, formerly],
          `${service} reads ${type.type} of ${type.topic}, where nobody publishes it`,
        ).toContain(type.topic);
        expect(
          validate(type.schema, published?.data).issues,
          `${service} reads ${type.type} otherwise`,
        ).toBeUndefined();
        checked.push(`${service} ${type.type}`);
      }
    }
    expect(checked.length).toBeGreaterThan(10);
  });

  test("every topic is published by the service of its name alone", () => {
    for (const service of services) {
      for (const { topic } of readEvents(service).events) expect(topic.split("-")[0]).toBe(service);
    }
  });
});

test("the story of an order is told by four files of under 200 lines", () => {
  for (const file of ["service.ts", "routes.ts", "order.ts", "checkout.ts"]) {
    const lines = readFileSync(join(root, "services/orders", file), "utf8").split("\n").length;
    expect(lines, file).toBeLessThan(200);
  }
});

test("migrations are what the tables need (npm run migrations)", () => {
  for (const service of services.filter((name) =>
    sources(`services/${name}`).has(`services/${name}/store.ts`),
  )) {
    const { exitCode, stdout, stderr } = Bun.spawnSync({
      cmd: [process.execPath, "packages/drizzle-outbox/src/generate.ts", `services/${service}`, "--check"],
      cwd: root,
    });
    expect(exitCode, `${service}: ${stdout}${stderr}`).toBe(0);
  }
}, 60_000);
