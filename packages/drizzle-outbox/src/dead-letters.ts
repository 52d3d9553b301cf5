import { compile, own } from "./compile.ts";
import type { Cells, Context } from "./engine.ts";
import type { Change } from "./outbox.ts";
import { outboxTables, schema } from "./schema.ts";
import { Conflict, insert, update, type Write } from "./writes.ts";

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

/** `dead`: nobody has decided yet. `replaying`: it is tried again. `resolved`: it was handled after all. */
export type DeadLetterStatus = "dead" | "replaying" | "resolved" | "discarded";

/** What happened to a dead letter. */
export interface DeadLetterStep {
  status: DeadLetterStatus;
  /** Ms since 1970. */
  at: number;
  /** Why it is dead, or who decided, and what they noted. */
  reason?: string;
  by?: string;
  note?: string;
}

export interface KeptDeadLetter extends DeadLetter {
  status: DeadLetterStatus;
  /** Since when it has this status: ms since 1970. */
  at: number;
  /** 1 at first, and one more with each step. */
  version: number;
  /** The oldest first; of very many the last hundred. */
  history: DeadLetterStep[];
}

export interface DeadLetterFilter {
  /** Any of these. */
  status?: readonly DeadLetterStatus[];
  topic?: string;
  type?: string;
  /** Only those that have had their status since before this time: ms since 1970. */
  before?: number;
  /** Only those that come after this one in the list. */
  after?: { at: number; id: string };
  /** At most so many: 100. */
  limit?: number;
}

export interface DeadLetters {
  /**
   * Keeps a dead letter, or brings one back to `dead` that was decided upon, with its new reason. Should it come twice,
   * as from a broker that forwards the original too, it keeps the reason it has.
   */
  put(letter: DeadLetter): Promise<void>;
  /** Those of the latest step first. */
  list(filter?: DeadLetterFilter): Promise<KeptDeadLetter[]>;
  get(id: string): Promise<KeptDeadLetter | undefined>;
  /** The change that takes a letter one step further; to be committed with what follows from it. A `Conflict` when another was quicker. */
  step(letter: KeptDeadLetter, step: Omit<DeadLetterStep, "at">): Change;
  /** How many wait for a decision. */
  count(): Promise<number>;
}

const longest = 100;
const tables = schema(outboxTables);

export function deadLetters({ engine, now }: Context): DeadLetters {
  const { dialect } = engine;
  const table = tables.for(dialect).outboxDeadLetters;
  const one = own("select * from outbox_dead_letters where id = ?", dialect);
  const dead = own("select count(*) as dead from outbox_dead_letters where status = 'dead'", dialect);

  async function get(id: string): Promise<KeptDeadLetter | undefined> {
    const [row] = await engine.all(one, [id]);
    return row && letterOf(row);
  }

  function stepped(
    { id, version, history }: KeptDeadLetter,
    step: DeadLetterStep,
    more?: { reason: string; event: string },
  ): Write {
    const { status, at } = step;
    const kept = JSON.stringify([...history, step].slice(-longest));
    const row = { ...more, status, at, version: version + 1, history: kept };
    return update(table, row, { id, version }, { rows: 1 });
  }

  function died(known: KeptDeadLetter | undefined, { id, topic, type, reason, event }: DeadLetter): Write {
    const json = JSON.stringify(event) ?? "null";
    const step: DeadLetterStep = { status: "dead", at: now(), ...(reason ? { reason } : {}) };
    if (known) return stepped(known, step, { reason, event: json });
    const history = JSON.stringify([step]);
    return insert(table, { id, topic, type, reason, event: json, at: step.at, history });
  }

  return {
    get,

    async put(letter) {
      for (;;) {
        const known = await get(letter.id);
        if (known?.status === "dead" && (known.reason !== "" || letter.reason === "")) return;
        try {
          return await engine.transact(compile(died(known, letter), dialect));
        } catch (error) {
          if (!(error instanceof Conflict)) throw error;
        }
      }
    },

    async list({ status, topic, type, before, after, limit = 100 } = {}) {
      const conditions: string[] = [];
      const params: (string | number)[] = [];
      const only = (condition: string, ...values: (string | number)[]) => {
        conditions.push(condition);
        params.push(...values);
      };
      if (status) only(`status in (${status.map(() => "?").join(", ")})`, ...status);
      if (topic !== undefined) only("topic = ?", topic);
      if (type !== undefined) only("type = ?", type);
      if (before !== undefined) only("at < ?", before);
      if (after) only("(at, id) < (?, ?)", after.at, after.id);
      const where = conditions.length > 0 ? `where ${conditions.join(" and ")}` : "";
      const text = `select * from outbox_dead_letters ${where} order by at desc, id desc limit ?`;
      return (await engine.all(own(text, dialect), [...params, limit])).map(letterOf);
    },

    step: (letter, step) => ({ writes: [stepped(letter, { ...step, at: now() })] }),

    async count() {
      const [row] = await engine.all(dead, []);
      return Number(row?.dead);
    },
  };
}

const letterOf = (row: Cells): KeptDeadLetter => ({
  id: row.id as string,
  topic: row.topic as string,
  type: row.type as string,
  reason: row.reason as string,
  event: JSON.parse(row.event as string) as unknown,
  status: row.status as DeadLetterStatus,
  at: Number(row.at),
  version: Number(row.version),
  history: JSON.parse(row.history as string) as DeadLetterStep[],
});
