import { desc, gt, lte } from "drizzle-orm";
import { type Db, type Dialect, insert, remove, update, upsert, type Write } from "drizzle-outbox";
import type { Client, ClientSettings } from "./clients.ts";

/** A signing key, sealed: whoever reads the database cannot sign with it. */
export interface SealedKey {
  /** Counts up. */
  generation: number;
  sealed: string;
  createdAt: number;
  /** From when on it signs (ms); nothing as long as it is only published, for the day when it will. */
  signsFrom: number | null;
}

/** Something that the provider keeps for a time: a session, an interaction, a grant, a code, a refresh token. */
export interface Kept {
  kind: string;
  /** A digest of its id, which is the secret itself: what lies here opens nothing. */
  id: string;
  /** Digest of the grant that it comes from. */
  grantKey: string | null;
  /** Digest of the second id that a session has. */
  uidKey: string | null;
  /** Whose it is. */
  account: string | null;
  /** What the provider wants to know of it, encrypted. */
  sealed: string;
  /** When it was used, where it can be used once (ms). */
  consumedAt: number | null;
  expiresAt: number;
}

export const providerTables = (t: Dialect) => ({
  clients: t.table("clients", {
    id: t.text("id").primaryKey(),
    name: t.text("name").notNull(),
    secretDigest: t.text("secret_digest").notNull(),
    scopes: t.json<string[]>("scopes").notNull(),
    settings: t.json<ClientSettings>("settings"),
  }),
  signingKeys: t.table("signing_keys", {
    generation: t.integer("generation").primaryKey(),
    sealed: t.text("sealed").notNull(),
    createdAt: t.integer("created_at").notNull(),
    signsFrom: t.integer("signs_from"),
  }),
  kept: t.table(
    "provider_state",
    {
      kind: t.text("kind").notNull(),
      id: t.text("id").notNull(),
      grantKey: t.text("grant_key"),
      uidKey: t.text("uid_key"),
      account: t.text("account"),
      sealed: t.text("sealed").notNull(),
      consumedAt: t.integer("consumed_at"),
      expiresAt: t.integer("expires_at").notNull(),
    },
    (kept) => [
      t.primaryKey({ columns: [kept.kind, kept.id] }),
      t.index("provider_state_grant").on(kept.grantKey),
      t.index("provider_state_uid").on(kept.uidKey),
      t.index("provider_state_account").on(kept.account),
      t.index("provider_state_expiry").on(kept.expiresAt),
    ],
  ),
});

export const providerStore = (db: Db, t: ReturnType<typeof providerTables>) => ({
  client: (id: string): Promise<Client | undefined> => db.find(t.clients, { id }),
  /** By id. */
  clients: (after: string | undefined, limit: number): Promise<Client[]> =>
    db
      .select()
      .from(t.clients)
      .where(after === undefined ? undefined : gt(t.clients.id, after))
      .orderBy(t.clients.id)
      .limit(limit),
  dropClient: ({ id }: Client): Write => remove(t.clients, { id }, { rows: 1 }),
  saveClient: (client: Client): Write =>
    upsert(t.clients, { ...client, settings: client.settings ?? null }, { on: ["id"] }),

  /** Newest first. */
  async signingKeys(): Promise<SealedKey[]> {
    return await db.select().from(t.signingKeys).orderBy(desc(t.signingKeys.generation));
  },
  /** A generation that is taken already makes it a Conflict: another replica was first. */
  addSigningKey: (key: SealedKey): Write => insert(t.signingKeys, key),
  /** A Conflict when another has said so meanwhile. */
  signFrom: ({ generation }: SealedKey, signsFrom: number): Write =>
    update(t.signingKeys, { signsFrom }, { generation, signsFrom: null }, { rows: 1 }),
  /** Whatever was settled about it before. */
  signFromNowOn: ({ generation }: SealedKey, signsFrom: number): Write =>
    update(t.signingKeys, { signsFrom }, { generation }, { rows: 1 }),
  dropSigningKey: ({ generation }: SealedKey): Write => remove(t.signingKeys, { generation }),

  kept: (kind: string, id: string): Promise<Kept | undefined> => db.find(t.kept, { kind, id }),
  keptByUid: (kind: string, uidKey: string): Promise<Kept | undefined> => db.find(t.kept, { kind, uidKey }),
  /** Kept anew, or as it is now; that it was consumed stays. */
  keep: ({ consumedAt: _, ...row }: Kept): Write =>
    upsert(t.kept, { ...row, consumedAt: null }, { on: ["kind", "id"], set: row }),
  /** A Conflict when it was there before. */
  keepNew: (row: Kept): Write => insert(t.kept, row),
  /** A Conflict for the second who uses it. */
  consume: (kind: string, id: string, at: number): Write =>
    update(t.kept, { consumedAt: at }, { kind, id, consumedAt: null }, { rows: 1 }),
  drop: (kind: string, id: string): Write => remove(t.kept, { kind, id }),
  /** Everything of one grant and kind. */
  dropGrant: (kind: string, grantKey: string): Write => remove(t.kept, { kind, grantKey }),
  /** Signs somebody out everywhere: sessions, grants, codes and refresh tokens. */
  dropAccount: (account: string): Write => remove(t.kept, { account }),
  dropExpired: (now: number): Write => remove(t.kept, lte(t.kept.expiresAt, now)),
});
