import * as v from "valibot";

/** A flag or limit that may be set while the service runs: its name, what fits, and what holds where nothing is set. */
export interface Flag<T = unknown> {
  /** In the configuration store, where services share names: `checkout.paused`. */
  key: string;
  /** What it does, for whoever sets it. */
  says: string;
  schema: v.GenericSchema<unknown, T>;
  default: T;
  /** Reads it from the text that a configuration store holds. */
  read(text: string): { value: T; refused?: undefined } | { refused: string };
}

/**
 * Declares a flag. A store holds texts: a schema of texts is given them as they are, any other reads JSON (`20`, `true`).
 *
 * @example
 * export const Paused = flag("checkout.paused", v.string(), { default: "", says: "Why no orders are taken" });
 */
export function flag<S extends v.GenericSchema>(
  key: string,
  schema: S,
  { default: fallback, says }: { default: v.InferOutput<S>; says: string },
): Flag<v.InferOutput<S>> {
  const anything = schema as v.GenericSchema<unknown, v.InferOutput<S>>;
  return {
    key,
    says,
    schema: anything,
    default: fallback,
    read(text) {
      const asText = v.safeParse(anything, text);
      if (asText.success) return { value: asText.output };
      const asJson = v.safeParse(v.pipe(v.string(), v.parseJson(), anything), text);
      if (asJson.success) return { value: asJson.output };
      // What a text lacks says more than that it is no JSON.
      const { issues } = v.is(v.pipe(v.string(), v.parseJson()), text) ? asJson : asText;
      return { refused: issues.map(({ message }) => message).join("; ") };
    },
  };
}
