import { Database } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createLocalJWKSet, decodeProtectedHeader, type JSONWebKeySet, jwtVerify } from "jose";
import { issuerOf } from "./issuer.ts";
import { type Key, keptMs, ringOf, rotation } from "./ring.ts";
import { nextRotation } from "./rotation.ts";
import { digest } from "./secret.ts";
import { exchange, refreshing, replicas, type Shop, shop, signIn } from "./sign-in.fixture.ts";

const key = (generation: number, signsFrom: number | null, alg = "RS256"): Key => ({
  generation,
  createdAt: generation * 1_000,
  signsFrom,
  jwk: { kid: `k-${generation}`, alg, kty: "RSA" },
});
const kids = (keys: Key[] | undefined) => keys?.map(({ jwk }) => jwk.kid);

describe("the ring of keys", () => {
  const keys = [key(3, null), key(2, 20_000), key(1, 10_000)];

  test("signs with the latest that has begun, and publishes the next", () => {
    const ring = ringOf(keys, "RS256", 25_000);
    expect(ring?.signing.jwk.kid).toBe("k-2");
    expect(ring?.next?.jwk.kid).toBe("k-3");
    expect(kids(ring?.published)).toEqual(["k-2", "k-3", "k-1"]);
  });

  test("keeps the old one published as long as its tokens hold, and then withdraws it", () => {
    expect(kids(ringOf(keys, "RS256", 20_000 + keptMs - 1)?.withdrawn)).toEqual([]);
    const later = ringOf(keys, "RS256", 20_000 + keptMs);
    expect(kids(later?.withdrawn)).toEqual(["k-1"]);
    expect(kids(later?.published)).toEqual(["k-2", "k-3"]);
  });

  test("does not change before the time", () => {
    expect(ringOf(keys, "RS256", 19_999)?.signing.jwk.kid).toBe("k-1");
  });

  test("still signs when the clock was set back to before all of them", () => {
    expect(ringOf(keys, "RS256", 5)?.signing.jwk.kid).toBe("k-1");
  });

  test("knows the keys of one algorithm", () => {
    expect(ringOf(keys, "ES256", 25_000)).toBeUndefined();
  });

  test("turns at once when the next key has been published for long enough, else as soon as it will have been", () => {
    const ring = ringOf(keys, "RS256", 25_000);
    if (!ring) throw new Error("there is a ring");
    expect(rotation(ring, 25_000, 600)).toBe(25_000);
    expect(rotation(ring, 25_000, 60_000)).toBe(63_000);
    const turning = ringOf([key(3, 70_000), ...keys.slice(1)], "RS256", 25_000);
    expect(turning && rotation(turning, 25_000, 600)).toBeUndefined();
  });
});

describe("keys", () => {
  let app: Shop;
  let at = Date.now();
  const machine = { grant_type: "client_credentials", client_id: "m", client_secret: "s".repeat(43) };
  beforeAll(async () => {
    app = await shop({ now: () => at });
    const client = { id: "m", name: "M", secretDigest: digest(machine.client_secret), scopes: ["ops"] };
    await app.commit({ writes: [app.store.saveClient(client)] });
  });
  afterAll(() => app.stop());

  const kid = async () => decodeProtectedHeader((await app.token(machine)).body.access_token).kid;
  const published = async () =>
    ((await (await app.request("/jwks")).json()) as JSONWebKeySet).keys.map((one) => one.kid);
  const rotate = () => app.request("/keys/rotate", { method: "POST", scopes: ["ops"] });

  test("rotate on demand: the next one was published before it signs, the old one stays as long as its tokens", async () => {
    const first = await kid();
    const [, next] = await published();
    expect(next).toBeString();
    at += 11 * 60_000;
    const answer = await rotate();
    expect(answer.status).toBe(202);
    expect(await kid()).toBe(next);
    expect(await published()).toContain(first);
    expect(await published()).toHaveLength(3);
    at += keptMs + 6_000;
    expect(await published()).not.toContain(first);
  });

  test("never sign before everybody can know them", async () => {
    const before = await kid();
    const answer = (await (await rotate()).json()) as { at: string };
    expect(Date.parse(answer.at)).toBeGreaterThanOrEqual(at);
    at += 11 * 60_000;
    await rotate();
    await rotate();
    const waiting = (await (await rotate()).json()) as {
      at: string;
      items: { state: string; signsFrom: string }[];
    };
    expect(waiting.items.filter(({ state }) => state === "signs")).toHaveLength(1);
    expect(waiting.items.filter(({ signsFrom }) => Date.parse(signsFrom) > at)).toHaveLength(1);
    expect(Date.parse(waiting.at)).toBe(at + 10 * 60_000);
    expect(await kid()).not.toBe(before);
  });

  test("that others may have are withdrawn at once: the next one signs, and what they signed is not checked any more", async () => {
    const stolen = String(await kid());
    const withdraw = () => app.request(`/keys/${stolen}`, { method: "DELETE", scopes: ["ops"] });
    expect((await withdraw()).status).toBe(204);
    expect(await published()).not.toContain(stolen);
    expect(await published()).toContain(String(await kid()));
    expect(await kid()).not.toBe(stolen);
    expect((await withdraw()).status).toBe(404);
    const items = (
      (await (await app.request("/keys", { scopes: ["ops"] })).json()) as { items: { state: string }[] }
    ).items;
    expect(items.filter(({ state }) => state === "next")).toHaveLength(1);
  });

  test("are seen and rotated by operators alone", async () => {
    expect((await app.request("/keys")).status).toBe(401);
    expect((await app.request("/keys", { scopes: ["orders:manage"] })).status).toBe(403);
    const seen = await (await app.request("/keys", { scopes: ["ops"] })).text();
    expect(seen).not.toContain('"d"');
    expect((await app.request("/keys/rotate", { method: "POST", scopes: ["orders:manage"] })).status).toBe(
      403,
    );
  });
});

describe("keys by themselves", () => {
  test("rotate when the one that signs has done so for long enough, and not because of a restart", async () => {
    let at = Date.now();
    const app = await shop({ now: () => at, env: { KEY_ROTATION_DAYS: "1" } });
    try {
      const signing = async () => (await issuerOf(app.kit).ring()).signing.jwk.kid;
      const first = await signing();
      at += 23 * 3_600_000;
      const due = await nextRotation(app.store, app.kit.config, at);
      expect(due?.at).toBeGreaterThan(at);
      expect(due?.at).toBeLessThanOrEqual(at + 3_600_000);
      at += 2 * 3_600_000;
      const until = performance.now() + 60_000;
      while ((await signing()) === first && performance.now() < until) await Bun.sleep(50);
      expect(await signing()).not.toBe(first);
      expect((await nextRotation(app.store, app.kit.config, at))?.at).toBeGreaterThan(at + 23 * 3_600_000);
    } finally {
      await app.stop();
    }
  }, 90_000);

  test("of a version that knew no next key go on signing", async () => {
    const several = await replicas();
    try {
      const before = await several.start();
      const published = async (app: typeof before) =>
        ((await (await app.request("/jwks")).json()) as JSONWebKeySet).keys.map(({ kid }) => kid);
      const [first] = await published(before);
      const database = new Database(several.file);
      database.run("delete from signing_keys where generation > 1");
      database.run("update signing_keys set signs_from = null");
      database.close();
      const after = await several.start();
      expect((await published(after))[0]).toBe(first);
      expect(await published(after)).toHaveLength(2);
    } finally {
      await several.stop();
    }
  });
});

describe("replicas", () => {
  test("take up each other's keys, sessions and refresh tokens, and a restart forgets nothing", async () => {
    const several = await replicas({ KEY_LEAD_MS: "0" });
    try {
      const [one, two] = [await several.start(), await several.start()];
      await one.request("/users", {
        method: "POST",
        body: { email: "ada@shop.test", password: "correct horse battery", name: "Ada" },
      });
      const { code, verifier } = await signIn(one.browse());
      const first = await two.token(exchange(code, verifier));
      expect(first.status).toBe(200);
      const second = await one.token(refreshing(first.body.refresh_token));
      expect(second.status).toBe(200);
      expect((await one.request("/keys/rotate", { method: "POST", scopes: ["ops"] })).status).toBe(202);
      const three = await several.start();
      const third = await three.token(refreshing(second.body.refresh_token));
      expect(third.status).toBe(200);
      const keys = createLocalJWKSet((await (await two.request("/jwks")).json()) as JSONWebKeySet);
      await jwtVerify(third.body.access_token, keys, { audience: "souk", typ: "at+jwt" });
      await jwtVerify(first.body.access_token, keys, { audience: "souk", typ: "at+jwt" });
    } finally {
      await several.stop();
    }
  });

  test("sign with ES256 where it is said, for people and machines", async () => {
    const several = await replicas({ TOKEN_ALGORITHM: "ES256" });
    try {
      const app = await several.start();
      await app.request("/users", {
        method: "POST",
        body: { email: "ada@shop.test", password: "correct horse battery", name: "Ada" },
      });
      const { code, verifier } = await signIn(app.browse());
      const { body } = await app.token(exchange(code, verifier));
      const set = (await (await app.request("/jwks")).json()) as JSONWebKeySet;
      expect(set.keys.map(({ alg, kty, crv }) => [alg, kty, crv])).toEqual([
        ["ES256", "EC", "P-256"],
        ["ES256", "EC", "P-256"],
      ]);
      expect(Object.keys(set.keys[0] ?? {}).sort()).toEqual(["alg", "crv", "kid", "kty", "use", "x", "y"]);
      const keys = createLocalJWKSet(set);
      for (const token of [body.access_token, body.id_token])
        expect((await jwtVerify(token, keys)).protectedHeader.alg).toBe("ES256");
    } finally {
      await several.stop();
    }
  });

  test("that change the algorithm begin with keys of the new one", async () => {
    const several = await replicas();
    try {
      const before = await several.start();
      await before.request("/jwks");
      const after = await several.start({ TOKEN_ALGORITHM: "ES256" });
      const { keys } = (await (await after.request("/jwks")).json()) as JSONWebKeySet;
      expect(keys.map(({ alg }) => alg)).toEqual(["ES256", "ES256"]);
    } finally {
      await several.stop();
    }
  });
});
