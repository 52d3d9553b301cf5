import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { type Answer, Refused } from "../../packages/souk/src/api-client.ts";
import { type Case, creating } from "./creating.ts";
import { type TestShop, testShop } from "./shop.ts";

setDefaultTimeout(180_000);

let it: TestShop;
/** Takes whatever webhooks bring. */
let receiver: Bun.Server<undefined>;

beforeAll(async () => {
  it = await testShop({ EVENT_RETRIES: "1" });
  receiver = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response(null, { status: 204 }) });
}, 600_000);
afterAll(async () => {
  await receiver?.stop(true);
  await it?.stop();
}, 60_000);

const cases = creating(
  () => it,
  () => receiver,
);

/** POSTs without an Idempotency-Key, and why they need none. */
const exempt: Record<string, string> = {
  "/carts/mine/merge": "A cart notes whose lines it has taken over: twice is once",
  "/checkouts/{cartId}": "A cart goes to one order, whoever asks again; only orders can ask",
  "/checkouts/{cartId}/lines": "It only reads",
  "/checkouts/{cartId}/ordered": "As above: what is closed stays closed",
  "/keys/rotate": "Until the next key signs, asking again changes nothing",
  "/me": "It only reads (OpenID Connect Core 5.3.1 wants it by POST as well)",
  "/quotes": "It only reads: nothing is placed, and nothing is kept",
  "/session/sign-out": "A session that has ended stays ended",
  "/token": "A token more does no harm, and RFC 6749 knows no such header",
  "/token/introspection": "It only reads (RFC 7662)",
  "/token/revocation": "What is given back stays so (RFC 7009)",
  "/unsubscribe": "Who is unsubscribed stays so, and a mail program sends no such header (RFC 8058)",
  "/users/forgot-password": "It makes nothing but a mail, of which there are five an hour",
  "/users/reset-password": "A link works once",
  "/users/verify-email": "A link works once",
  "/users/{id}/verification-mail": "It makes nothing but a mail, of which there are five an hour",
  "/shipping/webhooks/{carrier}": "A carrier names each message by an id of its own: it is heard once",
  "/payments/webhooks/stripe": "Stripe names each event by an id of its own: it is heard once",
};

interface Route {
  service: string;
  path: string;
  takesKey: boolean;
}

const services = join(import.meta.dir, "../../services");
/** The gateway leads to the services' own dead letters. */
const inner = (path: string): string => path.replace(/^\/api(\/dead-letters)(\/\{service\})?/, "$1");
const routes: Route[] = readdirSync(services).flatMap((service) => {
  const file = join(services, service, "contract/openapi.json");
  const { paths } = JSON.parse(readFileSync(file, "utf8")) as {
    paths: Record<string, { post?: { parameters?: { name?: string }[] } }>;
  };
  return Object.entries(paths).flatMap(([path, { post }]) =>
    post
      ? [
          {
            service,
            path: inner(path),
            takesKey: (post.parameters ?? []).some(({ name }) => name === "Idempotency-Key"),
          },
        ]
      : [],
  );
});

const ask = (one: Case, key: string, body = one.body): Promise<Answer<unknown>> =>
  it.api.call(one.path, { method: "POST", body, headers: { ...one.headers, "idempotency-key": key } });

/** Asks as a client does that wants an answer: again, while there is none or the first request is under way. */
async function answered(one: Case, key: string): Promise<unknown> {
  const until = performance.now() + 60_000;
  for (;;) {
    try {
      return (await ask(one, key)).body;
    } catch (error) {
      const passing = !(error instanceof Refused) || error.status >= 500 || error.code === "in-progress";
      if (!passing || performance.now() > until) throw error;
      await pause(50);
    }
  }
}

describe("every POST", () => {
  test("takes an Idempotency-Key, or says here why not; and each is tried below", () => {
    const wrong = routes.filter(
      ({ path, takesKey }) => takesKey !== path in cases || takesKey === path in exempt,
    );
    expect(wrong).toEqual([]);
    const known = new Set(routes.map(({ path }) => path));
    expect([...Object.keys(cases), ...Object.keys(exempt)].filter((path) => !known.has(path))).toEqual([]);
  });
});

describe.each(Object.keys(cases))("POST %s", (name) => {
  const make = (): Promise<Case> => (cases[name] as () => Promise<Case>)();

  test("twenty times at once: one effect, one answer; and the same after kill -9", async () => {
    const one = await make();
    const key = crypto.randomUUID();
    const answers = await Promise.all(Array.from({ length: 20 }, () => answered(one, key)));
    for (const answer of answers) expect(answer).toEqual(answers[0]);
    expect(await one.effects(answers)).toBe(1);
    await it.shop.kill(one.service);
    expect(await answered(one, key)).toEqual(answers[0]);
    await it.shop.ready();
    expect(await one.effects(answers)).toBe(1);
    if (one.other === undefined) return;
    const refused = (await ask(one, key, one.other).catch((error: unknown) => error)) as Refused;
    expect([refused.status, refused.code]).toEqual([409, "idempotency-key-reused"]);
    expect(await one.effects(answers)).toBe(1);
  });

  test("twenty times at once while kill -9 takes its service: one effect, one answer", async () => {
    const one = await make();
    const key = crypto.randomUUID();
    const [answers] = await Promise.all([
      Promise.all(Array.from({ length: 20 }, () => answered(one, key))),
      it.shop.kill(one.service),
    ]);
    for (const answer of answers) expect(answer).toEqual(answers[0]);
    await it.shop.ready();
    expect(await one.effects(answers)).toBe(1);
  });
});

describe("guests", () => {
  test("with the same key do not meet: each has an order of their own, and reads no other's", async () => {
    const sku = await it.product({ onHand: 50 });
    const headers = { "idempotency-key": "1" };
    const place = (email: string, quantity = 1) =>
      it.place([{ sku, quantity }], { customer: { email, name: "A" } }, { headers, guest: true }) as Promise<{
        id: string;
        orderKey?: string;
      }>;
    const ada = await place("ada@example.com");
    expect(await place("Ada@example.com".toLowerCase())).toEqual(ada);
    const bob = await place("bob@example.com");
    expect(bob.id).not.toBe(ada.id);
    expect(bob.orderKey).not.toBe(ada.orderKey);
    const other = (await place("ada@example.com", 2).catch((error: unknown) => error)) as Refused;
    expect([other.status, other.code]).toEqual([409, "idempotency-key-reused"]);

    const cancel = (orderKey?: string) =>
      it.refusal(`/api/orders/${ada.id}/cancel`, {
        method: "POST",
        guest: true,
        headers: { ...headers, ...(orderKey ? { "order-key": orderKey } : {}) },
      });
    expect((await cancel(ada.orderKey)).status).toBe(202);
    // Whoever knows the order and guesses the key, but not the secret of the guest.
    expect((await cancel(bob.orderKey)).status).toBe(404);
    expect((await cancel()).status).toBe(404);
  });
});
