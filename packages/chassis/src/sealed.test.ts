import { expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { readKeyring, UnknownKey } from "./keyring.ts";
import { createSealed, sealedWith, Tampered } from "./sealed.ts";

const key = () => randomBytes(32).toString("base64url");
const k1 = key();
const k2 = key();
const ring = (current: string, keys: Record<string, string>) => JSON.stringify({ current, keys });
const log = { error() {}, info() {} };

async function withKeys(text: string, name = "orders") {
  let now = text;
  const sealed = createSealed({ name, load: async () => now, log });
  await sealed.ready();
  const become = (next: string) => {
    now = next;
    return sealed.refresh();
  };
  return { sealed, become };
}

test("what is sealed says its key, shows nothing, and opens in its place", async () => {
  const { sealed } = await withKeys(ring("k1", { k1 }));
  for (const text of ["", "ada@example.com", "Ünïcode 🂡\n\u0000", "x".repeat(100_000)]) {
    const value = sealed.seal(text, "orders.personal", "o-1");
    expect(sealedWith(value)).toBe("k1");
    if (text) expect(Buffer.from(value.split(".")[2] ?? "", "base64url").includes(text)).toBe(false);
    expect(sealed.open(value, "orders.personal", "o-1")).toBe(text);
    expect(sealed.seal(text, "orders.personal", "o-1")).not.toBe(value);
  }
});

test("another row, column or service, or one changed letter: it does not open", async () => {
  const { sealed } = await withKeys(ring("k1", { k1 }));
  const value = sealed.seal("Ada", "orders.personal", "o-1");
  expect(() => sealed.open(value, "orders.personal", "o-2")).toThrow(Tampered);
  expect(() => sealed.open(value, "orders.note", "o-1")).toThrow(Tampered);
  const { sealed: other } = await withKeys(ring("k1", { k1 }), "identity");
  expect(() => other.open(value, "orders.personal", "o-1")).toThrow(Tampered);
  for (let at = 3; at < value.length; at++) {
    if (value[at] === ".") continue;
    const changed = `${value.slice(0, at)}${value[at] === "A" ? "B" : "A"}${value.slice(at + 1)}`;
    // The last letter of a group may have bits that mean nothing.
    const same = Buffer.from(changed.split(".")[2] ?? "", "base64url").equals(
      Buffer.from(value.split(".")[2] ?? "", "base64url"),
    );
    if (same && changed.split(".")[1] === value.split(".")[1]) continue;
    expect(() => sealed.open(changed, "orders.personal", "o-1")).toThrow(Tampered);
  }
  for (const cut of ["", "k1", "k1..", value.slice(0, -4), `${value}.`, "Ada"])
    expect(() => sealed.open(cut, "orders.personal", "o-1")).toThrow(Tampered);
});

test("no message names what was sealed, nor a key", async () => {
  const { sealed } = await withKeys(ring("k1", { k1 }));
  const value = sealed.seal("canary", "orders.personal", "o-1");
  const said = (run: () => unknown): string => {
    try {
      run();
      return "";
    } catch (error) {
      return String(error);
    }
  };
  expect(said(() => sealed.open(value, "orders.personal", "o-2"))).toBe(
    "Tampered: orders.personal of o-2 does not open: it was changed, or belongs elsewhere",
  );
  expect(said(() => readKeyring(`{"current":"k1","keys":{"k1":"secret-canary"}}`))).not.toContain("canary");
  expect(said(() => readKeyring("secret-canary"))).not.toContain("canary");
});

test("a new key opens the old values and seals the new ones; without its key a value says which is missing", async () => {
  const { sealed, become } = await withKeys(ring("k1", { k1 }));
  const old = sealed.seal("Ada", "orders.personal", "o-1");
  await become(ring("k1", { k1, k2 }));
  expect(sealed.current).toBe("k1");
  expect(sealed.keys).toEqual(["k1", "k2"]);
  await become(ring("k2", { k1, k2 }));
  expect(sealed.keys).toEqual(["k2", "k1"]);
  const fresh = sealed.seal("Ada", "orders.personal", "o-1");
  expect(sealedWith(fresh)).toBe("k2");
  expect(sealed.open(old, "orders.personal", "o-1")).toBe("Ada");
  await become(ring("k2", { k2 }));
  expect(sealed.open(fresh, "orders.personal", "o-1")).toBe("Ada");
  expect(() => sealed.open(old, "orders.personal", "o-1")).toThrow(new UnknownKey("k1"));
});

test("a value of another process opens: it brings its data key along", async () => {
  const [{ sealed: a }, { sealed: b }] = await Promise.all([
    withKeys(ring("k1", { k1 })),
    withKeys(ring("k1", { k1 })),
  ]);
  const [one, two] = [a.seal("x", "t.c", "1"), b.seal("x", "t.c", "1")];
  expect(one.split(".")[1]).not.toBe(two.split(".")[1]);
  expect(b.open(one, "t.c", "1")).toBe("x");
  expect(a.open(two, "t.c", "1")).toBe("x");
});

test("digests find a text again under each key, and differ by place and key", async () => {
  const { sealed, become } = await withKeys(ring("k1", { k1 }));
  const old = sealed.digest("ada@example.com", "orders.customer");
  expect(sealed.digests("ada@example.com", "orders.customer")).toEqual([old]);
  expect(sealed.digest("ada@example.com", "orders.other")).not.toBe(old);
  await become(ring("k2", { k1, k2 }));
  const fresh = sealed.digest("ada@example.com", "orders.customer");
  expect(fresh).not.toBe(old);
  expect(sealed.digests("ada@example.com", "orders.customer")).toEqual([fresh, old]);
});

test("a keyring that cannot be read or makes no sense leaves the one before in force", async () => {
  const { sealed, become } = await withKeys(ring("k1", { k1 }));
  for (const bad of ["", "{}", ring("k2", { k1 }), ring("k1", { k1: "short" }), ring("k.1", { "k.1": k1 })]) {
    await become(bad);
    expect(sealed.keys).toEqual(["k1"]);
  }
});

test("without keys nothing is ready, and says 503; it is when they come", async () => {
  let there = false;
  const sealed = createSealed({
    name: "orders",
    load: async () => {
      if (!there) throw new Error("no secret store");
      return ring("k1", { k1 });
    },
    log,
  });
  await expect(sealed.ready()).rejects.toMatchObject({ status: 503 });
  expect(() => sealed.seal("x", "t.c", "1")).toThrow("before they are there");
  there = true;
  await sealed.ready();
  expect(sealed.current).toBe("k1");
});

test("more values than a data key may seal: a new one follows, and all open", async () => {
  const sealed = createSealed({
    name: "orders",
    load: async () => ring("k1", { k1 }),
    log,
    usesOfDataKey: 2,
  });
  await sealed.ready();
  const values = [1, 2, 3, 4, 5].map((n) => sealed.seal(String(n), "t.c", "1"));
  const dataKeys = values.map((value) => value.split(".")[1]);
  expect(new Set(dataKeys).size).toBe(3);
  expect(dataKeys[0]).toBe(dataKeys[1]);
  expect(values.map((value) => sealed.open(value, "t.c", "1"))).toEqual(["1", "2", "3", "4", "5"]);
});
