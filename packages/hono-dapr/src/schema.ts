/**
 * The part of the Standard Schema interface (https://standardschema.dev, version 1) that is needed here, so that
 * Valibot, Zod, ArkType and others fit without a dependency on any.
 */
export interface StandardSchemaV1<Input = unknown, Output = Input> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

export interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

export type InferInput<S extends StandardSchemaV1> = NonNullable<S["~standard"]["types"]>["input"];
export type InferOutput<S extends StandardSchemaV1> = NonNullable<S["~standard"]["types"]>["output"];

/**
 * One line that says what is wrong and where, as `lines.0.quantity: Invalid type`. It goes into logs and dead letters,
 * so it shows no text that came: that may be personal, or a secret in the wrong place.
 */
export function describeIssues(issues: readonly SchemaIssue[]): string {
  return issues
    .map(({ message, path }) => {
      const at = path?.map((part) => String(typeof part === "object" ? part.key : part)).join(".");
      const wrong = message.replace(/received ".*"$/s, "received a text");
      return at ? `${at}: ${wrong}` : wrong;
    })
    .join("; ");
}
