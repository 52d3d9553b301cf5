/** Where an example takes a value from: what another operation has answered. */
export interface From {
  /** Method and public path: `POST /api/orders`. */
  operation: string;
  /** A JSON Pointer (RFC 6901) into the body of its answer. */
  at?: string;
  /** A header of its answer. */
  header?: string;
}

/** How an operation is called, so that it works when it is copied. */
export interface Example {
  /** The body. Text stands for itself, anything else for JSON. */
  body?: unknown;
  /** Parameters by name: a value, or where one comes from (and what it looks like). */
  parameters?: Record<string, string | (From & { like: string })>;
  /** What it answers. */
  answer?: unknown;
}

/** Examples by method and path as in the service's own document: `GET /orders/{id}`. */
export type Examples = Record<string, Example>;

interface Described {
  parameters?: { name: string; in: string }[];
  requestBody?: { content?: Record<string, object> };
  responses?: Record<string, { content?: Record<string, object> }>;
}

/**
 * The operation with its example in it.
 * @throws {Error} when the example is of something that the operation does not take
 */
export function exemplified<O extends Described>(name: string, operation: O, example: Example): O {
  const { body, parameters = {}, answer } = example;
  const given = operation.parameters ?? [];
  const strange = Object.keys(parameters).find((one) => given.every((parameter) => parameter.name !== one));
  if (strange !== undefined)
    throw new Error(`the example of ${name} names ${strange}, which it does not take`);
  if (body !== undefined && !operation.requestBody)
    throw new Error(`the example of ${name} has a body, which it does not take`);

  const shown = given.map((parameter) => {
    const value = parameters[parameter.name];
    if (value === undefined) return parameter;
    if (typeof value === "string") return { ...parameter, example: value };
    const { like, ...from } = value;
    return { ...parameter, example: like, "x-from": from };
  });
  return {
    ...operation,
    // What is called with nothing at all has an example, too.
    "x-example": true,
    ...(given.length > 0 ? { parameters: shown } : {}),
    ...(operation.requestBody && body !== undefined
      ? { requestBody: withExample(operation.requestBody, body) }
      : {}),
    ...(answer === undefined ? {} : { responses: answered(operation.responses ?? {}, answer) }),
  };
}

function answered(responses: NonNullable<Described["responses"]>, answer: unknown) {
  const success = Object.keys(responses).find((status) => status.startsWith("2"));
  return Object.fromEntries(
    Object.entries(responses).map(([status, response]) => [
      status,
      status === success ? withExample(response, answer) : response,
    ]),
  );
}

const withExample = <T extends { content?: Record<string, object> }>(holder: T, example: unknown): T => ({
  ...holder,
  content: Object.fromEntries(
    Object.entries(holder.content ?? {}).map(([media, described]) => [media, { ...described, example }]),
  ),
});
