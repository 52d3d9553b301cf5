import { defineStore, type StoreOf } from "chassis";
import { providerStore, providerTables } from "./provider/provider-store.ts";
import { userStore, userTables } from "./users-store.ts";

export const store = defineStore(
  (t) => ({ ...providerTables(t), ...userTables(t) }),
  (db, t, sealed) => ({ ...providerStore(db, t), ...userStore(db, t, sealed) }),
);

export type Store = StoreOf<typeof store>;
export const { tables } = store;
