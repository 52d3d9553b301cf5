export type {
  DeadLetter,
  DeadLetterFilter,
  DeadLetterStatus,
  DeadLetterStep,
  DeadLetters,
  KeptDeadLetter,
} from "./dead-letters.ts";
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
export { type RestoreOptions, restored } from "./restored.ts";
export { type Dialect, type DialectName, outboxTables, type Schema, schema, type Tables } from "./schema.ts";
export { openSqlite } from "./sqlite.ts";
export { type StorageReason, StorageUnavailable } from "./storage.ts";
export { uuidv7 } from "./uuid.ts";
export { steady } from "./waiting.ts";
export type { DueJob, Handlers, WorkOptions } from "./work.ts";
export { Conflict, insert, remove, update, upsert, type Where, type Write } from "./writes.ts";
