import type { StandardSchemaV1 } from "@standard-schema/spec";
import { type DescribeRouteOptions, describeRoute, resolver } from "hono-openapi";
import { STATUS_CODES } from "./status.ts";

type Answers = Record<number, StandardSchemaV1 | "problem" | null>;

const problemSchema = {
  type: "object" as const,
  required: ["type", "title", "status", "detail", "code"],
  properties: {
    type: { type: "string" as const },
    title: { type: "string" as const },
    status: { type: "integer" as const },
    detail: { type: "string" as const },
    instance: { type: "string" as const },
    code: { type: "string" as const },
    errors: {
      type: "array" as const,
      items: {
        type: "object" as const,
        properties: { pointer: { type: "string" as const }, detail: { type: "string" as const } },
      },
    },
    traceId: { type: "string" as const },
  },
};

/**
 * What the OpenAPI document says of a route.
 * @param answers a schema for each status with a body, `null` for one without; see {@link problems} for refusals
 * @param takes the body, by media type, where `body` does not describe it
 */
export function says(summary: string, answers: Answers, takes?: Record<string, StandardSchemaV1>) {
  const content = Object.entries(takes ?? {}).map(([media, schema]) => [media, { schema: resolver(schema) }]);
  return describeRoute({
    summary,
    ...(takes ? { requestBody: { required: true, content: Object.fromEntries(content) } } : {}),
    responses: Object.fromEntries(
      Object.entries(answers).map(([status, schema]): [string, Described] => [
        status,
        response(Number(status), schema),
      ]),
    ),
  });
}

/** The refusals of a route, each as problem+json (RFC 9457). */
export const problems = (...statuses: number[]): Answers =>
  Object.fromEntries(statuses.map((status) => [status, "problem"]));

type Described = NonNullable<DescribeRouteOptions["responses"]>[string];

const header = (description: string, type: "string" | "integer" = "string") => ({
  description,
  schema: { type },
});
const retryAfter = { "Retry-After": header("Seconds to wait before asking again", "integer") };
const problemHeaders: Record<number, Record<string, ReturnType<typeof header>>> = {
  401: { "WWW-Authenticate": header("What is wrong with the token, or that one is needed (RFC 6750)") },
  429: retryAfter,
  503: retryAfter,
};

/** How the document describes one answer. */
export function response(status: number, schema: Answers[number] | undefined): Described {
  const description = STATUS_CODES[status] ?? "OK";
  if (schema === null || schema === undefined) return { description };
  const headers = problemHeaders[status];
  return schema === "problem"
    ? {
        description,
        ...(headers ? { headers } : {}),
        content: { "application/problem+json": { schema: problemSchema } },
      }
    : { description, content: { "application/json": { schema: resolver(schema) } } };
}

/** The refusals under the names that a document gives them: `NotFound`. */
export const problemComponents = {
  schemas: { Problem: problemSchema },
  responses: Object.fromEntries(
    Object.entries(STATUS_CODES).map(([status, title]) => [
      title.replaceAll(" ", ""),
      response(Number(status), "problem"),
    ]),
  ),
};
