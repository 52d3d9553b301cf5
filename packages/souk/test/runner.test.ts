import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { connect } from "node:http2";
import { createServer } from "node:net";
import { join } from "node:path";
import { statusOf } from "../src/commands/status.ts";
import { homeOf, readJson, type Secrets, secretsFile } from "../src/home.ts";
import { cacheFolder } from "../src/obtain/cache.ts";
import { obtain } from "../src/obtained.ts";
import { identify, isAlive, listeners, type ProcessId, processesOf } from "../src/processes.ts";
import { type Run, readRun } from "../src/run.ts";
import { AlreadyRunning, type Part, PortBusy, type Shop, startShop } from "../src/shop.ts";
import { type Standin, standin } from "./standin/project.ts";

let project: Standin;
beforeAll(() => {
  project = standin();
});
afterAll(() => project.remove());

const home = () => homeOf(project.root, join(project.root, ".souk"));

/** Everything that belongs to a shop, except this test. */
const family = () => processesOf(home().dir);

async function eventually(
  what: string,
  holds: () => Promise<boolean> | boolean,
  withinMs = 30_000,
): Promise<void> {
  const until = performance.now() + withinMs;
  while (!(await holds())) {
    if (performance.now() > until) throw new Error(`Not so after ${withinMs} ms: ${what}`);
    await Bun.sleep(20);
  }
}

/** A call through the sidecar of a service. */
async function through(shop: Shop, app: string, path: string, init: RequestInit = {}): Promise<Response> {
  const secrets = readJson<Secrets>(secretsFile(shop.home, app));
  return fetch(`http://127.0.0.1:${shop.run.services[app]?.daprHttpPort}${path}`, {
    ...init,
    headers: { "dapr-api-token": secrets?.["dapr-api-token"] ?? "", ...init.headers },
  });
}

const publish = (shop: Shop, app: string, topic: string, data: unknown) =>
  through(shop, app, `/v1.0/publish/pubsub/${topic}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(data),
  });

const heard = async (shop: Shop) =>
  (await (await through(shop, "gateway", "/v1.0/invoke/orders/method/orders/heard")).text())
    .split("\n")
    .filter(Boolean);

describe("a shop that runs", () => {
  let shop: Shop;
  beforeAll(async () => {
    shop = await startShop({ root: project.root, home: home().dir, port: 0, quiet: true });
  });
  afterAll(() => shop.stop());

  test("is open, and says in run.json what runs where", async () => {
    expect(await (await fetch(shop.url)).text()).toBe("the shop");
    const run = readRun(shop.home);
    expect(run?.state).toBe("ready");
    expect(run?.pid).toBe(process.pid);
    expect(Object.keys(run?.services ?? {})).toEqual(["catalog", "orders", "gateway"]);
    for (const service of Object.values(run?.services ?? {})) {
      expect(isAlive(identify(service.pid ?? 0))).toBe(true);
      expect(isAlive(identify(service.sidecarPid ?? 0))).toBe(true);
    }
    const status = await statusOf(shop.home);
    expect(status.processes.filter((each) => !each.ready)).toEqual([]);
    expect(status.ready).toBe(true);
  });

  test("does not start twice in one folder", async () => {
    const second = startShop({ root: project.root, home: home().dir, port: 0, quiet: true });
    await expect(second).rejects.toBeInstanceOf(AlreadyRunning);
    await expect(second).rejects.toThrow(`pid ${process.pid}`);
  });

  test("listens on loopback only", async () => {
    const mine = new Set(family());
    const sockets = new Map(listeners().map((each) => [each.inode, each]));
    const { sentry } = await obtain();
    const foreignSentry = !sentry.startsWith(cacheFolder()) || sentry.includes("-release");
    const found: string[] = [];
    for (const pid of mine) {
      const names = readdirSync(`/proc/${pid}/fd`).flatMap((fd) => linkOf(`/proc/${pid}/fd/${fd}`));
      for (const name of names) {
        const socket = sockets.get(/^socket:\[(\d+)\]$/.exec(name)?.[1] ?? "");
        if (!socket) continue;
        // Sentry of the official release answers health checks on every address, and cannot be told otherwise.
        if (foreignSentry && socket.port === shop.run.sentry.healthPort) continue;
        found.push(socket.address);
      }
    }
    expect(found.length).toBeGreaterThan(15);
    const loopback = ["0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F"];
    expect(found.filter((address) => !loopback.includes(address))).toEqual([]);
  });

  test("keeps its secrets to itself", () => {
    const folders = [shop.home.dir, shop.home.secrets, shop.home.certs, shop.home.data, shop.home.redis];
    for (const folder of folders) expect(statSync(folder).mode & 0o077).toBe(0);
    for (const folder of [shop.home.secrets, shop.home.certs]) {
      for (const name of readdirSync(folder)) expect(statSync(join(folder, name)).mode & 0o077).toBe(0);
    }
    const orders = readJson<Secrets>(secretsFile(shop.home, "orders"));
    const catalog = readJson<Secrets>(secretsFile(shop.home, "catalog"));
    expect(orders?.["dapr-api-token"]).not.toBe(catalog?.["dapr-api-token"]);
    for (const pid of family()) {
      expect(readFileSync(`/proc/${pid}/cmdline`, "utf8")).not.toContain(orders?.["redis-password"] ?? "?");
    }
  });

  test("denies what nobody has allowed", async () => {
    const call = async (from: string, to: string, path: string, method = "GET") =>
      (await through(shop, from, `/v1.0/invoke/${to}/method${path}`, { method })).status;
    expect(await call("gateway", "orders", "/orders/1")).toBe(200);
    expect(await call("gateway", "orders", "/metrics")).toBe(403);
    expect(await call("gateway", "orders", "/_events/catalog", "POST")).toBe(403);
    expect(await call("gateway", "orders", "/orders/1", "DELETE")).toBe(403);
    expect(await call("orders", "catalog", "/products/1")).toBe(403);
    expect(await call("orders", "gateway", "/")).toBe(403);

    expect((await publish(shop, "catalog", "catalog", { n: 0 })).status).toBe(204);
    expect((await publish(shop, "catalog", "orders", {})).status).toBe(403);
    expect((await publish(shop, "gateway", "anything", {})).status).toBe(403);

    const get = async (app: string, path: string) => (await through(shop, app, path)).status;
    expect(await get("orders", "/v1.0/secrets/secrets/key")).toBe(200);
    expect(await get("orders", "/v1.0/secrets/secrets/redis-password")).toBe(403);
    expect(await get("orders", "/v1.0/secrets/secrets/dapr-api-token")).toBe(403);
    // State is not among what orders may ask for.
    expect(await get("orders", "/v1.0/state/state/x")).toBe(404);
    expect(await get("orders", "/v1.0/shutdown")).not.toBe(204);
  });

  test("answers over gRPC nothing that it could be asked for", async () => {
    const secrets = readJson<Secrets>(secretsFile(shop.home, "orders"));
    const client = connect(`http://127.0.0.1:${shop.run.services.orders?.daprGrpcPort}`);
    const status = (method: string) =>
      new Promise<string>((resolve, reject) => {
        const request = client.request({
          ":method": "POST",
          ":path": `/dapr.proto.runtime.v1.Dapr/${method}`,
          "content-type": "application/grpc",
          te: "trailers",
          "dapr-api-token": secrets?.["dapr-api-token"] ?? "",
        });
        request.on(
          "response",
          (headers) => headers["grpc-status"] && resolve(String(headers["grpc-status"])),
        );
        request.on("trailers", (headers) => resolve(String(headers["grpc-status"])));
        request.on("error", reject);
        request.resume();
        request.end(Buffer.alloc(5));
      });
    try {
      const unimplemented = "12";
      for (const method of ["PublishEvent", "GetSecret", "InvokeService", "GetState"]) {
        expect(await status(method)).toBe(unimplemented);
      }
    } finally {
      client.close();
    }
  });

  test("admits nobody without the token", async () => {
    const { services } = shop.run;
    const sidecar = `http://127.0.0.1:${services.orders?.daprHttpPort}/v1.0/metadata`;
    expect((await fetch(sidecar)).status).toBe(401);
    expect((await fetch(sidecar, { headers: { "dapr-api-token": "guess" } })).status).toBe(401);
    expect((await fetch(`http://127.0.0.1:${services.orders?.appPort}/orders/1`)).status).toBe(401);
  });

  test.each<[string, Part]>([
    ["orders", "app"],
    ["orders", "sidecar"],
    ["gateway", "app"],
    ["redis", "app"],
    ["sentry", "app"],
  ])("starts %s (%s) again when it is killed, and goes on", async (name, part) => {
    const before = pidOf(shop.run, name, part);
    await shop.kill(name, part);
    await eventually("another process", () => ![before, null].includes(pidOf(shop.run, name, part)));
    await eventually("all ready", async () => (await statusOf(shop.home)).ready);
    const n = `${name}-${part}`;
    await eventually("an event is taken", async () => (await publish(shop, "catalog", "catalog", { n })).ok);
    await eventually("and heard", async () => (await heard(shop)).some((line) => line.includes(n)), 30_000);
    expect(await (await fetch(shop.url)).text()).toBe("the shop");
    const log = readFileSync(join(shop.home.logs, "souk.log"), "utf8");
    expect(log).toContain(`(pid ${before}) was ended by SIGKILL; it starts again in`);
  });

  test("hands on what was published while a service was away", async () => {
    await shop.halt("orders");
    for (let i = 0; i < 300; i++)
      expect((await publish(shop, "catalog", "catalog", { away: i })).status).toBe(204);
    await eventually(
      "the sidecar has tried to hand it over",
      () => readFileSync(join(shop.home.logs, "orders-sidecar.log"), "utf8").includes("Retrying in"),
      20_000,
    );
    await shop.start("orders");
    await eventually(
      "all heard",
      async () => new Set((await heard(shop)).filter((line) => line.includes("away"))).size === 300,
      40_000,
    );
  }, 90_000);

  test("writes logs that are JSON", () => {
    for (const name of ["souk", "orders", "orders-sidecar", "redis", "sentry"]) {
      const path = join(shop.home.logs, `${name}.log`);
      expect(statSync(path).mode & 0o077).toBe(0);
      for (const line of readFileSync(path, "utf8").split("\n").filter(Boolean)) {
        expect(Object.keys(JSON.parse(line))).toEqual(
          expect.arrayContaining(["time", "level", "process", "msg"]),
        );
      }
    }
  });
});

describe("start and stop", () => {
  const shops: Shop[] = [];
  const start = async (over: Partial<Parameters<typeof startShop>[0]> = {}) => {
    const shop = await startShop({ root: project.root, home: home().dir, port: 0, quiet: true, ...over });
    shops.push(shop);
    return shop;
  };
  afterEach(async () => {
    await Promise.all(shops.splice(0).map((shop) => shop.stop()));
  });

  test("a stop leaves nothing running, and the next start finds what was kept", async () => {
    const first = await start();
    await publish(first, "catalog", "catalog", { kept: true });
    await eventually("heard", async () => (await heard(first)).some((line) => line.includes("kept")));
    const token = readFileSync(secretsFile(first.home, "orders"), "utf8");
    const root = readFileSync(join(first.home.certs, "ca.crt"), "utf8");
    await first.stop();
    expect(family()).toEqual([]);
    expect(readRun(home())).toBeNull();

    const again = await start();
    expect((await heard(again)).some((line) => line.includes("kept"))).toBe(true);
    expect(readFileSync(secretsFile(again.home, "orders"), "utf8")).toBe(token);
    expect(readFileSync(join(again.home.certs, "ca.crt"), "utf8")).toBe(root);
  });

  test("an event that was accepted is delivered after a stop and a start", async () => {
    const first = await start();
    await first.halt("orders");
    expect((await publish(first, "catalog", "catalog", { later: 1 })).status).toBe(204);
    await first.stop();
    const again = await start();
    await eventually(
      "heard",
      async () => (await heard(again)).some((line) => line.includes("later")),
      30_000,
    );
  }, 60_000);

  test("fresh forgets all data", async () => {
    const first = await start();
    await publish(first, "catalog", "catalog", { forgotten: true });
    await eventually("heard", async () => (await heard(first)).length > 0);
    await first.stop();
    const again = await start({ fresh: true });
    expect(await heard(again)).toEqual([]);
  });

  test("two shops live side by side and do not see each other", async () => {
    const one = await start();
    const other = await start({ home: join(project.root, "other") });
    expect(other.url).not.toBe(one.url);
    await publish(one, "catalog", "catalog", { only: "one" });
    await eventually("heard", async () => (await heard(one)).some((line) => line.includes("one")));
    expect(await heard(other)).toEqual([]);
    await one.stop();
    expect((await through(other, "gateway", "/v1.0/invoke/orders/method/orders/1")).status).toBe(200);
  });

  test("a busy port is named with who holds it", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await new Promise((done) => server.once("listening", done));
    const { port } = server.address() as { port: number };
    try {
      const error = await startShop({ root: project.root, home: home().dir, port, quiet: true }).catch(
        (e: unknown) => e,
      );
      expect(error).toBeInstanceOf(PortBusy);
      expect(String(error)).toContain(`Port ${port} is held by pid ${process.pid}`);
      expect(String(error)).toContain("bun");
      expect(String(error)).toContain(`PORT=${port + 1} npm start`);
      expect(family()).toEqual([]);
    } finally {
      server.close();
    }
  });

  test("a service that cannot start is named, with its last words, and nothing is left", async () => {
    const error = await startShop({
      root: project.root,
      home: home().dir,
      port: 0,
      quiet: true,
      env: { STANDIN_FAILS: "orders" },
    }).catch((e: unknown) => e);
    expect(String(error)).toContain("orders ends as soon as it is started");
    expect(String(error)).toContain("This service was told to fail.");
    expect(String(error)).toContain("npx souk logs orders");
    expect(family()).toEqual([]);
  }, 60_000);

  test("who does not stop is killed", async () => {
    const shop = await start({ env: { STANDIN_SLOW: "orders" } });
    const began = performance.now();
    const stopping = shop.stop();
    await Bun.sleep(300);
    await shop.stop({ force: true });
    await stopping;
    expect(performance.now() - began).toBeLessThan(5_000);
    expect(family()).toEqual([]);
  });

  test.each([30, 120, 250, 400, 600, 900])("an abort %p ms into the start leaves nothing", async (ms) => {
    const stop = new AbortController();
    const reason = new Error("enough");
    const timer = setTimeout(() => stop.abort(reason), ms);
    const started = await startShop({
      root: project.root,
      home: join(project.root, "aborted"),
      port: 0,
      quiet: true,
      signal: stop.signal,
    }).catch((e: unknown) => e);
    clearTimeout(timer);
    // A fast machine may be ready before.
    if (started instanceof Error) expect(started).toBe(reason);
    else await (started as Shop).stop();
    expect(processesOf(join(project.root, "aborted"))).toEqual([]);
  });
});

describe("a runner that is killed", () => {
  const script = join(import.meta.dir, "standin/run.ts");

  /** Starts a shop in a process of its own; resolves when it is ready. */
  async function runner(): Promise<{
    child: Bun.Subprocess<"pipe", "pipe", "inherit">;
    run: Run;
    all: ProcessId[];
  }> {
    const child = Bun.spawn([process.execPath, script, project.root], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    const reader = child.stdout.getReader();
    let text = "";
    while (!text.includes("\n")) {
      const { value, done } = await reader.read();
      if (done) throw new Error(`The runner ended: ${text}`);
      text += new TextDecoder().decode(value);
    }
    reader.releaseLock();
    return { child, run: JSON.parse(text) as Run, all: family().map(identify) };
  }

  test("takes everything with it", async () => {
    const { child, all } = await runner();
    expect(all.length).toBeGreaterThanOrEqual(9);
    child.kill("SIGKILL");
    await child.exited;
    await eventually("all gone", () => family().length === 0, 10_000);
    expect(existsSync(home().runFile)).toBe(true);
    expect(readRun(home())).toBeNull();
  });

  test("with its watchdog: the next start ends what was left, and nothing else", async () => {
    const { child, run, all } = await runner();
    const bystander = Bun.spawn(["sleep", "60"], { stdio: ["ignore", "ignore", "ignore"] });
    const listed = readJson<{ name: string; pid: number }[]>(home().processesFile) ?? [];
    const watchdog = listed.find((each) => each.name === "watchdog")?.pid ?? 0;
    for (const pid of [watchdog, child.pid, run.services.orders?.pid ?? 0, run.redis.pid ?? 0])
      process.kill(pid, "SIGKILL");
    await child.exited;
    const left = all.filter(isAlive);
    expect(left.length).toBeGreaterThan(3);

    const shop = await startShop({ root: project.root, home: home().dir, port: 0, quiet: true });
    try {
      expect(left.filter(isAlive)).toEqual([]);
      expect(bystander.exitCode).toBeNull();
      expect((await through(shop, "gateway", "/v1.0/invoke/orders/method/orders/1")).status).toBe(200);
    } finally {
      bystander.kill();
      await shop.stop();
    }
    expect(family()).toEqual([]);
  }, 60_000);
});

function pidOf(run: Run, name: string, part: Part): number | null {
  if (name === "redis" || name === "sentry") return run[name].pid;
  const service = run.services[name];
  return (part === "app" ? service?.pid : service?.sidecarPid) ?? null;
}

function linkOf(path: string): string[] {
  try {
    return [readlinkSync(path)];
  } catch (error) {
    // A descriptor that was closed meanwhile.
    if (error instanceof Error) return [];
    throw error;
  }
}
