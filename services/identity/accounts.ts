import type { Commit, Kit } from "chassis";
import { Conflict } from "drizzle-outbox";
import { trying } from "./attempts.ts";
import { developmentAdmin, ensureDevelopmentAdmin } from "./development-admin.ts";
import { staffScopes } from "./provider/scopes.ts";
import { forgetting as forgettingJob } from "./reactions.ts";
import { forgetting, type Registration, registering, resetting, settled, verifying } from "./registration.ts";
import { prepareRoom, type Room, roomOf } from "./room.ts";
import type { Store } from "./store.ts";
import type { Role, User } from "./user.ts";

/** What the OpenID Provider and its pages may know and do of accounts. */

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
export async function prepareAccounts(kit: Kit<Store>, commit: Commit): Promise<void> {
  prepareRoom(kit, commit);
  await commit({ jobs: [forgettingJob(kit.now())] });
}

const admins = new WeakMap<Kit<Store>, Promise<void>>();

/** A check: in development there is an admin, made when the secret store can be read for the first time. */
export async function adminReady(kit: Kit<Store>): Promise<void> {
  const file = kit.config.env.DEV_ADMIN_FILE;
  if (!kit.config.development || !file) return;
  const made = admins.get(kit) ?? ensureDevelopmentAdmin(roomOf(kit), file);
  admins.set(kit, made);
  await made.catch((error: unknown) => {
    admins.delete(kit);
    throw error;
  });
}

/**
 * Signs somebody in. It does the same whether the account exists or not, and so takes as long.
 * @throws {Problem} 503 when too many passwords are being checked already, or secrets cannot be read
 */
export async function authenticate(kit: Kit<Store>, { email, password, ip }: Credentials): Promise<SignIn> {
  const room = roomOf(kit);
  const emailKey = await room.vault.emailKey(email);
  const outcome = await trying(room, { emailKey, ip }, async () => {
    const user = await kit.store.userByEmail(emailKey);
    const same = await room.passwords.matches(password, user?.passwordHash);
    // With another answer for it, registering an address and signing in would tell whether it was taken.
    return same && user && mayEnter(kit, user) ? user : undefined;
  });
  if ("locked" in outcome) return { ok: false, reason: "locked", retryAfter: outcome.locked };
  if ("wrong" in outcome) return { ok: false, reason: "wrong" };
  const user = outcome.right;
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
  return user && isOfHere(kit, user) ? accountOf(user) : undefined;
}

/**
 * Registers somebody; it does the same when the address has an account: then only its owner is told, by mail.
 * @throws {Problem} 422 `weak-password`, with pointers; 503 as `authenticate`
 */
export async function register(kit: Kit<Store>, asked: Registration): Promise<void> {
  const room = roomOf(kit);
  await settled(room.commit, await registering(room, asked));
}

/** The token of a link out of a mail was shown. @throws {Problem} 422 `invalid-link` */
export async function verifyEmail(kit: Kit<Store>, token: string): Promise<Account> {
  const room = roomOf(kit);
  return accountOf(await settled(room.commit, await verifying(room, token)));
}

/** Sends a link for a new password, if there is such an account; nobody can tell. */
export async function forgotPassword(kit: Kit<Store>, email: string): Promise<void> {
  const room = roomOf(kit);
  await settled(room.commit, await forgetting(room, email));
}

/** A new password by the token of such a link. @throws {Problem} 422 `invalid-link`, `weak-password` */
export async function resetPassword(kit: Kit<Store>, token: string, password: string): Promise<Account> {
  const room = roomOf(kit);
  return accountOf(await settled(room.commit, await resetting(room, token, password)));
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

/** Everywhere but in development, an address must have been verified before its owner can sign in. */
function mayEnter(kit: Kit<Store>, user: User): boolean {
  const said = kit.config.env.VERIFIED_EMAIL_REQUIRED;
  const verifiedOnly = said ? said === "true" : !kit.config.development;
  return isOfHere(kit, user) && (user.emailVerified || !verifiedOnly);
}

/** A database that comes from development brings its admin along; elsewhere that account opens nothing. */
const isOfHere = ({ config }: Kit<Store>, { id }: User): boolean =>
  config.development || id !== developmentAdmin.id;
