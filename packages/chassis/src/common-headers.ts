/** The headers that the machinery reads and sets (RFC 9110), as the document names them. */
const text = { type: "string" as const };

const etag = { description: "The version of what is answered", schema: text };
const answerHeaders = {
  ETag: etag,
  "Cache-Control": { description: "Who may keep the answer, and for how long (RFC 9111)", schema: text },
  Location: { description: "Where what was made is found", schema: text },
};

const parameters = {
  IfNoneMatch: {
    name: "If-None-Match",
    in: "header",
    required: false,
    description: "The ETag of the version that you have: 304 if it is still the one",
    schema: text,
  },
  IfMatch: {
    name: "If-Match",
    in: "header",
    required: true,
    description: "The ETag of the version that you have read: 412 when it has changed since, 428 without",
    schema: text,
  },
};

const paging = {
  Limit: {
    in: "query",
    name: "limit",
    required: false,
    description: "How many at most: 1 to 100, 20 where nothing is said",
    schema: text,
  },
  Cursor: {
    in: "query",
    name: "cursor",
    required: false,
    description: "Where to go on: the `nextCursor` of the page before",
    schema: text,
  },
};

interface Operation {
  parameters?: { name: string; in: string }[];
  responses?: Record<string, { content?: Record<string, unknown>; headers?: object }>;
  /** What is read has no version to ask for. */
  "x-unversioned"?: boolean;
}

/**
 * An operation with the headers that come of what it answers: JSON that is read has an ETag and may be asked for with
 * the one that is known; what answers 428 wants `If-Match`; what makes something says where.
 */
export function withHeaders<O extends Operation>(
  { method, path }: { method: string; path: string },
  described: O,
): O {
  const { "x-unversioned": unversioned, ...operation } = described;
  const { responses = {} } = operation;
  const read =
    method === "get" && !unversioned && responses[200]?.content?.["application/json"] !== undefined;
  const guarded = responses[428] !== undefined;
  const headers: Record<string, object> = {
    ...(read
      ? { 200: { ETag: etag, "Cache-Control": answerHeaders["Cache-Control"] }, 304: { ETag: etag } }
      : {}),
    ...(guarded && responses[200] ? { 200: { ETag: etag } } : {}),
    // Below a thing something may be made that has no place of its own.
    ...(responses[201] && !path.includes("{")
      ? { 201: { ETag: etag, Location: answerHeaders.Location } }
      : {}),
  };
  const asked = [...(read ? [parameters.IfNoneMatch] : []), ...(guarded ? [parameters.IfMatch] : [])];
  const whole: Omit<Operation, "parameters"> & { parameters?: object[] } = {
    ...operation,
    ...(operation.parameters || asked.length > 0
      ? { parameters: [...(operation.parameters ?? []).map(paged), ...asked] }
      : {}),
    responses: Object.fromEntries(
      Object.entries(responses)
        .filter(([status]) => status !== "304" || read)
        .map(([status, response]) => [
          status,
          headers[status] ? { ...response, headers: { ...headers[status], ...response.headers } } : response,
        ]),
    ),
  };
  return whole as O;
}

const paged = <P extends { name: string; in: string }>(parameter: P): object =>
  Object.values(paging).find((one) => one.in === parameter.in && one.name === parameter.name) ?? parameter;

/** What many operations have, under the names that a document gives it. */
export const commonComponents = {
  headers: {
    ETag: etag,
    CacheControl: answerHeaders["Cache-Control"],
    Location: answerHeaders.Location,
  },
  parameters: { ...parameters, ...paging },
};
