import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { roomOf } from "./room.ts";
import { ada, grace, type People, people } from "./users.fixture.ts";

setDefaultTimeout(60_000);

let now: number;
let app: People;
beforeEach(async () => {
  now = Date.parse("2026-03-01T12:00:00Z");
  app = await people({ now: () => now });
});
afterEach(() => app.stop());

describe("what is personal", () => {
  const ring = (current: string) => JSON.stringify({ current, keys: { k1: key(1), k2: key(2) } });
  const key = (n: number) => Buffer.alloc(32, n).toString("base64url");

  test("lies sealed, each field for its place", async () => {
    const { id } = await app.register();
    const body = { email: "ada@new.test", currentPassword: ada.password };
    await app.as(id, "/users/me", { method: "PATCH", body });
    const kept = await app.kept();
    for (const text of [ada.email, ada.name, "ada@new.test"]) expect(kept).not.toContain(text);
    const other = await app.register(grace);
    await app.swap("users", "name", id, other.id);
    expect((await app.as(id, "/users/me")).status).toBe(500);
  });

  test("is sealed anew when the keys change, and read all the while", async () => {
    await app.stop();
    let current = "k1";
    app = await people({ now: () => now, fieldKeys: () => ring(current) });
    const { id } = await app.register();
    const body = { email: "ada@new.test", currentPassword: ada.password };
    await app.as(id, "/users/me", { method: "PATCH", body });
    const before = await app.store.user(id);
    current = "k2";
    await app.kit.sealed.refresh();
    expect(await app.store.user(id)).toEqual(before);
    const [row] = await app.store.sealedUsers.next("k1", "", 10);
    expect(row?.id).toBe(id);
    await roomOf(app.kit).commit({ writes: row ? [row.reseal()].flat() : [] });
    expect(await app.store.sealedUsers.count("k1")).toBe(0);
    expect(await app.store.sealedUsers.count("k2")).toBe(1);
    expect(await app.store.user(id)).toEqual(before);
  });
});
