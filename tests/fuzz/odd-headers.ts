import fc from "fast-check";
import { hostileText } from "./values.ts";

/** Headers that are legal HTTP and nobody expects. */
export const oddHeader: fc.Arbitrary<[string, string]> = fc.oneof(
  fc.tuple(
    fc.constantFrom(
      "traceparent",
      "tracestate",
      "order-key",
      "authorization",
      "if-match",
      "if-none-match",
      "idempotency-key",
      "accept",
      "accept-encoding",
      "x-forwarded-prefix",
      "x-forwarded-for",
      "content-language",
      "cookie",
      "origin",
      "range",
      "expect",
      "prefer",
      "dapr-app-id",
      "x-http-method-override",
    ),
    fc.constantFrom(
      "",
      "*",
      "*/*;q=x",
      "00-00000000000000000000000000000000-0000000000000000-00",
      `00-${"a".repeat(32)}-${"b".repeat(16)}-01-x`,
      `00-${"A".repeat(32)}-${"b".repeat(16)}-01`,
      "Bearer",
      "Bearer x",
      "Bearer a.b.c",
      "Basic Og==",
      "Basic ZGFwci1hcHAtaWQ6eA==",
      "bytes=0-1",
      "gzip, br;q=0",
      "100-continue",
      "null",
      "/api/%0d%0aX: y",
      "\u00e9\u00ff",
      "x".repeat(4_000),
      "DELETE",
    ),
  ),
  fc.tuple(
    fc.constantFrom("traceparent", "order-key", "if-match", "accept-language", "x-forwarded-prefix"),
    hostileText.map((text) =>
      Buffer.from(text)
        .toString("latin1")
        .replace(/\p{Cc}/gu, " ")
        .slice(0, 8_000),
    ),
  ),
);
