import type { Examples } from "chassis";

/** How each operation is called, so that it works when it is copied. */
export const examples: Examples = {
  "GET /": {},
  "GET /health": {},
  "GET /ready": {},
  "GET /metrics": {},
  "GET /openapi.json": {},
  "GET /asyncapi.json": {},
  "GET /docs": {},
  "GET /docs/events": {},
  "GET /session": {},
  "GET /session/sign-in": {},
  "POST /session/sign-out": {},
  "GET /api/dead-letters": {},
  "POST /api/dead-letters/replay": { body: { topic: "orders" } },
};
