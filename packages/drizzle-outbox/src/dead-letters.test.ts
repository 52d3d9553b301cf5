import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { dialects, type Place, place } from "../test/databases.ts";
import { type Outbox, outbox } from "./index.ts";

setDefaultTimeout(30_000);

for (const dialect of dialects)
  describe(`dead letters on ${dialect}`, () => {
    let at: Place;
    let box: Outbox;
    let now = 1000;

    beforeAll(async () => {
      at = await place(dialect);
      box = outbox(await at.open(), { send: async () => {}, clock: () => now });
    });
    afterAll(() => at.remove());

    const letter = (id: string, reason = "malformed") => ({
      id,
      topic: "orders",
      type: "placed",
      reason,
      event: { id, data: { a: 1 } },
    });

    test("keeps what it is given", async () => {
      await box.deadLetters.put(letter("one"));
      expect(await box.deadLetters.get("one")).toEqual({ ...letter("one"), at: 1000 });
      expect(await box.deadLetters.get("two")).toBeUndefined();
      await box.deadLetters.remove("one");
      expect(await box.deadLetters.get("one")).toBeUndefined();
    });

    test("keeps a reason, whichever copy comes first", async () => {
      for (const [id, reasons] of [
        ["first", ["why", ""]],
        ["last", ["", "why"]],
        ["both", ["why", "other"]],
      ] as const) {
        for (const reason of reasons) await box.deadLetters.put(letter(id, reason));
        expect((await box.deadLetters.get(id))?.reason).toBe("why");
        await box.deadLetters.remove(id);
      }
    });

    test("lists the newest first, page by page", async () => {
      for (let i = 0; i < 7; i++) {
        now += i % 2; // Some come in the same millisecond.
        await box.deadLetters.put(letter(`a.${i}`));
      }
      const ids: string[] = [];
      let pages = 0;
      let cursor: string | undefined;
      do {
        const page = await box.deadLetters.list({ limit: 3, cursor });
        ids.push(...page.items.map(({ id }) => id));
        cursor = page.next;
        pages++;
      } while (cursor);
      expect(pages).toBe(3);
      expect(ids).toEqual(["a.6", "a.5", "a.4", "a.3", "a.2", "a.1", "a.0"]);
      await expect(box.deadLetters.list({ cursor: "nonsense" })).rejects.toThrow("cursor");
    });
  });
