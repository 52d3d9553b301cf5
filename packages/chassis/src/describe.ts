import type { StandardSchemaV1 } from "@standard-schema/spec";
import { type DescribeRouteOptions, describeRoute, resolver } from "hono-openapi";
import { STATUS_CODES } from "./status.ts";

/** A body that is not JSON, by media type; `null` where no schema can say what it is. */
type Media = { [type: `${string}/${string}`]: StandardSchemaV1 | null };
/** `never` for 304: what is read has no version to ask for. */
type Answers = Record<number, StandardSchemaV1 | Media | "problem" | "never" | null>;

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
 * @param answers a schema for each status with a body (or one a media type), `null` for one without; see
 * {@link problems} for refusals
 * @param takes the body, by media type, where `body` does not describe it
 * @param headers what it reads besides what every route does: name and meaning
 */
export function says(
  summary: string,
  answers: Answers,
  takes?: Record<string, StandardSchemaV1>,
  headers: Record<string, string> = {},
) {
  const parameters = Object.entries(headers).map(([name, description]) => ({
    name,
    in: "header" as const,
    required: false,
    description,
    schema: { type: "string" as const },
  }));
  const content = Object.entries(takes ?? {}).map(([media, schema]) => [media, { schema: resolver(schema) }]);
  return describeRoute({
    summary,
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(answers[304] === "never" ? { "x-unversioned": true } : {}),
    ...(takes ? { requestBody: { required: true, content: Object.fromEntries(content) } } : {}),
    responses: Object.fromEntries(
      Object.entries(answers).flatMap(([status, schema]): [string, Described][] =>
        schema === "never" ? [] : [[status, response(Number(status), schema)]],
      ),
    ),
  });
}

/** The refusals of a route, each as problem+json (RFC 9457). */
export const problems = (...statuses: number[]): Answers =>
  Object.fromEntries(statuses.map((status) => [status, "problem"]));

type Described = NonNullable<DescribeRouteOptions["responses"]>[string];

const isSchema = (value: StandardSchemaV1 | Media): value is StandardSchemaV1 => "~standard" in value;

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
export function response(status: number, schema: Exclude<Answers[number], "never"> | undefined): Described {
  const description = STATUS_CODES[status] ?? "OK";
  if (schema === null || schema === undefined) return { description };
  if (schema === "problem") {
    const headers = problemHeaders[status];
    return {
      description,
      ...(headers ? { headers } : {}),
      content: { "application/problem+json": { schema: problemSchema } },
    };
  }
  const media: Media = isSchema(schema) ? { "application/json": schema } : schema;
  const content = Object.entries(media).map(([type, one]) => [
    type,
    one === null ? {} : { schema: resolver(one) },
  ]);
  return { description, content: Object.fromEntries(content) };
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
