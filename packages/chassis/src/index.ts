export { allow, leftTo, type Ownership, open, owned, type Reach } from "./access.ts";
export { type Caller, guest } from "./auth.ts";
export { body, fieldErrors, invalid, parsed, query } from "./body.ts";
export { callService, isFrom, notFrom } from "./calls.ts";
export { type Config, integer } from "./config.ts";
export type { CronHandler, Tick } from "./crons.ts";
export { problems, says } from "./describe.ts";
export { emit } from "./emit.ts";
export { cacheable, etag, isCurrent, requireMatch } from "./etag.ts";
export type { Example, Examples } from "./examples.ts";
export { type Flag, flag } from "./flag.ts";
export { type Following, follow, type Progress } from "./follow.ts";
export { idempotent, idempotentStream } from "./idempotency.ts";
export { UnknownKey } from "./keyring.ts";
export type { Env, Kit } from "./kit.ts";
export type { Log } from "./log.ts";
export { type Batch, type NdjsonOptions, ndjson } from "./ndjson.ts";
export { cursorOf, isPlace, type Page, type Place, page, readWindow, type Window } from "./page.ts";
export {
  accepted,
  type FieldError,
  notFound,
  Problem,
  problemResponse,
  Rejected,
  type Rejection,
  toProblem,
} from "./problem.ts";
export { type Dropped, drop, formerly, type Reaction, type Received, react, TooEarly } from "./reactions.ts";
export { type SealedRows, sealedRows } from "./resealing.ts";
export { type Sealed, sealedWith, Tampered } from "./sealed.ts";
export {
  type Commit,
  type Due,
  defineStore,
  type JobHandler,
  type Measures,
  router,
  type Service,
  type StoreOf,
  service,
} from "./service.ts";
export { openShared, readSecret, sealShared, secretOf } from "./shared.ts";
export { line, lines } from "./text.ts";
export { traceId } from "./trace.ts";
export { type Outcome, transact, untilCommitted } from "./transact.ts";
export { turns } from "./turns.ts";
