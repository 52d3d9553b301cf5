import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import type { Service } from "../../packages/chassis/src/service.ts";
import { type TestService, testService } from "../../packages/chassis/src/testing/index.ts";
import type { Schema } from "../fuzz/contract.ts";
import { valid } from "../fuzz/schema.ts";
import type { Role, Route } from "./authorisation.ts";
import { type Person, things } from "./things.ts";

// Every service in this process with its real routes, and things in it that belong to somebody.

/** What a route is asked about: the parameters of its path, and the secret that opens it, where there is one. */
export interface Thing {
  params: Record<string, string>;
  key?: string;
}

export interface Rig {
  service: string;
  app: TestService<unknown>;
  /** Somebody, by name: the id that their tokens carry. */
  id(person: Person): string;
  /** A thing that belongs to one of them; new where it may be used up. */
  thing(route: Route, owner: Person): Promise<Thing>;
  /** Asks a route about a thing, as a role. */
  ask(route: Route, role: Role, thing: Thing, person?: Person): Promise<Response>;
  stop(): Promise<void>;
}

const root = join(import.meta.dir, "../..");

/** Starts a service. The gateway's calls are answered by `behind`, all others by nobody. */
export async function rigOf(service: string, behind: Rig[] = []): Promise<Rig> {
  const folder = join(root, "services", service);
  const { default: definition } = (await import(join(folder, "service.ts"))) as { default: Service<unknown> };
  const data = mkdtempSync(join(tmpdir(), `roles-${service}-`));
  const app = await testService(definition, {
    folder,
    env: {
      SOUK_DATA: data,
      DEV_CLIENT_FILE: join(data, "client.json"),
      NODE_ENV: "development",
      PROVIDER_TIMEOUT_MS: "200",
    },
    others: (request) => sidecar(request, behind),
  });
  const world = await things(service, app, data);
  const bodies = bodiesOf(service);
  let asked = 0;

  return {
    service,
    app,
    id: world.id,
    thing: world.thing,
    async ask(route, role, { params, key }, person = "caller") {
      const path =
        route.path.replace(/:(\w+)/g, (_, name: string) => encodeURIComponent(params[name] ?? "none")) +
        (queries[`${route.method} ${route.path}`] ?? "");
      const body = bodies(route, params, ++asked);
      const options = {
        method: route.method,
        headers: {
          "if-match": "*",
          ...(body ? { "content-type": body.media } : {}),
          ...(role.key && key !== undefined ? { "order-key": key } : {}),
        },
        ...(body ? { body: body.text } : {}),
        ...(role.kind === "guest"
          ? {}
          : {
              scopes: [...role.scopes],
              user: role.kind === "user",
              caller: role.kind === "user" ? world.id(role.name === "admin" ? "admin" : person) : "machine",
            }),
      };
      return service === "gateway" ? app.edge(path, options) : app.request(path, options);
    },
    async stop() {
      await app.stop();
      rmSync(data, { recursive: true, force: true });
    },
  };
}

/** The sidecar: every secret there may be, and the services that the gateway calls. */
async function sidecar(request: Request, behind: Rig[]): Promise<Response | undefined> {
  const { pathname, search } = new URL(request.url);
  const secret = /^\/v1\.0\/secrets\/secrets\/([\w-]+)$/.exec(pathname)?.[1];
  if (secret === "carrier-webhooks")
    return Response.json({
      [secret]: JSON.stringify({ test: `whsec_${Buffer.alloc(32).toString("base64")}` }),
    });
  if (secret) return Response.json({ [secret]: Buffer.alloc(32, secret).toString("base64url") });
  // A state store in memory stands behind a service under test.
  if (pathname.startsWith("/v1.0/state/")) return undefined;
  const [, name, path = ""] = /^\/v1\.0\/invoke\/([^/]+)\/method(.*)$/.exec(pathname) ?? [];
  const found = behind.find(({ service }) => service === name);
  if (!found)
    return Response.json({ errorCode: "ERR_DIRECT_INVOKE", message: "nobody there" }, { status: 500 });
  return found.app.request(decodeURIComponent(path) + search, {
    method: request.method,
    headers: Object.fromEntries(request.headers),
    ...(request.body ? { body: request.body } : {}),
  });
}

interface Body {
  media: string;
  text: string;
}

/** What a route cannot do without. */
const queries: Record<string, string> = { "GET /order-statuses": "?ids=none" };

/** What each route is sent: what is written here, or whatever fits the schema of its contract. */
const written: Record<string, (params: Record<string, string>, n: number) => object> = {
  "POST /orders": () => order,
  "POST /orders/:id/cancel": () => ({}),
  "POST /orders/:id/returns": () => ({ lines: [{ sku: "S-1", quantity: 1 }], reason: "too small" }),
  "POST /orders/:id/returns/:returnId/receive": () => ({}),
  "POST /quotes": () => ({ lines: order.lines, country: "GB" }),
  "PUT /products/:sku": () => product,
  "PATCH /products/:sku": () => ({ name: "Another name" }),
  "POST /products": (_, n) => ({ ...product, sku: `new-${n}` }),
  "POST /carts/mine/merge": ({ cartId }) => ({ cartId }),
  "PUT /carts/:id/lines/:sku": () => ({ quantity: 2 }),
  "PUT /stock/:sku": () => ({ onHand: 7 }),
  "POST /payments/:orderId/refunds": () => ({}),
  "POST /shipments/:id/dispatch": () => ({}),
  "POST /users": (_, n) => ({
    email: `new-${n}@example.com`,
    name: "New",
    password: `a new word ${n} for it`,
  }),
  "PATCH /users/:id": () => ({ name: "Another name" }),
  "POST /webhooks": () => ({ url: "https://receiver.invalid/hooks", events: ["order.confirmed"] }),
  "PATCH /webhooks/:id": () => ({ status: "disabled" }),
  "POST /dead-letters/replay": () => ({ topic: "nothing" }),
  "POST /api/dead-letters/replay": () => ({ topic: "nothing" }),
};

const product = { name: "A thing", price: { amount: 100, currency: "GBP" }, kind: "physical" };

/** An order by Ada. */
export const order = {
  lines: [{ sku: "S-1", quantity: 1 }],
  customer: { email: "ada@example.com", name: "Ada Lovelace" },
  shippingAddress: { name: "Ada Lovelace", line1: "1 Main Street", city: "London", country: "GB" },
  payment: { method: "test", token: "tok_ok" },
};

/** What the routes of a service are sent, by what their contract says. */
export function bodiesOf(service: string) {
  const { paths } = JSON.parse(
    readFileSync(join(root, "services", service, "contract/openapi.json"), "utf8"),
  ) as {
    paths: Record<string, Record<string, { requestBody?: { content: Record<string, { schema?: Schema }> } }>>;
  };
  return ({ method, path }: Route, params: Record<string, string>, n: number): Body | undefined => {
    const own = written[`${method} ${path}`];
    const operation = paths[path.replace(/:(\w+)/g, "{$1}")]?.[method.toLowerCase()];
    const [media, { schema = {} } = {}] = Object.entries(operation?.requestBody?.content ?? {})[0] ?? [];
    if (own) return { media: media ?? "application/json", text: JSON.stringify(own(params, n)) };
    if (media === undefined) return undefined;
    const value = fc.sample(valid(schema), { numRuns: 1, seed: 7 })[0];
    const form = media === "application/x-www-form-urlencoded";
    return {
      media,
      text: form ? String(new URLSearchParams(value as Record<string, string>)) : JSON.stringify(value),
    };
  };
}
