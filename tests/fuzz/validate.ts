import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import formats from "ajv-formats";
import type { Schema } from "./contract.ts";

// Annotations of ours and of OpenAPI are no keywords of JSON Schema; patterns are read with the flag u, as it says.
const ajv = new Ajv2020({ strict: false, allErrors: false, unicodeRegExp: true });
formats.default(ajv);

const compiled = new WeakMap<Schema, ValidateFunction>();

function validatorOf(schema: Schema): ValidateFunction {
  const known = compiled.get(schema);
  if (known) return known;
  // Events name draft 7, whose keywords that we use mean the same in 2020-12.
  const { $schema: _, ...plain } = schema as Schema & { $schema?: string };
  const made = ajv.compile(plain);
  compiled.set(schema, made);
  return made;
}

/** What does not fit, in words; `undefined` when all does. */
export function misfit(schema: Schema, value: unknown): string | undefined {
  const validate = validatorOf(schema);
  return validate(value) ? undefined : ajv.errorsText(validate.errors, { dataVar: "" });
}

/** A predicate of values that fit. */
export const conforms =
  (schema: Schema) =>
  (value: unknown): boolean =>
    misfit(schema, value) === undefined;
