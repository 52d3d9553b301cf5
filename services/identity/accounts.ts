import { type Commit, type Kit, Problem } from "chassis";
import { Conflict } from "drizzle-outbox";
import { attempt } from "./attempts.ts";
import { staffScopes } from "./provider/scopes.ts";
import { prepareRoom, type Room, roomOf } from "./room.ts";
import type { Store } from "./store.ts";
import type { Role, User } from "./user.ts";

/** What the OpenID Provider and the routes may know and do of accounts. */

/** A person who may sign in, for claims. */
export interface Account {
  /** `sub`. */
  id: string;
  email: string;
  emailVerified: boolean;
  name: string;
  role: Role;
  /** Their role, as the claim `roles` has it. */
  roles: Role[];
  language: string;
  /** Whatever was issued before this second (s since 1970) holds no longer. */
  validFrom: number;
}

export interface Credentials {
  email: string;
  password: string;
  /** Of the client; without it only the account is protected. */
  ip?: string | undefined;
}

export type SignIn =
  | { ok: true; user: Account }
  | { ok: false; reason: "wrong" }
  /** `retryAfter`: seconds. No password was compared. */
  | { ok: false; reason: "locked"; retryAfter: number };

/** The scopes of each role. */
export function scopesOf(role: Role): readonly string[] {
  if (role === "admin") return staffScopes;
  if (role === "staff") return staffScopes.filter((scope) => scope !== "users:manage" && scope !== "ops");
  return ["orders:read", "orders:write"];
}

/** To be called once by a starting service. */
export const prepareAccounts = (kit: Kit<Store>, commit: Commit): void => prepareRoom(kit, commit);

/**
 * Signs somebody in. It does the same whether the account exists or not, and so takes as long.
 * @throws {Problem} 503 when too many passwords are being checked already, or secrets cannot be read
 */
export async function authenticate(kit: Kit<Store>, { email, password, ip }: Credentials): Promise<SignIn> {
  const room = roomOf(kit);
  const emailKey = await room.vault.lookup("email", mailbox(email));
  const tried = await attempt(room, { emailKey, ip });
  if ("wait" in tried) return { ok: false, reason: "locked", retryAfter: Math.ceil(tried.wait / 1_000) };
  const user = await kit.store.userByEmail(emailKey);
  const right = await room.passwords.matches(password, user?.passwordHash).catch(async (error: unknown) => {
    if (error instanceof Problem) await tried.withdrawn();
    throw error;
  });
  // With another answer for it, registering an address and signing in would tell whether it was taken.
  if (!right || !user || (verifiedOnly(kit) && !user.emailVerified)) return { ok: false, reason: "wrong" };
  await tried.succeeded();
  if (room.passwords.outdated(user.passwordHash)) await rehash(room, user, password);
  return { ok: true, user: accountOf(user) };
}

/** Hashes the password again, with the parameters of now. */
async function rehash(
  { kit: { store }, commit, passwords }: Room,
  user: User,
  password: string,
): Promise<void> {
  const passwordHash = await passwords.hash(password);
  const { change } = store.userChange(user, [{ type: "rehashed", passwordHash }], await store.admins());
  await commit(change).catch((error: unknown) => {
    // The account has changed meanwhile: the next sign-in does it.
    if (!(error instanceof Conflict)) throw error;
  });
}

/** The account of an id; `undefined` when there is none, or no more. */
export async function userOf(kit: Kit<Store>, id: string): Promise<Account | undefined> {
  const user = await kit.store.user(id);
  return user && accountOf(user);
}

function accountOf({ id, email, emailVerified, name, role, language, validFrom }: User): Account {
  return {
    id,
    email,
    emailVerified,
    name,
    role,
    roles: [role],
    language,
    validFrom: Math.floor(validFrom / 1_000),
  };
}

/** Two ways of writing an address that a person takes for the same are one account. */
export const mailbox = (email: string): string => email.trim().normalize("NFC").toLowerCase();

/** Whether an address must have been verified before its owner can sign in: everywhere but in development. */
function verifiedOnly({ config }: Kit<Store>): boolean {
  const said = config.env.VERIFIED_EMAIL_REQUIRED;
  return said ? said === "true" : !config.development;
}
