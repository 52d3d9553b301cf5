import { readdirSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { toOpenAPISchema } from "@standard-community/standard-openapi";
import { toJsonSchema } from "@valibot/to-json-schema";
import { type Context, Hono } from "hono";
import type { EventType, StandardSchemaV1 } from "hono-dapr";
import { generateSpecs } from "hono-openapi";
import type { GenericSchema } from "valibot";
import type { Statement } from "./access.ts";
import { commonComponents, withHeaders } from "./common-headers.ts";
import { type Document, type Named, sharing } from "./components.ts";
import * as deadLetter from "./dead-letter.ts";
import { routesOf } from "./dead-letters.ts";
import { problemComponents, response } from "./describe.ts";
import { type Examples, exemplified } from "./examples.ts";
import { face, facePaths, faceSchemas } from "./face.ts";
import type { Flag } from "./flag.ts";
import type { Env } from "./kit.ts";
import type { Service } from "./service.ts";

// bun packages/chassis/src/contract.ts <service folder…> [--check]
//
// Writes contract/openapi.json and contract/events.json of a service from its routes, its contracts.ts and what it has
// beside that by names like pricing-contracts.ts, and contract/flags.json where it declares flags.
// With --check nothing is written: it fails where the files are stale, and names them.

interface Published {
  type: EventType<unknown, never>;
  example: unknown;
}

/** The contract files of a service, as text by name. */
export async function contractOf(folder: string): Promise<Record<string, string>> {
  const { default: definition } = (await import(join(folder, "service.ts"))) as { default: Service<unknown> };
  const contracts = await contractsOf(folder);
  const { examples = {} } = (await import(join(folder, "examples.ts")).catch(missing)) as {
    examples?: Examples;
  };
  const openapi = await generateSpecs(shownRoutes(definition), {
    // A path that ends in .json is one like any other.
    excludeStaticFile: false,
    documentation: {
      openapi: "3.1.0",
      info: {
        title: definition.name,
        version: "0.1.0",
        description: `The ${definition.name} service of Souk`,
      },
      servers: [{ url: definition.edge ? "/" : "/api" }],
    },
    defaultValidationErrorResponse: false,
  });
  const paths = withExamples(withCommonAnswers(described(openapi.paths), definition), examples);
  const components = { ...openapi.components, securitySchemes: schemes(paths) };
  const named = await componentsOf(contracts);
  return {
    "openapi.json": text(sharing({ ...openapi, paths, components } as unknown as Document, named)),
    "events.json": text({
      specversion: "1.0",
      source: definition.name,
      events: (contracts.publishes ?? []).map((published) => shown(definition.name, published)),
      receives: (definition.reactions ?? []).map(({ type: { topic, type } }) => ({ topic, type })),
    }),
    ...(definition.flags?.length ? { "flags.json": text(definition.flags.map(shownFlag)) } : {}),
  };
}

async function contractsOf(folder: string): Promise<{ publishes?: Published[] }> {
  const files = readdirSync(folder).filter((name) => /(^|-)contracts\.ts$/.test(name));
  return Object.assign({}, ...(await Promise.all(files.map((name) => import(join(folder, name))))));
}

/** The routes that a document is about: those of the public face, where there is one. */
function shownRoutes(definition: Service<unknown>): Hono<Env<unknown>> {
  if (definition.edge === undefined) return routesOf(definition);
  const nothing = (c: Context): Response => c.body(null);
  return new Hono<Env<unknown>>()
    .route("/", definition.edge)
    .route("/", face<unknown>(nothing, nothing, nothing));
}

type Paths = Awaited<ReturnType<typeof generateSpecs>>["paths"];

interface Operation {
  summary?: string;
  description?: string;
  responses?: Answers;
  "x-access"?: Statement;
}

const operationsOf = (paths: Paths): [path: string, method: string, operation: Operation][] =>
  Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods ?? {}).map(
      ([method, operation]) => [path, method, operation as Operation] as const,
    ),
  ) as [string, string, Operation][];

/** The operations that say what they are, with who may call them in words. Pages for people are no operations. */
function described(paths: Paths): Paths {
  const said: Record<string, Record<string, unknown>> = {};
  for (const [path, method, operation] of operationsOf(paths)) {
    if (operation.summary === undefined) continue;
    const access = operation["x-access"];
    const words = [operation.description, access && accessInWords(access)].filter((one) => one !== undefined);
    said[path] = { ...said[path], [method]: { ...operation, description: words.join("\n\n") } };
  }
  return said as Paths;
}

function accessInWords({ open, all = [], own, key, byId }: Statement): string {
  const scopes = all.map((scope) => `\`${scope}\``).join(" or ");
  const owners = own === "user" ? "being signed in" : own?.map((scope) => `\`${scope}\``).join(" or ");
  return [
    ...(open === undefined ? [] : [`Open to everybody: ${open}.`]),
    ...(open !== undefined && all.length > 0 ? [`A token needs ${scopes}.`] : []),
    ...(open === undefined && all.length > 0 ? [`${scopes}: all.`] : []),
    ...(owners
      ? [`${owners}: what is one's own; what is others' is answered like what does not exist.`]
      : []),
    ...(key === undefined ? [] : [`${key}: the one thing that this secret was given out for.`]),
    ...(byId ? ["What is nobody's in particular: whoever knows its id, which cannot be guessed."] : []),
  ].join(" ");
}

/** The schemes that the operations name; a scope is described by what it opens here. */
function schemes(paths: Paths): Record<string, unknown> {
  const operations = operationsOf(paths).map(([, , operation]) => operation);
  const opened = new Map<string, string[]>();
  for (const { summary = "", "x-access": access = {} } of operations) {
    const own = access.own === "user" ? [] : (access.own ?? []);
    for (const scope of own) opened.set(scope, [...(opened.get(scope) ?? []), `${summary} (one's own)`]);
    for (const scope of access.all ?? []) opened.set(scope, [...(opened.get(scope) ?? []), summary]);
  }
  const scopes = Object.fromEntries(
    [...opened].sort(([a], [b]) => (a < b ? -1 : 1)).map(([scope, what]) => [scope, what.join(" · ")]),
  );
  const keys = new Set(operations.flatMap(({ "x-access": access }) => access?.key ?? []));
  const signedIn = operations.some(({ "x-access": access }) => access?.own === "user");
  return {
    ...(opened.size > 0 || signedIn
      ? {
          oauth: {
            type: "oauth2",
            description: "Access tokens of the shop's OpenID Provider, as `Authorization: Bearer …`",
            flows: {
              authorizationCode: {
                authorizationUrl: "/auth",
                tokenUrl: "/token",
                refreshUrl: "/token",
                scopes,
              },
              clientCredentials: { tokenUrl: "/token", scopes },
            },
          },
        }
      : {}),
    ...Object.fromEntries(
      [...keys].map((name) => [name.toLowerCase(), { type: "apiKey", in: "header", name }]),
    ),
  };
}

/** What the chassis answers in the place of any route: who is not known, what is too large, what has not changed. */
function withCommonAnswers(paths: Paths, { ownCredentials = [] }: Service<unknown>): Paths {
  return Object.fromEntries(
    Object.entries(paths).map(([path, methods = {}]) => [
      path,
      Object.fromEntries(
        Object.entries(methods).map(([method, operation]) => {
          const { responses = {}, "x-access": access } = operation as Operation;
          const common = {
            ...(method === "get" ? { 304: response(304, null) } : { 413: response(413, "problem") }),
            ...([...ownCredentials, ...facePaths].includes(path) ? {} : { 401: response(401, "problem") }),
            ...(access?.all?.length ? { 403: response(403, "problem") } : {}),
          };
          return [method, { ...(operation as object), responses: { ...common, ...responses } }];
        }),
      ),
    ]),
  );
}

type Answers = Record<string, ReturnType<typeof response>>;

/** @throws {Error} for an example of an operation that there is not */
function withExamples(paths: Paths, examples: Examples): Paths {
  const left = new Set(Object.keys(examples));
  const shown: Record<string, Record<string, unknown>> = {};
  for (const [path, method, plain] of operationsOf(paths)) {
    const name = `${method.toUpperCase()} ${path}`;
    const operation = withHeaders({ method, path }, plain as object);
    left.delete(name);
    const example = examples[name];
    shown[path] = {
      ...shown[path],
      [method]: example ? exemplified(name, operation, example) : operation,
    };
  }
  if (left.size > 0) throw new Error(`there are examples of operations that there are not: ${[...left]}`);
  return shown as Paths;
}

const deadLetterSchemas = {
  DeadLetter: deadLetter.Letter,
  DeadLetterList: deadLetter.List,
  DeadLetterSummary: deadLetter.Summary,
};

/** What the document writes once: the schemas that its contracts export, by their names, and what all services share. */
async function componentsOf(contracts: Record<string, unknown>): Promise<Named> {
  const schemas: Record<string, unknown> = {};
  for (const [name, value] of Object.entries({ ...faceSchemas, ...deadLetterSchemas, ...contracts })) {
    if (!/^[A-Z]/.test(name) || !isSchema(value)) continue;
    const { schema } = await toOpenAPISchema(value);
    // A text without any rule is its own best name.
    if (Object.keys(schema).length > 1) schemas[name] = schema;
  }
  const { schemas: own, ...common } = problemComponents;
  return { ...common, ...commonComponents, schemas: { ...schemas, ...own } };
}

const isSchema = (value: unknown): value is StandardSchemaV1 =>
  typeof value === "object" && value !== null && "~standard" in value;

/** No file of that name is no trouble; one that cannot be read is. */
function missing(error: unknown): object {
  if (error instanceof Error && /Cannot find module/.test(error.message)) return {};
  throw error;
}

function shown(source: string, { type, example }: Published) {
  const result = validate(type.schema, example);
  if (result.issues)
    throw new Error(
      `the example of ${type.type} does not fit its own schema: ${JSON.stringify(result.issues)}`,
    );
  return {
    topic: type.topic,
    type: type.type,
    schema: toJsonSchema(type.schema as unknown as GenericSchema, { errorMode: "ignore" }),
    example: {
      specversion: "1.0",
      id: "00000000-0000-4000-8000-000000000000",
      source,
      type: type.type,
      subject: "…",
      time: "2026-01-01T00:00:00.000Z",
      datacontenttype: "application/json",
      data: example,
    },
  };
}

const shownFlag = ({ key, says, schema, default: fallback }: Flag) => ({
  key,
  says,
  default: fallback,
  // Of the text, where it is one: what is made of it is the service's own business.
  schema: toJsonSchema(schema, { errorMode: "ignore", typeMode: "input" }),
});

/** What a schema makes of a value; the schemas of events are synchronous. */
export function validate(schema: StandardSchemaV1, value: unknown) {
  const result = schema["~standard"].validate(value);
  if (result instanceof Promise) throw new Error("the schema of an event must be synchronous");
  return result;
}

const text = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

async function main(args: string[]): Promise<void> {
  const check = args.includes("--check");
  const stale: string[] = [];
  for (const name of args.filter((arg) => !arg.startsWith("--"))) {
    const folder = resolve(name);
    for (const [file, wanted] of Object.entries(await contractOf(folder))) {
      const path = join(folder, "contract", file);
      const there = await readFile(path, "utf8").catch(() => "");
      if (there === wanted) continue;
      stale.push(`${name}/contract/${file}`);
      if (check) continue;
      await mkdir(join(folder, "contract"), { recursive: true });
      await writeFile(path, wanted);
    }
  }
  for (const path of stale) process.stdout.write(`${check ? "stale" : "wrote"} ${path}\n`);
  if (check && stale.length > 0) {
    process.stdout.write("Run: npm run contracts\n");
    process.exitCode = 1;
  }
}

if (import.meta.main) await main(process.argv.slice(2));
