export type { DeadLetter, DeadLetters } from "./dead-letters.ts";
export type { Db } from "./engine.ts";
export { migrate } from "./migrate.ts";
export {
  type CancelJob,
  type Change,
  type Job,
  type NewEvent,
  type Outbox,
  type OutboxOptions,
  outbox,
  type Running,
  type SendResult,
  type StoredEvent,
} from "./outbox.ts";
export { openPostgres } from "./postgres.ts";
export { type Dialect, type DialectName, outboxTables, type Schema, schema, type Tables } from "./schema.ts";
export { openSqlite } from "./sqlite.ts";
export type { DueJob, Handlers, WorkOptions } from "./work.ts";
export { Conflict, insert, remove, update, upsert, type Where, type Write } from "./writes.ts";
