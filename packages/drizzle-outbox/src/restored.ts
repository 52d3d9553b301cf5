import { own } from "./compile.ts";
import { type Db, engineOf, type Op } from "./engine.ts";
import type { Job } from "./outbox.ts";
import { slotOf } from "./schema.ts";

export interface RestoreOptions {
  /** When the backup was taken, in ms since 1970. */
  takenAt: number;
  /** Now, in ms since 1970. */
  now?: number;
  /** Work to be done first of all; committed with the rest. */
  jobs?: Job[];
}

/**
 * Prepares a database that came out of a backup. To be called once, after `migrate`, before anything else uses it.
 *
 * What the broker held at the time of the backup is not in it. So events that were sent, as far as they were
 * retained, are to be sent again: whoever has handled them knows it from its inbox. And the time in between did not
 * happen: what is remembered is as old as it was then, and a deadline is as far away.
 * @returns how many events will be sent again
 */
export async function restored(
  db: Db,
  { takenAt, now = Date.now(), jobs = [] }: RestoreOptions,
): Promise<{ resent: number }> {
  const engine = engineOf(db);
  const { dialect } = engine;
  const gap = Math.max(0, Math.round(now - takenAt));
  let resent = 0;
  const op = (text: string, params: Op["params"], after?: Op["after"]): Op => ({
    text: own(text, dialect),
    params,
    after,
  });
  const columns = "seq, id, topic, type, key, data, time, headers";
  const again =
    dialect === "sqlite"
      ? op(
          `insert into outbox_events (${columns}, at) select ${columns}, ? from outbox_sent`,
          [now],
          ({ count }) => {
            resent = count;
          },
        )
      : op(
          `insert into outbox_events (${columns}, at, slot)
             select ${columns}, ?::bigint, slot from outbox_sent
             join json_to_recordset(?::json) as slots (seq bigint, slot bigint) using (seq)`,
          [
            now,
            JSON.stringify(
              (await engine.all("select seq, key from outbox_sent", [])).map(({ seq, key }) => ({
                seq: Number(seq),
                slot: slotOf(key as string),
              })),
            ),
          ],
          ({ count }) => {
            resent = count;
          },
        );
  // A job that was under way is due again: whoever had it is gone.
  const least = dialect === "sqlite" ? "min" : "least";
  await engine.transact([
    again,
    op("delete from outbox_sent", []),
    op("update outbox_inbox set at = at + ?", [gap]),
    op("update outbox_dead_letters set at = at + ?", [gap]),
    op(
      `update outbox_jobs set at = at + ?, scheduled = scheduled + ?, token = null,
         next = case when token is null then next + ? else ${least}(next + ?, ?) end`,
      [gap, gap, gap, gap, Math.round(now)],
    ),
    ...jobs.map(({ kind, key, at, data }) =>
      op(
        "insert into outbox_jobs (kind, key, at, data, attempt, next, token) values (?, ?, ?, ?, 0, ?, null)",
        [kind, key, Math.ceil(at), JSON.stringify(data) ?? null, Math.ceil(at)],
      ),
    ),
  ]);
  return { resent };
}
