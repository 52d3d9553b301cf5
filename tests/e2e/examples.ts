import type { TestShop } from "./shop.ts";

/** An operation of `/openapi.json`, with what it refers to in its place. */
export interface Operation {
  method: string;
  path: string;
  operationId: string;
  parameters: { name: string; in: string; example?: string }[];
  media?: string;
  body?: unknown;
  responses: Record<string, Answer>;
  /** It says how it is called. */
  hasExample: boolean;
  /** A token is of use. */
  secured: boolean;
}

interface Answer {
  content?: Record<string, { schema?: object; example?: unknown }>;
  headers?: Record<string, unknown>;
  links?: Record<string, { operationId: string; parameters: Record<string, string> }>;
}

type Raw = Record<string, Record<string, Record<string, unknown>>>;

/** All operations of a document. */
export function operationsOf(document: { paths: object }): Operation[] {
  const paths = written(document.paths, document) as Raw;
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, one]): Operation => {
      const content = (one.requestBody as { content?: Record<string, { example?: unknown }> })?.content ?? {};
      const [media, taken] = Object.entries(content)[0] ?? [];
      return {
        method: method.toUpperCase(),
        path,
        operationId: one.operationId as string,
        parameters: (one.parameters as Operation["parameters"]) ?? [],
        ...(media === undefined ? {} : { media, body: taken?.example }),
        responses: one.responses as Operation["responses"],
        hasExample: one["x-example"] === true,
        secured: Array.isArray(one.security) && one.security.some((need) => Object.keys(need).length > 0),
      };
    }),
  );
}

function written(value: unknown, whole: unknown): unknown {
  if (Array.isArray(value)) return value.map((one) => written(one, whole));
  if (typeof value !== "object" || value === null) return value;
  if ("$ref" in value && typeof value.$ref === "string") {
    const place = value.$ref.slice(2).split("/");
    return written(
      place.reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], whole),
      whole,
    );
  }
  return Object.fromEntries(
    Object.entries(value).map(([key, one]) => [key, key === "example" ? one : written(one, whole)]),
  );
}

/** What is made, then read, then changed, then ended; among alike what gives a value before what takes it. */
export function inOrder(operations: Operation[]): Operation[] {
  const rank = ({ method, path }: Operation): number => {
    if (method === "DELETE" || /\/(cancel|sign-out|revocation)$/.test(path)) return 5;
    if (method === "POST") return path.includes("{") ? 4 : 0;
    return { GET: 1, PUT: 2, PATCH: 3 }[method] ?? 4;
  };
  const givers = new Map<string, Set<string>>();
  for (const giver of operations)
    for (const { operationId } of linksOf(giver)) {
      const some = givers.get(operationId) ?? new Set();
      givers.set(operationId, some.add(giver.operationId));
    }
  const left = [...operations].sort((a, b) => rank(a) - rank(b));
  const done: Operation[] = [];
  while (left.length > 0) {
    const ready = left.findIndex(({ operationId }) =>
      [...(givers.get(operationId) ?? [])].every((one) => done.some((before) => before.operationId === one)),
    );
    if (ready < 0) throw new Error(`these wait for each other: ${left.map((one) => one.operationId)}`);
    done.push(...left.splice(ready, 1));
  }
  return done;
}

const linksOf = ({ responses }: Operation) =>
  Object.values(responses).flatMap(({ links = {} }) => Object.values(links));

/** What came back for an example. */
export interface Called {
  status: number;
  headers: Headers;
  text: string;
}

/** Calls operations by their examples, one after the other; what one gives, those that it links to take. */
export class Caller {
  /** By operation, then parameter. */
  readonly #given = new Map<string, Record<string, string>>();

  constructor(
    private readonly it: TestShop,
    private readonly token: string,
    /** What an example leaves open, because no two installations have the same. */
    private readonly filled: (text: string) => string,
  ) {}

  async call(operation: Operation): Promise<Called> {
    const given = this.#given.get(operation.operationId) ?? {};
    let { path } = operation;
    const query = new URLSearchParams();
    const headers: Record<string, string> = operation.secured
      ? { authorization: `Bearer ${this.token}` }
      : {};
    for (const { name, in: where, example } of operation.parameters) {
      const value = given[name] ?? example;
      if (value === undefined) continue;
      if (where === "path") path = path.replace(`{${name}}`, encodeURIComponent(value));
      if (where === "query") query.set(name, value);
      if (where === "header") headers[name] = value;
    }
    const { body, media } = operation;
    if (media !== undefined && body !== undefined) headers["content-type"] = media;
    const response = await fetch(`${this.it.shop.url}${path}${query.size > 0 ? `?${query}` : ""}`, {
      method: operation.method,
      headers,
      redirect: "manual",
      ...(body === undefined
        ? {}
        : { body: typeof body === "string" ? this.filled(body) : JSON.stringify(body) }),
    });
    const called = { status: response.status, headers: response.headers, text: await read(response) };
    if (response.ok) this.#give(operation, called);
    return called;
  }

  #give({ responses }: Operation, { status, headers, text }: Called): void {
    for (const { operationId, parameters } of Object.values(responses[status]?.links ?? {})) {
      const values = Object.entries(parameters).map(([name, expression]) => [
        name,
        found(expression, headers, text),
      ]);
      this.#given.set(operationId, { ...this.#given.get(operationId), ...Object.fromEntries(values) });
    }
  }
}

/** A runtime expression of OpenAPI (section 4.8.20.3): `$response.body#/id`, `$response.header.etag`. */
function found(expression: string, headers: Headers, text: string): string {
  const header = /^\$response\.header\.(.+)$/.exec(expression)?.[1];
  const pointer = /^\$response\.body#(.*)$/.exec(expression)?.[1];
  const value =
    header === undefined
      ? pointer
          ?.split("/")
          .slice(1)
          .reduce<unknown>((at, key) => (at as Record<string, unknown>)?.[key], JSON.parse(text))
      : headers.get(header);
  if (typeof value !== "string") throw new Error(`${expression} gives nothing`);
  return value;
}

/** An answer's text; of one that goes on for as long as somebody listens, the first message. */
async function read(response: Response): Promise<string> {
  if (!response.headers.get("content-type")?.startsWith("text/event-stream")) return response.text();
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? new ReadableStream<Uint8Array>()) {
    text += decoder.decode(chunk, { stream: true });
    if (/^data: .*\n\n/m.test(text)) break;
  }
  return /^data: (.*)$/m.exec(text)?.[1] ?? "";
}
