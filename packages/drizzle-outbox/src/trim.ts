import { own } from "./compile.ts";
import type { Context } from "./engine.ts";
import type { OutboxOptions, Running } from "./outbox.ts";
import { steady, Waiting } from "./waiting.ts";

const day = 24 * 60 * 60 * 1000;
const every = 60_000;
/** Rows a transaction: small enough not to be noticed by the commits beside it. */
const chunk = 500;

/**
 * Forgets events handled, dead letters that were decided upon, and sent events where they are retained, once they are
 * older than is asked for. Sent events that are not retained are removed by the relay.
 */
export function trim(
  context: Context,
  { inbox = 7 * day, deadLetters = 30 * day, sent = 0 }: NonNullable<OutboxOptions["retain"]>,
): Running {
  const { engine, onError } = context;
  const now = steady(context.now);
  const waiting = new Waiting();
  let stopped = false;

  async function forget(table: string, before: number, only = "true"): Promise<void> {
    const [row, lock] = engine.dialect === "sqlite" ? ["rowid", ""] : ["ctid", " for update skip locked"];
    const old = `select ${row} from ${table} where at < ? and ${only} order by at limit ${chunk}${lock}`;
    const text =
      engine.dialect === "sqlite"
        ? `delete from ${table} where rowid in (${old})`
        : `delete from ${table} where ctid = any (array(${old}))`;
    for (let count: number = chunk; count === chunk && !stopped; ) {
      if (
        (
          await engine.all(
            own(`select 1 as one from ${table} where at < ? and ${only} limit 1`, engine.dialect),
            [before],
          )
        ).length === 0
      )
        return;
      await engine.transact([
        {
          text: own(text, engine.dialect),
          params: [before],
          after(result) {
            count = result.count;
          },
        },
      ]);
    }
  }

  const loop = (async () => {
    // What a broker has held since before the start may come at first: its note must still be there.
    await waiting.rest(Math.min(every, inbox));
    while (!stopped && !engine.closed) {
      try {
        await forget("outbox_inbox", now() - inbox);
        await forget("outbox_dead_letters", now() - deadLetters, "status in ('resolved', 'discarded')");
        await forget("outbox_sent", now() - sent);
      } catch (error) {
        onError(error, {});
      }
      await waiting.rest(every);
    }
  })();

  return {
    async stop() {
      stopped = true;
      waiting.kick();
      await loop;
    },
  };
}
