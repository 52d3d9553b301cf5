import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** A JSON Schema, as far as our contracts use it. */
export interface Schema {
  type?: string;
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: boolean | Schema;
  items?: Schema;
  anyOf?: Schema[];
  oneOf?: Schema[];
  enum?: unknown[];
  const?: unknown;
  pattern?: string;
  format?: string;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
  minimum?: number;
  maximum?: number;
}

/** One method of one path, as a service's OpenAPI document describes it. */
export interface Operation {
  service: string;
  method: string;
  /** As in the document: `/orders/{id}`. */
  path: string;
  query: { name: string; schema: Schema; required: boolean }[];
  /** Schemas of the body by media type; none when it takes no body. */
  body: Record<string, Schema>;
  /** By status, then by media type; an answer without a body has no media type. */
  answers: Record<number, Record<string, Schema>>;
}

interface Media {
  schema?: Schema;
}
type Components = Record<string, Record<string, unknown>>;
interface Described {
  parameters?: { in: string; name: string; schema?: Schema; required?: boolean }[];
  requestBody?: { content?: Record<string, Media> };
  responses: Record<string, { content?: Record<string, Media> }>;
}

const folder = join(import.meta.dir, "../../services");

/** The services that have a contract. */
export const serviceNames = readdirSync(folder).sort();

const read = <T>(service: string, file: string): T =>
  JSON.parse(readFileSync(join(folder, service, "contract", file), "utf8")) as T;

/** A stream's schema is that of a message, not of the whole. */
const schemas = (content: Record<string, Media> = {}): Record<string, Schema> =>
  Object.fromEntries(
    Object.entries(content).map(([media, { schema }]) => [
      media,
      media === "text/event-stream" ? {} : (schema ?? {}),
    ]),
  );

/** Everything with what it refers to (`#/components/…`) in its place; our schemas do not contain themselves. */
function whole(value: unknown, components: Components): unknown {
  if (Array.isArray(value)) return value.map((one) => whole(one, components));
  if (typeof value !== "object" || value === null) return value;
  const { $ref } = value as { $ref?: string };
  if ($ref === undefined)
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, whole(one, components)]));
  const [, , kind = "", name = ""] = $ref.split("/");
  return whole(components[kind]?.[name], components);
}

/** The operations of a service, from the `contract/openapi.json` that is generated from its code. */
export function operationsOf(service: string): Operation[] {
  const document = read<{ paths: object; components: Components }>(service, "openapi.json");
  const paths = whole(document.paths, document.components) as Record<string, Record<string, Described>>;
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { parameters = [], requestBody, responses }]) => ({
      service,
      method: method.toUpperCase(),
      path,
      query: parameters
        .filter((parameter) => parameter.in === "query")
        .map(({ name, schema = {}, required = false }) => ({ name, schema, required })),
      body: schemas(requestBody?.content),
      answers: Object.fromEntries(
        Object.entries(responses).map(([status, { content }]) => [Number(status), schemas(content)]),
      ),
    })),
  );
}

/** A type of event, as its publisher describes it. */
export interface Published {
  topic: string;
  type: string;
  schema: Schema;
  example: { data: unknown };
}

/** The events of one service, or of all, from `contract/events.json`. */
export const eventsOf = (service: string): Published[] =>
  read<{ events: Published[] }>(service, "events.json").events;
export const allEvents: Published[] = serviceNames.flatMap(eventsOf);

/**
 * The operation that a request falls under; what is literal in a path goes before what is not.
 * @param prefix what stands in front of the contract's paths
 */
export function operationAt(
  operations: Operation[],
  method: string,
  path: string,
  prefix: (path: string) => string = (path) => path,
): Operation | undefined {
  const wanted = method === "HEAD" ? "GET" : method;
  const fitting = operations.filter(
    (operation) => operation.method === wanted && fits(prefix(operation.path), path),
  );
  return fitting.sort((a, b) => a.path.split("{").length - b.path.split("{").length)[0];
}

function fits(pattern: string, path: string): boolean {
  const wanted = pattern.split("/");
  const given = path.split("/");
  return (
    wanted.length === given.length &&
    wanted.every((part, at) => part === given[at] || (part.startsWith("{") && given[at] !== ""))
  );
}
