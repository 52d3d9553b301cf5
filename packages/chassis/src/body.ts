import type { StandardSchemaV1 } from "@standard-schema/spec";
import { validator } from "hono-openapi";
import { type FieldError, Problem } from "./problem.ts";

type Issues = readonly StandardSchemaV1.Issue[];

/**
 * Parses a JSON body by a schema (any Standard Schema) and describes it in the service's OpenAPI document.
 * @throws {Problem} 400 with a pointer for each invalid place
 */
export const body = <S extends StandardSchemaV1>(schema: S) =>
  validator("json", schema, (result) => {
    if (!result.success) throw invalid("invalid-body", "The body is not as it should be", result.error);
  });

/**
 * Parses the query by a schema and describes it in the service's OpenAPI document.
 * @throws {Problem} 400 with a pointer for each invalid parameter
 */
export const query = <S extends StandardSchemaV1>(schema: S) =>
  validator("query", schema, (result) => {
    if (!result.success) throw invalid("invalid-query", "The query is not as it should be", result.error);
  });

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
    detail: message,
  }));
}

const escapePointer = (key: string): string => key.replaceAll("~", "~0").replaceAll("/", "~1");
