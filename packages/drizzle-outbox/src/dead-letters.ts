import { own } from "./compile.ts";
import type { Cells, Context } from "./engine.ts";

/** An event that could not be handled. */
export interface DeadLetter {
  id: string;
  topic: string;
  type: string;
  /** Why; empty when nobody said. */
  reason: string;
  /** The event as it came: any JSON value. */
  event: unknown;
}

export interface DeadLetters {
  /** Keeps a dead letter. Should it come twice, as from a broker that forwards the original too, it keeps the reason it has. */
  put(letter: DeadLetter): Promise<void>;
  /** The newest first, with when they came (ms); `cursor` is the `next` of the page before. */
  list(page?: {
    limit?: number;
    cursor?: string;
  }): Promise<{ items: (DeadLetter & { at: number })[]; next?: string }>;
  get(id: string): Promise<(DeadLetter & { at: number }) | undefined>;
  remove(id: string): Promise<void>;
}

export function deadLetters({ engine, now }: Context): DeadLetters {
  const put = own(
    `insert into outbox_dead_letters (id, topic, type, reason, event, at) values (?, ?, ?, ?, ?, ?)
     on conflict (id) do update set reason = excluded.reason where outbox_dead_letters.reason = ''`,
    engine.dialect,
  );
  const get = own("select * from outbox_dead_letters where id = ?", engine.dialect);
  const remove = own("delete from outbox_dead_letters where id = ?", engine.dialect);
  const list = own(
    "select * from outbox_dead_letters where (at, id) < (?, ?) order by at desc, id desc limit ?",
    engine.dialect,
  );
  return {
    put: ({ id, topic, type, reason, event }) =>
      engine.transact([
        { text: put, params: [id, topic, type, reason, JSON.stringify(event) ?? "null", now()] },
      ]),

    async list({ limit = 100, cursor } = {}) {
      const [at, id] = cursor === undefined ? [Number.MAX_SAFE_INTEGER, ""] : position(cursor);
      const rows = await engine.all(list, [at, id, limit + 1]);
      const items = rows.slice(0, limit).map(letterOf);
      const last = items.at(-1);
      return rows.length > limit && last ? { items, next: `${last.at}.${last.id}` } : { items };
    },

    async get(id) {
      const [row] = await engine.all(get, [id]);
      return row && letterOf(row);
    },

    remove: (id) => engine.transact([{ text: remove, params: [id] }]),
  };
}

function position(cursor: string): [number, string] {
  const dot = cursor.indexOf(".");
  const at = Number(cursor.slice(0, dot));
  if (dot < 1 || !Number.isSafeInteger(at)) throw new TypeError("Not a cursor of this list");
  return [at, cursor.slice(dot + 1)];
}

const letterOf = (row: Cells) => ({
  id: row.id as string,
  topic: row.topic as string,
  type: row.type as string,
  reason: row.reason as string,
  event: JSON.parse(row.event as string) as unknown,
  at: Number(row.at),
});
