import { insert } from "drizzle-outbox";
import { event } from "hono-dapr";
import * as v from "valibot";
import { emit } from "../../src/emit.ts";
import { defineStore, type StoreOf } from "../../src/service.ts";

export const Asked = event("questions", "question.asked", v.object({ text: v.string() }));
export const Heard = event("counter", "counter.heard", v.object({ text: v.string() }));

export const store = defineStore(
  (t) => ({ heard: t.table("heard", { id: t.text("id").primaryKey(), text: t.text("text").notNull() }) }),
  (db, t) => ({
    heard: (id: string, text: string) => ({
      writes: [insert(t.heard, { id, text })],
      events: [emit(Heard, id, { text })],
    }),
    has: async (id: string) => (await db.find(t.heard, { id })) !== undefined,
    all: async () => (await db.select().from(t.heard)).map((row) => row.text),
  }),
);
export type Store = StoreOf<typeof store>;
export const { tables } = store;
