import { emit, type Place, type Reach, type Sealed, sealedRows } from "chassis";
import { and, desc, eq, lt, lte, or, type SQL } from "drizzle-orm";
import {
  type Change,
  type Db,
  type Dialect,
  insert,
  type NewEvent,
  remove,
  update,
  upsert,
  type Write,
} from "drizzle-outbox";
import { UserChanged, UserErased, UserRegistered } from "./contracts.ts";
import { evolve, type Role, type User, type UserEvent } from "./user.ts";

export type Purpose = "verify-email" | "reset-password";

/** A link that was mailed. What is in the mail is not kept, only its digest. */
export interface Link {
  digest: string;
  userId: string;
  purpose: Purpose;
  /** The address that it was sent to: it proves no other. */
  emailKey: string;
  expiresAt: number;
}

/** What is counted of one account or address: times (ms) of failures or of mails. */
export interface Tally {
  /** A keyed digest: neither mail address nor network address is kept. */
  key: string;
  version: number;
  times: number[];
}

export interface UserFilter {
  emailKey?: string;
  role?: Role;
  after?: Place;
  limit: number;
}

export const userTables = (t: Dialect) => ({
  users: t.table(
    "users",
    {
      id: t.text("id").primaryKey(),
      version: t.integer("version").notNull(),
      emailKey: t.text("email_key").notNull(),
      email: t.text("email").notNull(),
      emailVerified: t.boolean("email_verified").notNull(),
      pendingKey: t.text("pending_key"),
      pendingEmail: t.text("pending_email"),
      name: t.text("name").notNull(),
      role: t.text("role").$type<Role>().notNull(),
      language: t.text("language").notNull(),
      passwordHash: t.text("password_hash").notNull(),
      createdAt: t.integer("created_at").notNull(),
      validFrom: t.integer("valid_from").notNull(),
      /** The id of the key of what is sealed. */
      sealedWith: t.text("sealed_with"),
    },
    (users) => [
      t.uniqueIndex("users_by_email").on(users.emailKey),
      t.index("users_by_time").on(users.createdAt, users.id),
      t.index("users_by_key").on(users.sealedWith, users.id),
    ],
  ),
  mailLinks: t.table(
    "mail_links",
    {
      digest: t.text("digest").primaryKey(),
      userId: t.text("user_id").notNull(),
      purpose: t.text("purpose").$type<Purpose>().notNull(),
      emailKey: t.text("email_key").notNull(),
      expiresAt: t.integer("expires_at").notNull(),
    },
    (links) => [
      t.index("mail_links_by_user").on(links.userId),
      t.index("mail_links_by_end").on(links.expiresAt),
    ],
  ),
  tallies: t.table(
    "tallies",
    {
      key: t.text("key").primaryKey(),
      version: t.integer("version").notNull(),
      times: t.json<number[]>("times").notNull(),
      /** Nothing of it counts any more from then on (ms). */
      until: t.integer("until").notNull(),
    },
    (tallies) => [t.index("tallies_by_end").on(tallies.until)],
  ),
  /** One row: how many admins there are. Two who take the role from each other at once meet here. */
  admins: t.table("admins", {
    role: t.text("role").primaryKey(),
    holders: t.integer("holders").notNull(),
  }),
});

type Row = ReturnType<typeof userTables>["users"]["$inferSelect"];

/** What is personal lies sealed, each field for its column and row. */
const columns = { email: "users.email", pendingEmail: "users.pending_email", name: "users.name" };

export function userStore(db: Db, t: ReturnType<typeof userTables>, sealed: Sealed) {
  const rowOf = ({ pending, ...user }: User): Row => ({
    ...user,
    email: sealed.seal(user.email, columns.email, user.id),
    name: sealed.seal(user.name, columns.name, user.id),
    pendingKey: pending?.key ?? null,
    pendingEmail: pending && sealed.seal(pending.address, columns.pendingEmail, user.id),
    sealedWith: sealed.current,
  });

  const userOf = ({ pendingKey: key, pendingEmail: address, sealedWith: _, ...row }: Row): User => ({
    ...row,
    email: sealed.open(row.email, columns.email, row.id),
    name: sealed.open(row.name, columns.name, row.id),
    pending:
      key === null || address === null
        ? null
        : { key, address: sealed.open(address, columns.pendingEmail, row.id) },
  });

  async function admins(): Promise<number> {
    return (await db.find(t.admins, { role: "admin" }))?.holders ?? 0;
  }

  /** @throws never; committed, it is a Conflict when the number has changed meanwhile */
  function adminsBecome(before: number, after: number): Write[] {
    if (after === before) return [];
    // The first admin makes the row.
    if (before === 0)
      return [
        upsert(
          t.admins,
          { role: "admin", holders: after },
          { on: ["role"], where: eq(t.admins.holders, 0), rows: 1 },
        ),
      ];
    return [update(t.admins, { holders: after }, { role: "admin", holders: before }, { rows: 1 })];
  }

  return {
    async user(id: string): Promise<User | undefined> {
      const row = await db.find(t.users, { id });
      return row && userOf(row);
    },
    /** The account, for a caller who may reach it; nothing is looked up for another. */
    async userWithin(reach: Reach, id: string): Promise<User | undefined> {
      const row = reach === "all" || reach.owner === id ? await db.find(t.users, { id }) : undefined;
      return row && userOf(row);
    },
    async userByEmail(emailKey: string): Promise<User | undefined> {
      const row = await db.find(t.users, { emailKey });
      return row && userOf(row);
    },
    admins,

    /** Newest first. */
    async users({ emailKey, role, after, limit }: UserFilter): Promise<User[]> {
      const wanted: (SQL | undefined)[] = [
        emailKey === undefined ? undefined : eq(t.users.emailKey, emailKey),
        role === undefined ? undefined : eq(t.users.role, role),
        after === undefined
          ? undefined
          : or(
              lt(t.users.createdAt, after.at),
              and(eq(t.users.createdAt, after.at), lt(t.users.id, after.id)),
            ),
      ];
      const rows = await db
        .select()
        .from(t.users)
        .where(and(...wanted))
        .orderBy(desc(t.users.createdAt), desc(t.users.id))
        .limit(limit);
      return rows.map(userOf);
    },

    /**
     * The rows and events that come of what was decided.
     * @param admins how many there were when it was decided
     */
    userChange(
      before: User | undefined,
      decided: UserEvent[],
      admins: number,
    ): { user: User | undefined; change: Change } {
      const user = decided.reduce<User | undefined>(evolve, before);
      const id = (user ?? before)?.id;
      if (id === undefined || decided.length === 0) return { user, change: {} };
      const was = before?.role === "admin" ? 1 : 0;
      const is = user?.role === "admin" ? 1 : 0;
      const at = before && { id, version: before.version };
      const links = decided.some(({ type }) => type === "erased" || type === "password-changed");
      const writes = [
        ...(user && at ? [update(t.users, rowOf(user), at, { rows: 1 })] : []),
        ...(user && !at ? [insert(t.users, rowOf(user))] : []),
        ...(!user && at ? [remove(t.users, at, { rows: 1 })] : []),
        // Links that were mailed before go no further than the password of then.
        ...(links ? [remove(t.mailLinks, { userId: id })] : []),
        ...adminsBecome(admins, admins - was + is),
      ];
      return { user, change: { writes, events: published(id, user, decided) } };
    },

    /** For the change to another key. */
    sealedUsers: sealedRows(db, t.users, {
      id: t.users.id,
      sealedWith: t.users.sealedWith,
      reseal(row) {
        const { email, name, pendingEmail, sealedWith } = rowOf(userOf(row));
        const at = { id: row.id, version: row.version };
        return update(t.users, { email, name, pendingEmail, sealedWith }, at, { rows: 1 });
      },
    }),

    link: (digest: string): Promise<Link | undefined> => db.find(t.mailLinks, { digest }),
    addLink: (link: Link): Write => insert(t.mailLinks, link),
    /** Committed, it is a Conflict for the second who uses a link. */
    useLink: ({ digest }: Link): Write => remove(t.mailLinks, { digest }, { rows: 1 }),
    /** The links of an account that are still open. */
    async links(userId: string): Promise<Link[]> {
      return await db.select().from(t.mailLinks).where(eq(t.mailLinks.userId, userId));
    },

    async tally(key: string): Promise<Tally> {
      return (await db.find(t.tallies, { key })) ?? { key, version: 0, times: [] };
    },
    /** Committed, it is a Conflict when the tally has changed meanwhile. */
    saveTally({ key, version }: Tally, times: number[], until: number): Write {
      const row = { key, version: version + 1, times, until };
      return version === 0 ? insert(t.tallies, row) : update(t.tallies, row, { key, version }, { rows: 1 });
    },
    forgetTally: (key: string): Write => remove(t.tallies, { key }),
    /** Forgets links that have expired and tallies of which nothing counts any more. */
    sweep: (now: number): Write[] => [
      remove(t.mailLinks, lte(t.mailLinks.expiresAt, now)),
      remove(t.tallies, lte(t.tallies.until, now)),
    ],
  };
}

/** What the others are told: that something has changed, never what; personal data stays here. */
function published(userId: string, user: User | undefined, decided: UserEvent[]): NewEvent[] {
  if (user === undefined) return [emit(UserErased, userId, { userId })];
  if (decided.some(({ type }) => type === "registered"))
    return [emit(UserRegistered, userId, { userId, language: user.language })];
  const told = decided.some(({ type }) => type !== "rehashed");
  return told ? [emit(UserChanged, userId, { userId })] : [];
}
