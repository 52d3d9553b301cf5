import { Database } from "bun:sqlite";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Commit, Kit } from "chassis";
import { type TestOptions, type TestService, testService } from "chassis/testing";
import { openSqlite } from "drizzle-outbox";
import { compactDecrypt } from "jose";
import { authenticate, type SignIn } from "./accounts.ts";
import service from "./service.ts";
import type { Store } from "./store.ts";

/** What the tests of accounts share: a whole service in memory, its mailbox and its users. */

export interface Mail {
  template: string;
  to: string;
  name: string;
  link: string;
  language: string;
  userId: string;
  /** Out of the link. */
  token: string;
}

export interface People extends TestService<Store> {
  kit: Kit<Store>;
  /** All mails so far, opened as the mailer opens them. */
  mails(): Promise<Mail[]>;
  lastMail(): Promise<Mail>;
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Response>;
  /** Registers somebody and gives what was answered. */
  register(over?: Partial<typeof ada>, headers?: Record<string, string>): Promise<Seen>;
  signIn(email: string, password: string, ip?: string): Promise<SignIn>;
  /** Everything in the database, as text; of SQLite only, as `rows`. */
  kept(): Promise<string>;
  /** How many rows a table has. */
  rows(table: string): Promise<number>;
  /** Exchanges the value of a column between two rows. */
  swap(table: string, column: string, one: string, other: string): Promise<void>;
  /** As a signed-in user asks. */
  as(id: string, path: string, options?: Parameters<TestService<Store>["request"]>[1]): Promise<Response>;
  /** As a client with users:manage asks. */
  staff(path: string, options?: Parameters<TestService<Store>["request"]>[1]): Promise<Response>;
}

export interface Seen {
  id: string;
  email: string;
  emailVerified: boolean;
  pendingEmail?: string;
  name: string;
  role: string;
  language: string;
  createdAt: string;
}

export const ada = { email: "ada@shop.test", password: "correct horse battery", name: "Ada Lovelace" };

/** Argon2id at its cheapest: what is tested is what is done, not how long it takes. */
export const cheap = { ARGON2_MEMORY_KIB: "8", ARGON2_TIME: "1" };

export async function people(
  options: Omit<TestOptions, "folder"> & { secrets?: () => Record<string, string | undefined> } = {},
): Promise<People> {
  const random = () => randomBytes(32).toString("base64url");
  const own: Record<string, string> = { key: random(), index: random(), mail: random() };
  const secrets = options.secrets ?? (() => own);
  const folder = mkdtempSync(join(tmpdir(), "people-"));
  const file = join(folder, "identity.db");
  const db = options.db ?? (await openSqlite(file));
  let kit: Kit<Store> | undefined;
  const spied = {
    ...service,
    async prepare(made: Kit<Store>, commit: Commit) {
      kit = made;
      await service.prepare?.(made, commit);
    },
  };
  const app = await testService(spied, {
    folder: import.meta.dir,
    ...options,
    db,
    env: { ...cheap, ...options.env },
    others(request) {
      const name = /^\/v1\.0\/secrets\/secrets\/(\w+)$/.exec(new URL(request.url).pathname)?.[1] ?? "";
      const value = secrets()[name];
      return value === undefined
        ? Response.json({ errorCode: "ERR_SECRET_GET", message: "no such secret" }, { status: 500 })
        : Response.json({ [name]: value });
    },
  });
  if (!kit) throw new Error("the service was not prepared");
  const prepared = kit;
  // As before each request.
  await prepared.sealed.ready();
  const all = (query: string): Record<string, unknown>[] => {
    const reader = new Database(file, { readonly: true });
    try {
      return reader.query<Record<string, unknown>, []>(query).all();
    } finally {
      reader.close();
    }
  };

  async function opened(data: Record<string, string>): Promise<Mail> {
    const key = Buffer.from(secrets().mail ?? "", "base64url");
    const open = async (sealed = "") =>
      new TextDecoder().decode((await compactDecrypt(sealed, key)).plaintext);
    const [to, name, link] = await Promise.all([open(data.to), open(data.name), open(data.link)]);
    const token = new URL(link).searchParams.get("token") ?? "";
    return { template: "", language: "", userId: "", ...data, to, name, link, token };
  }
  const mails = async (): Promise<Mail[]> =>
    Promise.all(
      (await app.published())
        .filter(({ type }) => type === "user.mail-requested")
        .map(({ data }) => opened(data as Record<string, string>)),
    );
  const post = (path: string, body: unknown, headers = {}): Promise<Response> =>
    app.request(path, { method: "POST", body, headers });

  return {
    ...app,
    kit: prepared,
    mails,
    post,
    signIn: (email, password, ip) => authenticate(prepared, { email, password, ip }),
    async kept() {
      const tables = all("select name from sqlite_master where type = 'table'").map(({ name }) =>
        String(name),
      );
      return JSON.stringify(tables.map((name) => all(`select * from "${name}"`)));
    },
    async swap(table, column, one, other) {
      const writer = new Database(file);
      const value = (id: string) =>
        writer.query<{ v: string }, [string]>(`select ${column} as v from ${table} where id = ?`).get(id)
          ?.v ?? "";
      const values = [value(other), value(one)];
      const set = writer.query(`update ${table} set ${column} = ? where id = ?`);
      [one, other].forEach((id, i) => void set.run(values[i] ?? "", id));
      writer.close();
    },
    rows: async (table) => all(`select * from "${table}"`).length,
    async stop() {
      await app.stop();
      if (!options.db) await db.close();
      rmSync(folder, { recursive: true, force: true });
    },
    async lastMail() {
      const last = (await mails()).at(-1);
      if (!last) throw new Error("no mail was sent");
      return last;
    },
    async register(over = {}, headers = {}) {
      const response = await post("/users", { ...ada, ...over }, headers);
      if (response.status !== 201) throw new Error(`${response.status} ${await response.text()}`);
      return (await response.json()) as Seen;
    },
    as: (id, path, asked) => app.request(path, { scopes: [], caller: id, user: true, ...asked }),
    staff: (path, asked) => app.request(path, { scopes: ["users:manage"], caller: "back-office", ...asked }),
  };
}

export const grace = { email: "grace@shop.test", name: "Grace Hopper", password: "nanoseconds of wire" };

/** The body of an answer. */
export const json = async <T = { code: string }>(answer: unknown): Promise<T> =>
  (await ((await answer) as Response).json()) as T;

/** The status and code of a refusal. */
export async function refused(asked: Promise<Response>): Promise<string> {
  const answer = await asked;
  return `${answer.status} ${(await json(answer)).code}`;
}
