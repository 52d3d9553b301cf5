import type { StandardSchemaV1 } from "@standard-schema/spec";
import { validator } from "hono-openapi";
import { type FieldError, Problem } from "./problem.ts";

type Issues = readonly StandardSchemaV1.Issue[];

/**
 * Parses a JSON body by a schema (any Standard Schema) and describes it in the service's OpenAPI document.
 * Nothing at all is as good as `{}`, for a schema that demands nothing.
 * @param media what the document calls it; any JSON is taken
 * @throws {Problem} 400 with a pointer for each invalid place, 415 for another media type
 */
export const body = <S extends StandardSchemaV1>(schema: S, media = "application/json") =>
  validator(
    "json",
    schema,
    async (result, c) => {
      // The validator reads any other media type as {}, which a schema without required fields would accept.
      if (!/^application\/([\w.-]+\+)?json *(;|$)/i.test(c.req.header("content-type") ?? "")) {
        // What was sent without a body comes through sidecars with an empty one, of a type that nobody named.
        if (result.success && (await c.req.text()) === "") return;
        throw new Problem(415, { code: "unsupported-media-type", detail: "Send application/json" });
      }
      if (!result.success) throw invalid("invalid-body", "The body is not as it should be", result.error);
      if (Array.isArray(result.data) && !(await staysArray(schema, result.data))) {
        throw invalid("invalid-body", "The body is not as it should be", [{ message: "must be an object" }]);
      }
    },
    { media },
  );

/** Valibot takes an array for an object, where nothing of the object is required. */
async function staysArray(schema: StandardSchemaV1, value: unknown): Promise<boolean> {
  const parsed = await schema["~standard"].validate(value);
  return !parsed.issues && Array.isArray(parsed.value);
}

/**
 * Parses the query by a schema and describes it in the service's OpenAPI document.
 * @throws {Problem} 400 with a pointer for each invalid parameter
 */
export const query = <S extends StandardSchemaV1>(schema: S) =>
  validator("query", schema, (result) => {
    if (!result.success) throw invalid("invalid-query", "The query is not as it should be", result.error);
  });

/**
 * Parses a value that is no body or query by itself, such as a resource after a patch.
 * @param detail what is said when it does not fit
 * @throws {Problem} 400 with a pointer for each invalid place
 */
export function parsed<S extends StandardSchemaV1>(
  schema: S,
  value: unknown,
  detail: string,
): StandardSchemaV1.InferOutput<S> {
  const result = schema["~standard"].validate(value);
  if (result instanceof Promise) throw new TypeError("The schema must be synchronous");
  if (result.issues) throw invalid("invalid-body", detail, result.issues);
  return result.value;
}

/** The Problem for a value that a schema refused. */
export function invalid(code: string, detail: string, issues: Issues): Problem {
  return new Problem(400, { code, detail, errors: fieldErrors(issues) });
}

/** A schema's issues as JSON Pointers (RFC 6901), at most fifty. */
export function fieldErrors(issues: Issues): FieldError[] {
  return issues.slice(0, 50).map(({ path = [], message }) => ({
    pointer: path
      .map((segment) => `/${escapePointer(String(typeof segment === "object" ? segment.key : segment))}`)
      .join(""),
    detail: withoutValue(message),
  }));
}

/** What was sent may be a secret in the wrong place: a problem says where, and what was expected there. */
const withoutValue = (message: string): string => message.replace(/(?::| but)? received .*$/is, "");

const escapePointer = (key: string): string => key.replaceAll("~", "~0").replaceAll("/", "~1");
