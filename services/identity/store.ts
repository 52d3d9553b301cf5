import { defineStore, type StoreOf } from "chassis";
import { desc } from "drizzle-orm";
import { insert, upsert, type Write } from "drizzle-outbox";
import { userStore, userTables } from "./users-store.ts";

/** A client that may get tokens. Its secret is not kept, only a digest of it. */
export interface Client {
  id: string;
  name: string;
  secretDigest: string;
  scopes: string[];
}

/** A signing key, sealed: whoever reads the database cannot sign with it. */
export interface SealedKey {
  /** Counts up; the highest one signs, all are published. */
  generation: number;
  sealed: string;
  createdAt: number;
}

export const store = defineStore(
  (t) => ({
    clients: t.table("clients", {
      id: t.text("id").primaryKey(),
      name: t.text("name").notNull(),
      secretDigest: t.text("secret_digest").notNull(),
      scopes: t.json<string[]>("scopes").notNull(),
    }),
    signingKeys: t.table("signing_keys", {
      generation: t.integer("generation").primaryKey(),
      sealed: t.text("sealed").notNull(),
      createdAt: t.integer("created_at").notNull(),
    }),
    ...userTables(t),
  }),
  (db, t) => ({
    ...userStore(db, t),

    client: (id: string): Promise<Client | undefined> => db.find(t.clients, { id }),
    saveClient: (client: Client): Write => upsert(t.clients, client, { on: ["id"] }),

    /** Newest first. */
    async signingKeys(): Promise<SealedKey[]> {
      return await db.select().from(t.signingKeys).orderBy(desc(t.signingKeys.generation));
    },
    /** A generation that is taken already makes it a Conflict: another replica was first. */
    addSigningKey: (key: SealedKey): Write => insert(t.signingKeys, key),
  }),
);

export type Store = StoreOf<typeof store>;
export const { tables } = store;
