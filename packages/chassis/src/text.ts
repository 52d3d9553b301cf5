import * as v from "valibot";

/**
 * Text of one line: 1 to `max` characters (code points, as JSON Schema counts them), trimmed; no control
 * characters, no halves of surrogate pairs, which not every database stores.
 */
export const line = (max: number) =>
  v.pipe(
    v.string(),
    v.trim(),
    v.regex(
      new RegExp(`^[^\\p{Cc}\\p{Cs}\\p{Zl}\\p{Zp}]{1,${max}}$`, "u"),
      `1 to ${max} characters, no control characters`,
    ),
  );

/** As {@link line}, with line breaks and tabs. */
export const lines = (max: number) =>
  v.pipe(
    v.string(),
    v.trim(),
    v.regex(
      new RegExp(`^(?:[^\\p{Cc}\\p{Cs}]|[\\t\\n\\r]){1,${max}}$`, "u"),
      `1 to ${max} characters, no control characters`,
    ),
  );
