import { newTraceparent, parseTraceparent } from "hono-dapr";

/** The caller's `traceparent` when it is a valid one (W3C Trace Context), else a new one. */
export const traceOf = (header: string | undefined): string =>
  header !== undefined && parseTraceparent(header) ? header : newTraceparent();

export const traceId = (traceparent: string): string => traceparent.slice(3, 35);
