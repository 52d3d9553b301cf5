/** One person's account: what may happen to it, decided without a database. */

export const roles = ["customer", "staff", "admin"] as const;
export type Role = (typeof roles)[number];

/** A mail address, and the keyed digest by which it is found. */
export interface Mailbox {
  address: string;
  key: string;
}

export interface User {
  id: string;
  version: number;
  email: string;
  /** The keyed digest by which the address is found; no two accounts have the same. */
  emailKey: string;
  emailVerified: boolean;
  /** The address that is to take the place of the present one, once its owner has shown that it is theirs. */
  pending: Mailbox | null;
  name: string;
  role: Role;
  /** BCP 47. */
  language: string;
  /** PHC string. */
  passwordHash: string;
  createdAt: number;
  /** Whatever was signed in before this holds no longer (ms). */
  validFrom: number;
}

export type NewUser = Pick<
  User,
  "id" | "email" | "emailKey" | "name" | "language" | "passwordHash" | "createdAt"
>;

export type UserEvent =
  | { type: "registered"; user: NewUser }
  | { type: "profile-changed"; name: string; language: string }
  | { type: "email-respelt"; email: string }
  | { type: "email-asked"; mailbox: Mailbox }
  | { type: "email-changed"; mailbox: Mailbox }
  | { type: "email-verified" }
  | { type: "password-changed"; passwordHash: string; at: number }
  | { type: "rehashed"; passwordHash: string }
  | { type: "role-changed"; role: Role; at: number }
  | { type: "erased" };

export interface Rejection {
  rejected: string;
  detail: string;
  errors?: { pointer: string; detail: string }[];
}

/** Who asks for a change. */
export interface Actor {
  id: string;
  /** Holds the scope users:manage. */
  manages: boolean;
}

/** What may be asked of an account; what is left out stays. */
export interface Wanted {
  name?: string | undefined;
  language?: string | undefined;
  role?: Role | undefined;
  email?: Mailbox | undefined;
  passwordHash?: string | undefined;
}

/** @param admins how many accounts have the role admin now */
export function change(
  user: User,
  wanted: Wanted,
  { actor, admins, at }: { actor: Actor; admins: number; at: number },
): UserEvent[] | Rejection {
  const events: UserEvent[] = [];
  const { name = user.name, language = user.language, role = user.role, email, passwordHash } = wanted;
  if (role !== user.role) {
    if (!actor.manages) return refuse("insufficient-scope", "Only the scope users:manage may change a role");
    if (actor.id === user.id) return refuse("own-role", "Nobody changes their own role: ask another admin");
    if (isLast(user, admins)) return lastAdmin;
    events.push({ type: "role-changed", role, at });
  }
  if (passwordHash !== undefined) {
    if (actor.id !== user.id)
      return refuse("not-yours", "A password is chosen by its owner: have a reset link sent to them");
    events.push({ type: "password-changed", passwordHash, at });
  }
  if (name !== user.name || language !== user.language)
    events.push({ type: "profile-changed", name, language });
  if (email !== undefined) events.push(...askedFor(user, email));
  return events;
}

/** Another way of writing the same address is no other mailbox; another address has to be shown to be theirs first. */
function askedFor(user: User, mailbox: Mailbox): UserEvent[] {
  if (mailbox.key !== user.emailKey) return [{ type: "email-asked", mailbox }];
  return mailbox.address === user.email && user.pending === null
    ? []
    : [{ type: "email-respelt", email: mailbox.address }];
}

/**
 * The owner of an address has shown that it is theirs.
 * @param first this account is to be the first admin, and there is none yet
 */
export function verify(
  user: User,
  emailKey: string,
  { first, at }: { first: boolean; at: number },
): UserEvent[] | Rejection {
  if (user.pending?.key === emailKey) return [{ type: "email-changed", mailbox: user.pending }];
  if (user.emailKey !== emailKey)
    return refuse("invalid-link", "This link is for an address that the account no longer has");
  return [
    ...(user.emailVerified ? [] : [{ type: "email-verified" } as const]),
    ...(first && user.role !== "admin" ? [{ type: "role-changed", role: "admin", at } as const] : []),
  ];
}

/** A new password by way of the mailbox, which shows at the same time whose the address is. */
export function reset(
  user: User,
  emailKey: string,
  { passwordHash, ...facts }: { passwordHash: string; first: boolean; at: number },
): UserEvent[] | Rejection {
  // A link for the address of before must not open the account.
  if (user.emailKey !== emailKey)
    return refuse("invalid-link", "This link is for an address that the account no longer has");
  const verified = verify(user, emailKey, facts);
  return Array.isArray(verified)
    ? [...verified, { type: "password-changed", passwordHash, at: facts.at }]
    : verified;
}

export function erase(user: User, admins: number): UserEvent[] | Rejection {
  return isLast(user, admins) ? lastAdmin : [{ type: "erased" }];
}

/** @returns `undefined` once the account is erased */
export function evolve(user: User | undefined, event: UserEvent): User | undefined {
  if (event.type === "registered") {
    const { createdAt: validFrom } = event.user;
    return {
      ...event.user,
      version: 1,
      emailVerified: false,
      pending: null,
      role: "customer",
      validFrom,
    };
  }
  if (user === undefined) throw new Error(`${event.type} of an account that is not there`);
  const next = { ...user, version: user.version + 1 };
  switch (event.type) {
    case "profile-changed":
      return { ...next, name: event.name, language: event.language };
    case "email-respelt":
      return { ...next, email: event.email, pending: null };
    case "email-asked":
      return { ...next, pending: event.mailbox };
    case "email-changed":
      return {
        ...next,
        email: event.mailbox.address,
        emailKey: event.mailbox.key,
        emailVerified: true,
        pending: null,
      };
    case "email-verified":
      return { ...next, emailVerified: true };
    case "password-changed":
      // What was asked for with the old password ends with it.
      return { ...next, passwordHash: event.passwordHash, pending: null, validFrom: event.at };
    case "rehashed":
      return { ...next, passwordHash: event.passwordHash };
    case "role-changed":
      // Whoever is signed in must not keep what the role no longer allows.
      return { ...next, role: event.role, validFrom: event.at };
    case "erased":
      return undefined;
    default:
      return event satisfies never;
  }
}

const isLast = (user: User, admins: number): boolean => user.role === "admin" && admins <= 1;
const refuse = (rejected: string, detail: string): Rejection => ({ rejected, detail });
const lastAdmin = refuse("last-admin", "This is the last admin: make another one first");
