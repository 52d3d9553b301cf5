import { own } from "./compile.ts";
import type { Context, Source } from "./engine.ts";
import { fault } from "./faults.ts";
import type { StoredEvent } from "./outbox.ts";
import type { PostgresEngine } from "./postgres.ts";
import { slots } from "./schema.ts";
import { storedEvent } from "./sqlite-source.ts";

// Why not FOR UPDATE SKIP LOCKED on the rows: a replica that skips the locked first row of a key would send the
// second one before it. So what is locked is the key, by its slot, for as long as the transaction lives that reads,
// sends and deletes; a replica that dies loses the lock with its connection. Rows are found because they are there,
// not by a position reached, so one that commits late, with a number lower than others sent, is not passed over.

/** A new statement must read after the locks are held: the one that takes them still sees what another has just sent. */
const take = `with waiting as materialized (
    select slot from generate_series(0, ${slots - 1}) as slot
    where exists (select 1 from outbox_events as event where event.slot = slot.slot)
  )
  select slot, pg_try_advisory_xact_lock(('outbox_events'::regclass::oid::bigint << 8) + slot) as mine from waiting`;

const read = own(
  `select * from (
     select *, row_number() over (partition by key order by seq) as place from (
       select * from outbox_events
       where slot = any (array(select json_array_elements_text(?::json)::bigint))
         and key <> all (array(select json_array_elements_text(?::json)))
       order by seq limit 1000
     ) as page
   ) as page where place = 1 order by seq limit ?`,
  "postgres",
);

const removeSent = own(
  "delete from outbox_events where seq = any (array(select json_array_elements_text(?::json)::bigint))",
  "postgres",
);

const moveSent = own(
  `with sent as (
     delete from outbox_events where seq = any (array(select json_array_elements_text(?::json)::bigint)) returning *
   )
   insert into outbox_sent (seq, id, topic, type, key, data, time, headers, at)
     select seq, id, topic, type, key, data, time, headers, ?::bigint from sent`,
  "postgres",
);

export class PostgresSource implements Source {
  readonly #engine: PostgresEngine;
  readonly #context: Context;

  constructor(engine: PostgresEngine, context: Context) {
    this.#engine = engine;
    this.#context = context;
  }

  committed(): void {} // Others may be sending the same key: the table is asked.

  async round(limit: number, held: string[], deliver: (events: StoredEvent[]) => Promise<number[]>) {
    let tried = 0;
    let busy = false;
    await this.#engine.transaction(async (client) => {
      const mine: number[] = [];
      for (const row of (await this.#engine.run(client, take, [])).rows) {
        if (row.mine) mine.push(Number(row.slot));
        else busy = true;
      }
      if (mine.length === 0) return;
      const { rows } = await this.#engine.run(client, read, [
        JSON.stringify(mine),
        JSON.stringify(held),
        limit,
      ]);
      if (rows.length === 0) return;
      tried = rows.length;
      const sent = await deliver(rows.map(storedEvent));
      const numbers = JSON.stringify(sent);
      if (this.#context.retainSent) await this.#engine.run(client, moveSent, [numbers, this.#context.now()]);
      else await this.#engine.run(client, removeSent, [numbers]);
      fault("relay: before mark");
    });
    if (tried > 0) fault("relay: after mark");
    return { tried, busy };
  }

  async last(): Promise<number> {
    const [row] = await this.#engine.all("select coalesce(max(seq), 0) as last from outbox_events", []);
    return Number(row?.last);
  }

  async settled(upTo: number): Promise<boolean> {
    const rows = await this.#engine.all("select 1 as one from outbox_events where seq <= $1 limit 1", [upTo]);
    return rows.length === 0;
  }

  sentNotRemoved(): number {
    return 0;
  }

  close(): void {}
}
