import { defineStore, type StoreOf } from "chassis";
import { providerStore, providerTables } from "./provider/provider-store.ts";
import { userStore, userTables } from "./users-store.ts";

/** After these nothing holds that was signed in before. */
const ends = new Set(["erased", "password-changed", "role-changed"]);

export const store = defineStore(
  (t) => ({ ...providerTables(t), ...userTables(t) }),
  (db, t, sealed) => {
    const provider = providerStore(db, t);
    const users = userStore(db, t, sealed);
    return {
      ...provider,
      ...users,
      userChange(...args: Parameters<typeof users.userChange>): ReturnType<typeof users.userChange> {
        const [before, decided] = args;
        const { user, change } = users.userChange(...args);
        if (!before || !decided.some(({ type }) => ends.has(type))) return { user, change };
        return {
          user,
          change: { ...change, writes: [...(change.writes ?? []), provider.dropAccount(before.id)] },
        };
      },
    };
  },
);

export type Store = StoreOf<typeof store>;
export const { tables } = store;
