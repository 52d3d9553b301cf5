import type { Change, DeadLetters, Write } from "drizzle-outbox";
import type { Sidecar } from "hono-dapr";
import type { Reach } from "./access.ts";
import type { Caller } from "./auth.ts";
import type { Config } from "./config.ts";
import type { Flag } from "./flag.ts";
import type { Idempotency } from "./idempotency.ts";
import type { Log } from "./log.ts";
import type { Sealed } from "./sealed.ts";

/** What a service's own code is handed; everything else of the machinery stays behind it. */
export interface Kit<S> {
  store: S;
  sidecar: Sidecar;
  log: Log;
  config: Config;
  /** What a flag or limit is set to right now, or its default; for one that the service declares in its `flags`. */
  flag<T>(flag: Flag<T>): T;
  /** Encrypts fields with the keys of the secret `fields`; for a service that says it `seals`. */
  sealed: Sealed;
  /** As `sealed`, with keys that several services have: the keyring in a secret that the service says it `shares`. */
  shared(secret: string): Sealed;
  /** The write that forgets the answers which somebody was given under an Idempotency-Key. */
  forgetAnswers(owner: string): Write;
  /** Milliseconds since the epoch. The only clock. */
  now(): number;
  /** A new id: safe in URLs, rises with time, and cannot be guessed (74 random bits). The only source of ids. */
  id(): string;
  /** Aborted when the service is to stop: what goes on for as long as somebody listens ends then. */
  closing: AbortSignal;
}

/** How a route commits; not for handlers, who call `transact`. */
export interface Unit {
  commit(change: Change, trace: string): Promise<void>;
  idempotency: Idempotency;
  deadLetters: DeadLetters;
}

/** The variables of a route's context. */
export interface Env<S> {
  Bindings: {
    /** Address of the client's end of the connection; absent in tests. */
    ip?: string;
    /** Keeps the connection open although nothing goes over it for longer than usual; seconds, 0 for as long as it takes. */
    hold?(seconds: number): void;
  };
  Variables: {
    kit: Kit<S>;
    unit: Unit;
    caller: Caller;
    /** What the caller may reach, by what the route says about its callers: nothing, where it says nothing. */
    reach: Reach;
    /** W3C traceparent of the request; events committed under it carry it on. */
    trace: string;
    /** Set by `idempotent` when the request carries an Idempotency-Key. */
    idempotencyKey?: { id: string; request: string; owner?: string };
  };
}
