import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { dialects, type Place, place } from "../test/databases.ts";
import {
  Conflict,
  type DeadLetterFilter,
  type DeadLetterStep,
  type KeptDeadLetter,
  type Outbox,
  outbox,
} from "./index.ts";

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

    const kept = async (id: string): Promise<KeptDeadLetter> => {
      const found = await box.deadLetters.get(id);
      if (!found) throw new Error(`there is no ${id}`);
      return found;
    };
    const step = async (id: string, to: Omit<DeadLetterStep, "at">) =>
      box.commit(box.deadLetters.step(await kept(id), to));

    test("keeps what it is given", async () => {
      await box.deadLetters.put(letter("one"));
      expect(await box.deadLetters.get("one")).toEqual({
        ...letter("one"),
        status: "dead",
        at: 1000,
        version: 1,
        history: [{ status: "dead", at: 1000, reason: "malformed" }],
      });
      expect(await box.deadLetters.get("two")).toBeUndefined();
    });

    test("keeps a reason, whichever copy comes first, and both when they come at once", async () => {
      for (const [id, reasons] of [
        ["first", ["why", ""]],
        ["last", ["", "why"]],
        ["both", ["why", "other"]],
      ] as const) {
        for (const reason of reasons) await box.deadLetters.put(letter(id, reason));
        expect((await kept(id)).reason).toBe("why");
      }
      await Promise.all(["", "why", "", ""].map((reason) => box.deadLetters.put(letter("race", reason))));
      expect((await kept("race")).reason).toBe("why");
    });

    test("each step is kept, and a letter that dies again is dead with its new reason", async () => {
      await box.deadLetters.put(letter("steps"));
      now = 2000;
      await step("steps", { status: "replaying", by: "ann" });
      expect(await kept("steps")).toMatchObject({ status: "replaying", at: 2000, version: 2 });
      now = 3000;
      await box.deadLetters.put(letter("steps", "still broken"));
      now = 4000;
      await step("steps", { status: "discarded", by: "bob", note: "a test" });
      expect(await kept("steps")).toMatchObject({ reason: "still broken", status: "discarded", version: 4 });
      expect((await kept("steps")).history).toEqual([
        { status: "dead", at: 1000, reason: "malformed" },
        { status: "replaying", at: 2000, by: "ann" },
        { status: "dead", at: 3000, reason: "still broken" },
        { status: "discarded", at: 4000, by: "bob", note: "a test" },
      ]);
    });

    test("of two who decide at once, one is refused", async () => {
      await box.deadLetters.put(letter("two"));
      const seen = await kept("two");
      await box.commit(box.deadLetters.step(seen, { status: "replaying" }));
      const late = box.commit(box.deadLetters.step(seen, { status: "discarded" }));
      await expect(late).rejects.toThrow(Conflict);
      expect((await kept("two")).status).toBe("replaying");
    });

    test("lists the latest first, page by page", async () => {
      for (let i = 0; i < 7; i++) {
        now += i % 2; // Some come in the same millisecond.
        await box.deadLetters.put({ ...letter(`a.${i}`), topic: "paged" });
      }
      const ids: string[] = [];
      let after: KeptDeadLetter | undefined;
      do {
        const page = await box.deadLetters.list({ topic: "paged", limit: 3, after });
        ids.push(...page.map(({ id }) => id));
        after = page.at(-1);
      } while (after);
      expect(ids).toEqual(["a.6", "a.5", "a.4", "a.3", "a.2", "a.1", "a.0"]);
    });

    test("lists what is asked for, and counts what waits", async () => {
      now = 10_000;
      const waiting = await box.deadLetters.count();
      await box.deadLetters.put({ ...letter("x"), topic: "t-1", type: "a" });
      now = 11_000;
      await box.deadLetters.put({ ...letter("y"), topic: "t-1", type: "b" });
      await step("y", { status: "discarded" });
      const ids = async (filter: DeadLetterFilter) =>
        (await box.deadLetters.list(filter)).map(({ id }) => id);
      expect(await ids({ topic: "t-1" })).toEqual(["y", "x"]);
      expect(await ids({ topic: "t-1", type: "a" })).toEqual(["x"]);
      expect(await ids({ topic: "t-1", status: ["discarded", "replaying"] })).toEqual(["y"]);
      expect(await ids({ topic: "t-1", before: 11_000 })).toEqual(["x"]);
      expect(await box.deadLetters.count()).toBe(waiting + 1);
    });
  });
