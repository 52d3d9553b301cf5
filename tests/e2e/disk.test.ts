import { Database } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type Disk, smallDisk } from "../../packages/drizzle-outbox/test/disk.ts";
import { Refused } from "../../packages/souk/src/api-client.ts";
import type { OrderSeen } from "../../packages/souk/src/orders-watch.ts";
import { customer, eventually, gbp, type TestShop, testShop } from "./shop.ts";

// A real shop whose disks fail. Databases, broker and logs lie on a small disk each, where this user may mount one.

let it: TestShop;
const disks: Partial<Record<"data" | "redis" | "logs", Disk>> = {};
const said: string[] = [];

beforeAll(async () => {
  it = await testShop(
    {},
    {
      say: (_, text) => said.push(text),
      prepare(home) {
        for (const name of ["data", "redis", "logs"] as const) disks[name] = smallDisk(64, join(home, name));
      },
    },
  );
}, 600_000);
afterAll(async () => {
  await it?.shop.stop();
  for (const disk of Object.values(disks)) disk?.remove();
  await it?.stop();
}, 60_000);

/** Takes all room of a disk; gives it back. */
function fill(disk: Disk): () => void {
  const ballast = join(disk.path, "ballast");
  spawnSync("sh", ["-c", `head -c 1G /dev/zero > "${ballast}"`]);
  return () => rmSync(ballast);
}

const disk = (name: keyof typeof disks): Disk | undefined => {
  if (!disks[name]) process.stdout.write(`not run: a full disk for ${name} (this user may not mount one)\n`);
  return disks[name];
};

const place = (sku: string, key = crypto.randomUUID()): Promise<OrderSeen> =>
  it.place([{ sku, quantity: 1 }], {}, { headers: { "idempotency-key": key } });

const readiness = async () => {
  const response = await fetch(`${it.shop.url}/ready`);
  const { dependencies } = (await response.json()) as {
    dependencies: Record<string, { status: string; detail?: string }>;
  };
  return { status: response.status, orders: dependencies.orders };
};

/** All is sold and paid once, and nobody was given up for a disk's sake. */
async function balances(sku: string, onHand: number, orders: OrderSeen[]): Promise<void> {
  const ends = await Promise.all(orders.map((order) => it.settled(order, 90_000)));
  expect(ends.filter(({ status }) => status !== "confirmed")).toEqual([]);
  expect(await it.stock(sku)).toMatchObject({ onHand, reserved: orders.length });
  for (const { id } of orders) expect((await it.payment(id)).authorised).toEqual(gbp(700));
  expect((await it.ledger()).balanced).toBe(true);
  for (const name of ["orders", "inventory", "payments", "catalog"]) {
    const db = new Database(join(it.shop.home.data, `${name}.db`), { readonly: true });
    expect(db.query("select id, reason from outbox_dead_letters").all()).toEqual([]);
    db.close();
  }
}

describe("a full disk", () => {
  test("of the databases: orders are refused with 503 until there is room, and those taken are kept", async () => {
    const data = disk("data");
    if (!data) return;
    const sku = await it.product({ price: gbp(700), onHand: 3_000 });
    const restarts = () => Object.values(it.shop.run.services).map((service) => service.restarts);
    const before = restarts();
    const makeRoom = fill(data);
    const orders: OrderSeen[] = [];
    let refusal: Refused | undefined;
    // The last pages of its log take an order or two, and each must be finished later.
    while (refusal === undefined) {
      const results = await Promise.allSettled(Array.from({ length: 8 }, () => place(sku)));
      for (const result of results) {
        if (result.status === "fulfilled") orders.push(result.value);
        else if (result.reason instanceof Refused) refusal = result.reason;
        else throw result.reason;
      }
    }
    expect(refusal).toMatchObject({ status: 503, code: "storage-full" });
    const answer = await fetch(`${it.shop.url}/api/orders`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ ...customer, lines: [{ sku, quantity: 1 }] }),
    });
    expect(answer.status).toBe(503);
    expect(answer.headers.get("content-type")).toBe("application/problem+json");
    expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
    await eventually("the way in says that orders does not store", async () => {
      const { status, orders } = await readiness();
      return status === 503 && orders?.detail === "database: it does not store: full";
    });
    makeRoom();
    await eventually("all is ready", async () => (await readiness()).status === 200);
    orders.push(await place(sku));
    await balances(sku, 3_000, orders);
    expect(restarts()).toEqual(before);
  }, 180_000);

  test("of the broker: orders are taken, and go on when there is room", async () => {
    const redis = disk("redis");
    if (!redis) return;
    const sku = await it.product({ price: gbp(700), onHand: 100 });
    const makeRoom = fill(redis);
    const orders: OrderSeen[] = [];
    // It ends itself when it cannot write; until it has, orders still get through.
    await eventually(
      "the broker has no room",
      async () => {
        orders.push(await place(sku));
        return said.some((text) => text.startsWith("redis: The disk is full"));
      },
      60_000,
    );
    orders.push(await place(sku));
    makeRoom();
    await balances(sku, 100, orders);
  }, 180_000);

  test("of the logs: the shop goes on without", async () => {
    const logs = disk("logs");
    if (!logs) return;
    // What is left of a file's last page would take some lines more.
    for (const name of readdirSync(logs.path))
      appendFileSync(
        join(logs.path, name),
        "\n".repeat(4_096 - (statSync(join(logs.path, name)).size % 4_096)),
      );
    const makeRoom = fill(logs);
    const sku = await it.product({ price: gbp(700), onHand: 100 });
    // A death is said, and so written.
    await it.shop.kill("inventory");
    const told = (what: string) => said.filter((text) => text.startsWith(what)).length;
    await eventually("it is said", async () => told("No logs are written") > 0, 30_000);
    const orders = await Promise.all(Array.from({ length: 10 }, () => place(sku)));
    await balances(sku, 100, orders);
    expect(told("No logs are written")).toBe(1);
    makeRoom();
    await it.shop.kill("inventory");
    await eventually("they are written again", async () => told("Logs are written again") > 0, 30_000);
    await it.shop.ready();
  }, 180_000);
});

describe("a disk that stays full", () => {
  let other: TestShop | undefined;
  let data: Disk | undefined;
  afterAll(async () => {
    await other?.shop.stop();
    data?.remove();
    await other?.stop();
  }, 60_000);

  test("keeps events with the broker, however long: none is given up", async () => {
    other = await testShop(
      {},
      {
        prepare(home) {
          data = smallDisk(64, join(home, "data"));
        },
      },
    );
    if (!data) {
      process.stdout.write("not run: a disk that stays full (this user may not mount one)\n");
      return;
    }
    const sku = await other.product({ price: gbp(700), onHand: 50 });
    // Nobody hears of these before the disk is full.
    await other.shop.halt("redis");
    const orders = await Promise.all(
      Array.from({ length: 20 }, () => (other as TestShop).place([{ sku, quantity: 1 }])),
    );
    const makeRoom = fill(data);
    await other.shop.start("redis");
    const log = join(other.shop.home.logs, "inventory-sidecar.log");
    // Said once, however often it is tried.
    const refused = () => readFileSync(log, "utf8").includes("component[pubsub] input. Retrying in");
    await eventually("an event is refused", async () => refused(), 60_000);
    makeRoom();
    await other.shop.ready(60_000);
    const ends = await Promise.all(orders.map((order) => (other as TestShop).settled(order, 90_000)));
    expect(ends.filter(({ status }) => status !== "confirmed")).toEqual([]);
    expect(await other.stock(sku)).toMatchObject({ onHand: 50, reserved: 20 });
    expect((await other.ledger()).balanced).toBe(true);
  }, 240_000);
});

describe("the broker's log", () => {
  const aof = () => {
    const folder = join(it.shop.home.redis, "appendonlydir");
    const name = readdirSync(folder).find((each) => each.endsWith(".incr.aof")) ?? "";
    return join(folder, name);
  };

  test("damaged: it does not start, says what to do, and changes nothing; orders are taken meanwhile", async () => {
    const sku = await it.product({ price: gbp(700), onHand: 10 });
    const orders = [await place(sku)];
    await it.settled(orders[0] as OrderSeen, 60_000);
    await it.shop.halt("redis");
    const [path, copy] = [aof(), join(it.shop.home.dir, "aof.copy")];
    copyFileSync(path, copy);
    const bytes = readFileSync(path);
    writeFileSync(path, bytes.fill(0, bytes.length >> 1, (bytes.length >> 1) + 1_000));
    await it.shop.start("redis");
    const told = () => said.some((text) => /^redis: .*redis-check-aof --fix .*npx souk restore/.test(text));
    await eventually("it says what to do", async () => told(), 30_000);
    expect(readFileSync(path).equals(bytes)).toBe(true);
    orders.push(await place(sku));
    copyFileSync(copy, path);
    await balances(sku, 10, orders);
  }, 180_000);

  test("cut short by a crash: it starts with what it had answered", async () => {
    const sku = await it.product({ price: gbp(700), onHand: 10 });
    await it.shop.kill("redis");
    await it.shop.halt("redis");
    appendFileSync(aof(), "*3\r\n$3\r\nSET\r\n$1\r\na");
    await it.shop.start("redis");
    await it.shop.ready(60_000);
    await balances(sku, 10, [await place(sku)]);
  }, 180_000);
});

describe("a database that its service cannot use", () => {
  /** Starts orders on what was done to its file; gives what it says, and goes on when it was undone. */
  async function refusedStart(
    harm: (path: string) => () => void,
    why: RegExp,
    advice: RegExp,
  ): Promise<void> {
    const sku = await it.product({ price: gbp(700), onHand: 10 });
    const order = await place(sku);
    await it.settled(order, 60_000);
    await it.shop.halt("orders");
    const path = join(it.shop.home.data, "orders.db");
    const undo = harm(path);
    const before = readFileSync(path);
    await it.shop.start("orders");
    const words = async () => it.shop.tail("orders").some((text) => text.includes(path) && why.test(text));
    await eventually("it says why it does not start", words, 30_000);
    await eventually("what to do is said", async () => said.some((text) => advice.test(text)));
    await eventually("the way in is not ready", async () => (await readiness()).status === 503);
    await expect(place(sku)).rejects.toMatchObject({ status: 503 });
    expect(readFileSync(path).equals(before)).toBe(true);
    undo();
    // By itself, at its next try.
    await it.shop.ready(60_000);
    expect((await it.api.call<OrderSeen>(`/api/orders/${order.id}`)).body).toMatchObject({
      status: "confirmed",
    });
    await balances(sku, 10, [order]);
  }

  test("damaged: it does not start, says which file and what to do, and changes nothing", async () => {
    const damage = (path: string) => {
      // What is in the log as well would repair the pages.
      const db = new Database(path);
      db.run("pragma wal_checkpoint(truncate)");
      db.close();
      const copy = `${path}.copy`;
      copyFileSync(path, copy);
      const bytes = readFileSync(path);
      bytes.fill(0xa5, bytes.length >> 1, (bytes.length >> 1) + 16_384);
      writeFileSync(path, bytes);
      return () => {
        copyFileSync(copy, path);
        rmSync(copy);
      };
    };
    await refusedStart(damage, /is damaged/, /^orders: .*npx souk restore.*--fresh/);
  }, 180_000);

  test("read-only: likewise", async () => {
    const root = process.getuid?.() === 0;
    if (root && !disks.data) {
      process.stdout.write(
        "not run: a read-only database (this root may not mount one, and chmod does not stop it)\n",
      );
      return;
    }
    const lock = (path: string) => {
      if (!root) {
        chmodSync(path, 0o400);
        return () => chmodSync(path, 0o600);
      }
      const mount = (...args: string[]) => expect(spawnSync("mount", args).status).toBe(0);
      mount("--bind", path, path);
      mount("-o", "remount,bind,ro", path);
      return () => void spawnSync("umount", [path]);
    };
    await refusedStart(lock, /cannot be written: .*(EROFS|EACCES)/, /^orders: Mount .* for writing/);
  }, 180_000);
});
