import { describe, expect, test } from "bun:test";
import * as v from "valibot";
import { dapr, EtagMismatch, InvalidState } from "./index.ts";
import { fakeSidecar } from "./testing/index.ts";

const Cart = v.object({ lines: v.array(v.string()) });

describe("update", () => {
  test("gives up when others are always quicker", async () => {
    const fake = fakeSidecar();
    const carts = fake.sidecar("carts").state("state", Cart);
    await carts.set("c", { lines: [] });
    let tries = 0;
    const change = async () => {
      tries++;
      await carts.set("c", { lines: [String(tries)] });
      return { lines: ["mine"] };
    };
    const error = await carts.update("c", change, { attempts: 3 }).catch((error) => error);
    expect(error).toBeInstanceOf(EtagMismatch);
    expect(tries).toBe(3);
    expect((await carts.get("c"))?.value).toEqual({ lines: ["3"] });
  });

  test("begins anew when what it creates was created meanwhile", async () => {
    const fake = fakeSidecar();
    const carts = fake.sidecar("carts").state("state", Cart);
    let first = true;
    const result = await carts.update("c", async (current) => {
      if (first) await carts.set("c", { lines: ["theirs"] });
      first = false;
      return { lines: [...(current?.lines ?? []), "mine"] };
    });
    expect(result).toEqual({ lines: ["theirs", "mine"] });
  });

  test("keeps the time to live it is given", async () => {
    const fake = fakeSidecar();
    const carts = fake.sidecar("carts").state("state", Cart);
    await carts.update("c", () => ({ lines: [] }), { ttl: 10 });
    await fake.clock.advance(9_999);
    expect(await carts.get("c")).not.toBeNull();
    await fake.clock.advance(1);
    expect(await carts.get("c")).toBeNull();
  });

  test("throws what the change throws, and writes nothing", async () => {
    const carts = fakeSidecar().sidecar("carts").state("state", Cart);
    const failing = carts.update("c", () => {
      throw new Error("no");
    });
    await expect(failing).rejects.toThrow("no");
    expect(await carts.get("c")).toBeNull();
  });
});

describe("ifAbsent", () => {
  /** A store that takes an ETag without a value for a mismatch, as most but Redis do. */
  function strictStore(stored: Map<string, unknown>, status: number) {
    const writes: { key: string; etag?: string; options?: { concurrency: string } }[] = [];
    const { state } = dapr({
      endpoint: "http://sidecar",
      fetch: async (url, init) => {
        if (init?.method !== "POST") {
          const value = stored.get(decodeURIComponent(new URL(url).pathname.split("/").at(-1) ?? ""));
          return value === undefined
            ? new Response(null, { status: 204 })
            : Response.json(value, { headers: { etag: "a" } });
        }
        const [write] = JSON.parse(String(init.body));
        writes.push(write);
        if (write.etag !== undefined) return Response.json({ errorCode: "ERR_STATE_SAVE" }, { status });
        if (stored.has(write.key)) return Response.json({ errorCode: "ERR_STATE_SAVE" }, { status: 409 });
        stored.set(write.key, write.value);
        return new Response(null, { status: 204 });
      },
    });
    return { carts: state("state", Cart), writes };
  }

  test.each([409, 400])("works with stores that know no such ETag (%d)", async (status) => {
    const stored = new Map<string, unknown>();
    const { carts, writes } = strictStore(stored, status);
    await carts.set("c", { lines: [] }, { ifAbsent: true });
    expect(stored.get("c")).toEqual({ lines: [] });
    expect(writes.at(-1)?.options).toEqual({ concurrency: "first-write" });
  });

  test("is a mismatch there too when something is stored", async () => {
    const { carts } = strictStore(new Map([["c", { lines: ["theirs"] }]]), 409);
    await expect(carts.set("c", { lines: [] }, { ifAbsent: true })).rejects.toBeInstanceOf(EtagMismatch);
  });
});

test("a value that does not fit names the key and what is wrong", async () => {
  const sidecar = fakeSidecar().sidecar("carts");
  await sidecar.state("state", v.unknown()).set("c", { lines: [1] });
  const error = await sidecar
    .state("state", Cart)
    .get("c")
    .catch((error) => error);
  expect(error).toBeInstanceOf(InvalidState);
  expect(error.message).toBe(
    "The value of c is not valid: lines.0: Invalid type: Expected string but received 1",
  );
});

test("a schema may change what is read", async () => {
  const sidecar = fakeSidecar().sidecar("carts");
  await sidecar.state("state", v.unknown()).set("d", "2026-01-01T00:00:00Z");
  const dates = sidecar.state(
    "state",
    v.pipe(
      v.string(),
      v.transform((text) => new Date(text)),
    ),
  );
  expect((await dates.get("d"))?.value).toEqual(new Date("2026-01-01T00:00:00Z"));
});

describe("an encrypted store", () => {
  const encrypted = { encrypted: true };

  test("is sent text, and what it keeps is read as it was, whether it gives the text or what it says", async () => {
    const sent: unknown[] = [];
    let kept = "";
    const sidecar = (decrypts: boolean) =>
      dapr({
        endpoint: "http://sidecar",
        async fetch(_, init) {
          if (init?.method !== "POST")
            return new Response(decrypts ? kept : JSON.stringify(kept), { headers: { etag: "1" } });
          const [item] = JSON.parse(String(init.body)) as { value: string }[];
          sent.push(item?.value);
          kept = String(item?.value);
          return new Response(null, { status: 204 });
        },
      });
    for (const decrypts of [true, false]) {
      const carts = sidecar(decrypts).state("state", Cart, encrypted);
      await carts.set("c", { lines: ["a"] });
      expect(await carts.get("c")).toEqual({ value: { lines: ["a"] }, etag: "1" });
    }
    expect(sent).toEqual(['{"lines":["a"]}', '{"lines":["a"]}']);
  });

  test("takes no string, which could be mistaken for what it says", async () => {
    const texts = fakeSidecar().sidecar("carts").state("state", v.string(), encrypted);
    await expect(texts.set("c", "1")).rejects.toThrow(TypeError);
  });
});
