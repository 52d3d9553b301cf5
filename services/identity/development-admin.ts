import { randomBytes } from "node:crypto";
import { untilCommitted } from "chassis";
import * as v from "valibot";
import { readJson, writePrivate } from "./private-file.ts";
import type { Room } from "./room.ts";
import type { User, UserEvent } from "./user.ts";

/** The account of the first admin in development. Elsewhere it opens nothing, whatever database it comes in. */
export const developmentAdmin = { id: "u_development", email: "admin@souk.example", name: "Admin" };

const File = v.object({ email: v.string(), password: v.string() });

/**
 * Makes sure that there is an admin, and a file that says how to sign in as one. What the file says holds: an account
 * with another password or role is changed to it.
 * @param file its path; only its owner may read it
 */
export async function ensureDevelopmentAdmin(room: Room, file: string): Promise<void> {
  const { kit, commit, passwords } = room;
  const { email } = developmentAdmin;
  // No request brings us here: it is the service that asks whether it is ready.
  await kit.sealed.ready();
  const password = (await readJson(file, File))?.password ?? randomBytes(18).toString("base64url");
  await untilCommitted(async () => {
    const before = await kit.store.user(developmentAdmin.id);
    const right = before !== undefined && (await passwords.matches(password, before.passwordHash));
    const passwordHash = right ? before.passwordHash : await passwords.hash(password);
    const decided = steps(before, { ...(await newcomer(room)), passwordHash });
    await commit(kit.store.userChange(before, decided, await kit.store.admins()).change);
  });
  await writePrivate(file, { email, password });
}

async function newcomer({ kit, vault }: Room) {
  const emailKey = await vault.emailKey(developmentAdmin.email);
  return { ...developmentAdmin, emailKey, language: "en", createdAt: kit.now() };
}

function steps(
  before: User | undefined,
  user: Extract<UserEvent, { type: "registered" }>["user"],
): UserEvent[] {
  const { passwordHash, createdAt: at } = user;
  const events: UserEvent[] = [];
  if (before === undefined) events.push({ type: "registered", user }, { type: "email-verified" });
  else if (before.passwordHash !== passwordHash) events.push({ type: "password-changed", passwordHash, at });
  if (before?.role !== "admin") events.push({ type: "role-changed", role: "admin", at });
  return events;
}
