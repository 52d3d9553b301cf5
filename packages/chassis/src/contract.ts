import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { toJsonSchema } from "@valibot/to-json-schema";
import type { EventType, StandardSchemaV1 } from "hono-dapr";
import { generateSpecs } from "hono-openapi";
import type { GenericSchema } from "valibot";
import { routesOf } from "./dead-letters.ts";
import { response } from "./describe.ts";
import type { Service } from "./service.ts";

// bun packages/chassis/src/contract.ts <service folder…> [--check]
//
// Writes contract/openapi.json and contract/events.json of a service from its routes and its contracts.ts.
// With --check nothing is written: it fails where the files are stale, and names them.

interface Published {
  type: EventType<unknown, never>;
  example: unknown;
}

/** The two contract files of a service, as text by name. */
export async function contractOf(folder: string): Promise<Record<string, string>> {
  const { default: definition } = (await import(join(folder, "service.ts"))) as { default: Service<unknown> };
  const contracts = (await import(join(folder, "contracts.ts")).catch(() => ({}))) as {
    publishes?: Published[];
  };
  const openapi = await generateSpecs(routesOf(definition), {
    documentation: {
      openapi: "3.1.0",
      info: {
        title: definition.name,
        version: "0.1.0",
        description: `The ${definition.name} service of Souk`,
      },
      servers: [{ url: "/api" }],
    },
    defaultValidationErrorResponse: false,
  });
  return {
    "openapi.json": text({ ...openapi, paths: withCommonAnswers(openapi.paths, definition) }),
    "events.json": text({
      specversion: "1.0",
      source: definition.name,
      events: (contracts.publishes ?? []).map((published) => described(definition.name, published)),
      receives: (definition.reactions ?? []).map(({ type: { topic, type } }) => ({ topic, type })),
    }),
  };
}

type Paths = Awaited<ReturnType<typeof generateSpecs>>["paths"];

/** What the chassis answers in the place of any route: who is not known, what is too large, what has not changed. */
function withCommonAnswers(paths: Paths, { ownCredentials = [] }: Service<unknown>): Paths {
  return Object.fromEntries(
    Object.entries(paths).map(([path, methods = {}]) => [
      path,
      Object.fromEntries(
        Object.entries(methods).map(([method, operation]) => {
          const { responses = {} } = operation as { responses?: Answers };
          const common = {
            ...(method === "get" ? { 304: response(304, null) } : { 413: response(413, "problem") }),
            ...(ownCredentials.includes(path) ? {} : { 401: response(401, "problem") }),
          };
          return [method, { ...(operation as object), responses: { ...common, ...responses } }];
        }),
      ),
    ]),
  );
}

type Answers = Record<string, ReturnType<typeof response>>;

function described(source: string, { type, example }: Published) {
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
