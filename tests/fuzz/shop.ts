import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openApi } from "../../packages/souk/src/api-client.ts";
import { startShop } from "../../packages/souk/src/shop.ts";
import { publicPath } from "./fixtures.ts";
import type { Violation } from "./oracle.ts";
import { customer, skus } from "./seeds.ts";
import { type Answer, patience, type Sent, type Target } from "./target.ts";
import { exchange } from "./wire.ts";

/** A whole shop with its sidecars, asked over plain connections. */
export interface ShopTarget extends Target {
  url: string;
  /** Sends bytes that are no proper request, and says what is wrong with what comes back. */
  broken(text: string): Promise<Violation | undefined>;
  /** How often a process had to be started again. */
  deaths(): number;
  /** Resident bytes of all services and sidecars together. */
  memory(): number;
  stop(): Promise<void>;
}

/** Starts a shop in a folder of its own and puts something into it. */
export async function shopTarget(): Promise<ShopTarget> {
  const home = mkdtempSync(join(tmpdir(), "souk-fuzz-"));
  const shop = await startShop({ home, port: 0, quiet: true, env: { RATE_LIMITS: "off" } });
  const { host, port } = { host: "127.0.0.1", port: Number(new URL(shop.url).port) };
  const clientFile = join(home, "dev-client.json");
  const client = JSON.parse(readFileSync(clientFile, "utf8")) as { clientId: string; clientSecret: string };
  const api = await openApi(clientFile, shop.url);
  const tokens = new Map<string, { value: Promise<string>; until: number }>();

  async function token(scopes: string[]): Promise<string> {
    const scope = scopes.join(" ");
    const known = tokens.get(scope);
    if (known && known.until > Date.now()) return known.value;
    const body = new URLSearchParams({
      grant_type: "client_credentials",
      client_id: client.clientId,
      client_secret: client.clientSecret,
      ...(scope ? { scope } : {}),
    });
    const value = fetch(`${shop.url}/token`, { method: "POST", body })
      .then((response) => response.json() as Promise<{ access_token: string }>)
      .then(({ access_token }) => access_token);
    tokens.set(scope, { value, until: Date.now() + 300_000 });
    return value;
  }

  async function send({ method, path, headers, as, body, chunked }: Sent): Promise<Answer> {
    const lines = [`${method} ${path} HTTP/1.1`, `Host: ${host}:${port}`, "Connection: close"];
    // A person signs in with a browser: here a client has what a user would have.
    if (as !== "guest") lines.push(`Authorization: Bearer ${await token(as === "user" ? customer : as)}`);
    for (const [name, value] of headers) lines.push(`${name}: ${value}`);
    if (chunked) lines.push("Transfer-Encoding: chunked");
    else if (body) lines.push(`Content-Length: ${body.length}`);
    const payload = body ?? new Uint8Array();
    const framed = chunked
      ? [
          Buffer.from(`${payload.length.toString(16)}\r\n`),
          payload,
          Buffer.from(`\r\n${payload.length > 0 ? "0\r\n\r\n" : ""}`),
        ]
      : [payload];
    const head = Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
    const started = performance.now();
    const received = await exchange({ host, port, method }, Buffer.concat([head, ...framed]), patience);
    const ms = performance.now() - started;
    return {
      status: received.status,
      headers: received.headers,
      text: new TextDecoder().decode(received.body),
      ms,
    };
  }

  async function broken(text: string): Promise<Violation | undefined> {
    const bytes = Buffer.from(text.replaceAll("{host}", `${host}:${port}`), "latin1");
    const { status, body } = await exchange(
      { host, port, method: /^HEAD /.test(text) ? "HEAD" : "GET" },
      bytes,
      patience,
      true,
    );
    if (status === -1) return { rule: "no answer, and the connection stays", detail: "" };
    // Not our protocol, not our method: that is said with 501 and 505.
    if (status >= 500 && status !== 501 && status !== 505)
      return { rule: `${status}`, detail: Buffer.from(body).toString().slice(0, 300) };
    return undefined;
  }

  const book = {
    sku: skus,
    orderId: [] as string[],
    clientid: [client.clientId],
    clientsecret: [client.clientSecret],
  };
  const lines = skus.map((sku, index) =>
    JSON.stringify({
      sku,
      name: `White heart ${index}`,
      category: "Hearts",
      price: { amount: 100 + index, currency: "GBP" },
      kind: "physical",
      onHand: 1_000,
    }),
  );
  await api.call("/api/products/import", {
    method: "POST",
    headers: { "content-type": "application/x-ndjson" },
    body: lines.join("\n"),
  });
  while (book.orderId.length < 6) {
    const order = {
      lines: [{ sku: skus[0], quantity: 1 }],
      customer: { email: "ada@example.com", name: "Ada" },
      shippingAddress: { name: "Ada", line1: "1 Main Street", city: "London", country: "GB" },
      payment: { method: "test", token: "tok_ok" },
    };
    // Orders may not have heard of the product yet.
    const placed = await api
      .call<{ id: string }>("/api/orders", { method: "POST", body: order })
      .catch(() => undefined);
    if (placed) book.orderId.push(placed.body.id);
  }
  return {
    url: shop.url,
    book,
    prefix: publicPath,
    send,
    broken,
    deaths: () =>
      Object.values(shop.run.services).reduce(
        (sum, { restarts, sidecarRestarts }) => sum + restarts + sidecarRestarts,
        0,
      ),
    memory: () => {
      const { services } = shop.run;
      const pids = Object.values(services).flatMap(({ pid, sidecarPid }) => [pid, sidecarPid]);
      return pids.reduce<number>((sum, pid) => sum + resident(pid), 0);
    },
    async stop() {
      await shop.stop();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

/** Bytes in memory, where the system says so (Linux); 0 elsewhere. */
function resident(pid: number | null): number {
  try {
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}
