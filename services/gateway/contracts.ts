import { event } from "hono-dapr";
import * as v from "valibot";

/** What the gateway reads of others' events: only what names the answers that no longer hold. */

const product = v.object({ sku: v.string() });
export const ProductCreated = event("catalog", "product.created", product);
export const ProductUpdated = event("catalog", "product.updated", product);
export const ProductDeleted = event("catalog", "product.deleted", product);

/** Which dead letters are to be replayed: all, or those of a service, a topic, a type, or from before a time. */
export const DeadLetterReplay = v.strictObject({
  service: v.optional(v.string()),
  topic: v.optional(v.string()),
  type: v.optional(v.string()),
  before: v.optional(v.string()),
});

// ── What it answers itself ──────────────────────────────────────────────────────────────────────────────────

const letterStatus = v.picklist(["dead", "replaying", "resolved", "discarded"]);
const missing = v.array(v.object({ service: v.string(), detail: v.string() }));

/** An event that a service could not handle, as all services keep it. */
export const DeadLetterSummary = v.object({
  id: v.string(),
  service: v.string(),
  topic: v.string(),
  type: v.string(),
  subject: v.optional(v.string()),
  status: letterStatus,
  reason: v.string(),
  since: v.string(),
  replays: v.number(),
  traceId: v.optional(v.string()),
});
export const DeadLetter = v.object({
  ...DeadLetterSummary.entries,
  event: v.unknown(),
  history: v.array(
    v.object({
      status: letterStatus,
      at: v.string(),
      reason: v.optional(v.string()),
      by: v.optional(v.string()),
      note: v.optional(v.string()),
    }),
  ),
});
/** `missing`: services that could not be asked. */
export const DeadLetters = v.object({
  items: v.array(DeadLetterSummary),
  nextCursor: v.nullable(v.string()),
  missing,
});
export const DeadLetterReplays = v.object({
  replayed: v.number(),
  services: v.array(v.object({ service: v.string(), replayed: v.number() })),
  missing,
});
export const DeadLetterNote = v.strictObject({ note: v.string() });

/** Who is signed in, in a browser; `csrf` goes into `X-Souk-Csrf` of what changes something. */
export const SessionView = v.object({
  signedIn: v.boolean(),
  name: v.optional(v.string()),
  scopes: v.optional(v.array(v.string())),
  csrf: v.optional(v.string()),
});
export const SignedOut = v.object({ signedIn: v.literal(false), continueAt: v.optional(v.string()) });

/** Nothing is published. */
export const publishes = [];
