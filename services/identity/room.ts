import type { Commit, Kit } from "chassis";
import { createPasswords, type Passwords } from "./passwords.ts";
import type { Store } from "./store.ts";
import { createVault, type Vault } from "./vault.ts";

/** What the functions on accounts share, one of a running service. */
export interface Room {
  kit: Kit<Store>;
  commit: Commit;
  passwords: Passwords;
  vault: Vault;
  /** Does one thing of a key at a time in this process; replicas meet in the database. */
  alone<T>(key: string, work: () => Promise<T>): Promise<T>;
}

const rooms = new WeakMap<Kit<Store>, Room>();

/** Makes the room of a starting service. */
export function prepareRoom(kit: Kit<Store>, commit: Commit): void {
  const alone = oneAtATime();
  rooms.set(kit, { kit, commit, alone, passwords: createPasswords(kit.config), vault: createVault(kit) });
}

export function roomOf(kit: Kit<Store>): Room {
  const room = rooms.get(kit);
  if (!room) throw new Error("the service is not prepared");
  return room;
}

function oneAtATime() {
  const last = new Map<string, Promise<unknown>>();
  return async <T>(key: string, work: () => Promise<T>): Promise<T> => {
    const mine = (last.get(key) ?? Promise.resolve()).then(work, work);
    last.set(key, mine);
    try {
      return await mine;
    } finally {
      if (last.get(key) === mine) last.delete(key);
    }
  };
}
