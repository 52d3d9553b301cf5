import fc from "fast-check";
import type { Schema } from "./contract.ts";
import { conforms } from "./validate.ts";
import { honestText } from "./values.ts";

/** What a field is likely to hold, by its name: real values, so that a request gets past the first check. */
export type Hints = Record<string, fc.Arbitrary<unknown>>;

/**
 * Values that fit a schema: those that a hint names four times in five, anything that the schema allows else.
 * (The generators at hand either cannot shrink or know too little of JSON Schema: see decision 15.)
 */
export function valid(schema: Schema, hints: Hints = {}): fc.Arbitrary<unknown> {
  const { anyOf, oneOf } = schema;
  if ("const" in schema) return fc.constant(schema.const);
  if (schema.enum) return fc.constantFrom(...schema.enum);
  const options = anyOf ?? oneOf;
  if (options) return fc.oneof(...options.map((option) => valid(option, hints)));
  switch (schema.type) {
    case "object":
      return object(schema, hints);
    case "array":
      return array(schema, hints);
    case "string":
      return text(schema);
    case "integer":
    case "number":
      return number(schema);
    case "boolean":
      return fc.boolean();
    case "null":
      return fc.constant(null);
    default:
      return fc.jsonValue({ maxDepth: 1 });
  }
}

function object({ properties = {}, required = [] }: Schema, hints: Hints): fc.Arbitrary<unknown> {
  const fields = Object.entries(properties).map(([name, schema]) => {
    const hint = hints[name];
    const any = valid(schema, hints);
    return [
      name,
      hint ? fc.oneof({ weight: 4, arbitrary: hint }, { weight: 1, arbitrary: any }) : any,
    ] as const;
  });
  return fc.record(Object.fromEntries(fields), { requiredKeys: required });
}

function array({ items = {}, minItems = 0, maxItems = 5 }: Schema, hints: Hints): fc.Arbitrary<unknown> {
  const most = Math.min(maxItems, Math.max(minItems, 5));
  return fc.array(valid(items, hints), { minLength: minItems, maxLength: most });
}

function number({ type, minimum, maximum }: Schema): fc.Arbitrary<number> {
  const min = minimum ?? Number.MIN_SAFE_INTEGER;
  const max = maximum ?? Number.MAX_SAFE_INTEGER;
  const small = { min: Math.max(min, Math.min(0, max)), max: Math.min(max, Math.max(min, 20)) };
  const whole = fc.oneof(
    { weight: 5, arbitrary: fc.integer(small) },
    { weight: 1, arbitrary: fc.bigInt({ min: BigInt(min), max: BigInt(max) }).map(Number) },
    { weight: 1, arbitrary: fc.constantFrom(min, max) },
  );
  return type === "integer" ? whole : fc.oneof(whole, fc.double({ min, max, noNaN: true }));
}

const emails = fc.constantFrom("ada@example.com", "a.b+c@sub.example.co.uk", "x_y-z@example.org", "1@a.io");

function text(schema: Schema): fc.Arbitrary<string> {
  const { pattern, format, minLength = 0, maxLength = Number.MAX_SAFE_INTEGER } = schema;
  if (format === "email") return emails;
  if (format === "date-time")
    return fc
      .date({ noInvalidDate: true, min: new Date(0), max: new Date("9999-12-31") })
      .map((date) => date.toISOString());
  if (format === "uri")
    return fc.webUrl({ validSchemes: ["https"], withQueryParameters: true }).filter(conforms(schema));
  if (pattern !== undefined && /^\^\[[^\]]+\]\{\d+\}\$$/.test(pattern)) {
    return fc.stringMatching(new RegExp(pattern, "u"));
  }
  const longest = honestText.map((some) => [...some.repeat(maxLength)].slice(0, maxLength).join(""));
  const shortest = fc.constant("");
  return (
    fc
      .oneof(
        { weight: 12, arbitrary: honestText },
        ...(maxLength <= 500 ? [{ weight: 1, arbitrary: longest }] : []),
        ...(minLength === 0 ? [{ weight: 1, arbitrary: shortest }] : []),
      )
      // Spaces around a text are taken away before it is judged, which JSON Schema cannot say.
      .map((some) => some.trim())
      .filter(conforms(schema))
  );
}
