import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Reaction, Service } from "chassis";
import { type RequestOptions, type TestService, testService } from "chassis/testing";
import { openPostgres } from "drizzle-outbox";
import { server } from "../../packages/drizzle-outbox/test/postgres.ts";
import { covers } from "../../services/gateway/openapi-merge.ts";
import { ways } from "../../services/gateway/ways.ts";
import { type Operation, operationsOf, serviceNames } from "./contract.ts";
import { hints } from "./hints.ts";
import type { Hints } from "./schema.ts";
import { customer, seeds, skus, someone } from "./seeds.ts";
import { type Answer, patience, type Sent, type Target } from "./target.ts";

/** A service that runs in this process with something in it, ready to be asked anything. */
export interface Fixture extends Target {
  service: string;
  operations: Operation[];
  hints: Hints;
  reactions: Pick<Reaction<unknown>, "type">[];
  app: TestService<unknown>;
  /** A request that has to succeed whatever happened before. */
  pulse: string;
  stop(): Promise<void>;
}

const definitions = async (name: string): Promise<Service<unknown>> =>
  ((await import(`../../services/${name}/service.ts`)) as { default: Service<unknown> }).default;

export type StoreName = "sqlite" | "postgres";

/** Whom a service calls, in the order in which they can be started. */
const called: Record<string, string[]> = {
  orders: ["carts"],
  gateway: [
    "identity",
    "carts",
    ...serviceNames.filter((name) => !["gateway", "identity", "carts"].includes(name)),
  ],
};

/**
 * Starts a service on a database of its own, with those that it calls, and puts something into it.
 * @param running those that run already, for it to call
 */
export async function fixture(
  service: string,
  store: StoreName = "sqlite",
  running: Fixture[] = [],
): Promise<Fixture> {
  const definition = await definitions(service);
  const folder = join(import.meta.dir, "../../services", service);
  const data = mkdtempSync(join(tmpdir(), `fuzz-${service}-`));
  const clientFile = join(data, "dev-client.json");
  const own: Fixture[] = [];
  for (const name of called[service] ?? [])
    if (!running.some((one) => one.service === name))
      own.push(await fixture(name, store, [...running, ...own]));
  const behind = [...running, ...own];
  const db =
    store === "postgres" && definition.store
      ? await openPostgres(await (await server()).database())
      : undefined;
  const app = await testService(definition, {
    folder,
    db,
    env: {
      SOUK_DATA: data,
      DEV_CLIENT_FILE: clientFile,
      // All cases come from one address.
      RATE_LIMITS: "off",
      PROVIDER_TIMEOUT_MS: "200",
      ARGON2_MEMORY_KIB: "8",
      ARGON2_TIME: "1",
    },
    others: (request) => invoked(request, behind),
  });
  const edge = service === "gateway";
  const made: Fixture = {
    service,
    app,
    hints,
    operations: edge ? publicOperations : operationsOf(service),
    reactions: definition.reactions ?? [],
    book: { orderId: ["o-0"], ...known(behind), sku: skus },
    pulse: pulses[service] ?? "/health",
    prefix: (path) => (edge ? publicPath(path) : path),
    send: (sent) =>
      send(sent, made.book.userId?.[0] ?? someone, (path, options) =>
        edge && !path.startsWith("/_events/") ? app.edge(path, options) : app.request(path, options),
      ),
    async stop() {
      await app.stop();
      await db?.close();
      await Promise.all(own.map((one) => one.stop()));
      rmSync(data, { recursive: true, force: true });
    },
  };
  if (service === "identity") {
    const client = JSON.parse(readFileSync(clientFile, "utf8")) as { clientId: string; clientSecret: string };
    made.book.clientid = [client.clientId];
    made.book.clientsecret = [client.clientSecret];
  }
  await seeds[service]?.(made);
  return made;
}

/** What those behind know; orders come from where they are placed. */
const known = (behind: Fixture[]): Record<string, string[]> => {
  const books = behind.map(({ book }) => book);
  const orders = behind.find(({ service }) => service === "orders")?.book.orderId;
  return Object.assign({}, ...books, ...(orders ? [{ orderId: orders }] : []));
};

const pulses: Record<string, string> = {
  catalog: "/products?limit=1",
  inventory: "/stock?limit=1",
  orders: "/orders?limit=1",
  payments: "/payments/ledger",
  identity: "/jwks",
  shipping: "/shipments?limit=1",
  notifications: "/webhooks?limit=1",
  gateway: "/api/products?limit=1",
};

const leads = (path: string, { service, method }: Partial<Operation> = {}): boolean =>
  ways.some(
    (way) =>
      covers(way.path, path) &&
      (service === undefined || way.service === service) &&
      (method === undefined || way.methods.some((one) => one === method)),
  );

/** Where clients find a path of a service's contract. */
export const publicPath = (path: string): string =>
  leads(path) && !leads(`/api${path}`) ? path : `/api${path}`;

/**
 * What can be asked through the gateway, which may answer besides that it does not let a path through. It has ways of
 * its own to the dead letters.
 */
export const publicOperations: Operation[] = serviceNames
  .flatMap(operationsOf)
  // What only other services may ask has no way in; what the gateway answers itself is not behind it.
  .filter((operation) => leads(publicPath(operation.path), operation))
  .map((operation) => ({
    ...operation,
    answers: {
      ...operation.answers,
      400: { ...operation.answers[400], "application/problem+json": {} },
      431: { "application/problem+json": {} },
    },
  }));

/** The sidecar: secrets, and calls of other services. daprd decodes a path once. State is kept by the service under test. */
async function invoked(request: Request, behind: Fixture[]): Promise<Response | undefined> {
  const url = new URL(request.url);
  if (url.pathname === "/v1.0/secrets/secrets/carrier-webhooks")
    return Response.json({ "carrier-webhooks": JSON.stringify({ test: `whsec_${btoa("s".repeat(32))}` }) });
  const secret = /^\/v1\.0\/secrets\/secrets\/(key|index|mail)$/.exec(url.pathname)?.[1];
  if (secret) return Response.json({ [secret]: Buffer.alloc(32, secret).toString("base64url") });
  if (url.pathname.startsWith("/v1.0/state/")) return undefined;
  const [, name, path = ""] = /^\/v1\.0\/invoke\/([^/]+)\/method(.*)$/.exec(url.pathname) ?? [];
  const found = behind.find(({ service }) => service === name);
  if (!found)
    return Response.json({ errorCode: "ERR_DIRECT_INVOKE", message: "nobody there" }, { status: 500 });
  return found.app.request(decodeURIComponent(path) + url.search, {
    method: request.method,
    headers: Object.fromEntries(request.headers),
    ...(request.body ? { body: request.body } : {}),
  });
}

async function send(
  { method, path, headers, as, body, chunked }: Sent,
  user: string,
  ask: (path: string, options: RequestOptions) => Promise<Response>,
): Promise<Answer> {
  const started = performance.now();
  const bodiless = method === "GET" || method === "HEAD" || body === undefined;
  const answered = ask(path, {
    method,
    // What no HTTP parser lets through does not reach a service either: that is for the front door.
    headers: Object.fromEntries(
      headers.map(([name, value]) => [
        name,
        Buffer.from(value)
          .toString("latin1")
          .replace(/[\r\n\0]/g, " ")
          .trim(),
      ]),
    ),
    ...(as === "guest"
      ? {}
      : as === "user"
        ? { scopes: customer, caller: user, user: true }
        : { scopes: as }),
    ...(bodiless ? {} : { body: chunked ? new Blob([body]).stream() : body }),
  }).then(async ({ status, headers, body }) => {
    // What is followed goes on for as long as somebody listens.
    const follows = headers.get("content-type")?.startsWith("text/event-stream");
    if (follows) await body?.cancel();
    return { status, headers, text: follows ? "" : await new Response(body).text() };
  });
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<Omit<Answer, "ms">>((resolve) => {
    timer = setTimeout(() => resolve({ status: 0, headers: new Headers(), text: "" }), patience + 1_000);
  });
  try {
    return { ...(await Promise.race([answered, late])), ms: performance.now() - started };
  } finally {
    clearTimeout(timer);
  }
}
