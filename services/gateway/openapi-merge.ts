import { type Components, type Part, SharedComponents, used } from "./openapi-components.ts";
import { linked } from "./openapi-links.ts";
import type { Way } from "./ways.ts";

/** An OpenAPI document, as far as it is looked into here. */
export interface ServiceDocument {
  info: { title: string; version: string; description?: string };
  paths: Record<string, Record<string, Operation>>;
  components: Components;
}

export interface Operation {
  operationId: string;
  tags?: string[];
  parameters?: Record<string, unknown>[];
  responses: Record<string, Answer>;
  [more: string]: unknown;
}

interface Answer {
  $ref?: string;
  headers?: Record<string, unknown>;
  [more: string]: unknown;
}

/** What the document needs to know besides the services' own. */
export interface About {
  /** Where the shop is reached from outside. */
  publicUrl: string;
  /** Every scope there is, as the discovery document of the OpenID Provider lists them. */
  scopes: string[];
}

type Ways = Pick<Way, "path" | "methods" | "service">[];
type Flow = { scopes?: Record<string, string> };

/**
 * One OpenAPI 3.1 document of all that the gateway serves: what leads to a service, as that service describes it, and
 * what it answers itself.
 * @param own the gateway's own document
 */
export function merged(
  own: ServiceDocument,
  said: Record<string, ServiceDocument>,
  ways: Ways,
  about: About,
) {
  const shared = new SharedComponents();
  const paths: Record<string, Record<string, Operation>> = {};
  const tags: { name: string; description?: string }[] = [];
  const documents = [
    ...Object.entries(said).map(([name, document]) => [name, published(name, document, ways)] as const),
    [own.info.title, own] as const,
  ];
  for (const [name, document] of documents) {
    const here = shared.add(name, document as Part) as ServiceDocument["paths"];
    if (Object.keys(here).length === 0) continue;
    tags.push({ name, ...(document.info.description ? { description: document.info.description } : {}) });
    for (const [path, methods] of Object.entries(here))
      for (const [method, operation] of Object.entries(methods))
        paths[path] = { ...paths[path], [method]: { ...counted(operation), tags: [name] } };
  }
  const versions = documents.map(([, { info }]) => info.version);
  return {
    openapi: "3.1.0",
    info: {
      title: "Souk",
      version: versions.toSorted().at(-1) ?? own.info.version,
      summary: "A shop: its products, stock, carts, orders and payments",
      description: introduction,
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    // Wherever this document was read.
    servers: [{ url: "/", description: "This shop" }],
    tags,
    paths: linked(sorted(paths)),
    components: {
      ...used(paths, withHeaders(shared.all)),
      securitySchemes: schemes(
        documents.map(([, document]) => document),
        about,
      ),
    },
    externalDocs: { url: "/docs/events", description: "The events that services tell each other" },
  };
}

const introduction = `Money is in integer minor units with an ISO 4217 currency, times are RFC 3339 in UTC, ids are opaque.
Lists take \`limit\` and \`cursor\` and answer \`{ items, nextCursor }\`. Errors are problem+json (RFC 9457) with a stable \`code\`.

Tokens: \`client_credentials\` for machines, the authorization code with PKCE for people. In development a client with every
staff scope is in \`.souk/dev-client.json\`. Parameters that stand for something made before (an order's id, an ETag) say so
as links of the operation that gives them.`;

/** The part of a service's document that has a way in, under its public paths. */
function published(service: string, document: ServiceDocument, ways: Ways): ServiceDocument {
  const own = ways.filter((way) => way.service === service);
  const paths: ServiceDocument["paths"] = {};
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const leads = (candidate: string): boolean =>
        own.some(
          (way) => way.methods.some((one) => one.toLowerCase() === method) && covers(way.path, candidate),
        );
      const found = [`/api${path}`, path].find(leads);
      if (found !== undefined) paths[found] = { ...paths[found], [method]: operation };
    }
  }
  return { ...document, paths };
}

/** True when a request for the documented path takes the way. */
export function covers(way: string, documented: string): boolean {
  const wanted = way.split("/");
  const given = documented.split("/");
  return (
    wanted.length === given.length && wanted.every((part, at) => part === given[at] || part.startsWith(":"))
  );
}

/** What says who may call it is counted, and may be refused by the gateway before a service hears of it. */
function counted(operation: Operation): Operation {
  if (operation["x-access"] === undefined) return operation;
  const responses = Object.entries(operation.responses).map(([status, answer]) => [
    status,
    answer.$ref ? answer : { ...answer, headers: { ...answer.headers, ...rateLimits } },
  ]);
  return {
    ...operation,
    responses: { ...Object.fromEntries(responses), 429: { $ref: "#/components/responses/TooManyRequests" } },
  };
}

const rateLimits = {
  RateLimit: { $ref: "#/components/headers/RateLimit" },
  "RateLimit-Policy": { $ref: "#/components/headers/RateLimitPolicy" },
};

const text = { type: "string" };

function withHeaders(components: Components): Components {
  const responses = Object.entries({
    ...components.responses,
    TooManyRequests: {
      description: "Too Many Requests",
      headers: {
        "Retry-After": { description: "Seconds to wait before asking again", schema: { type: "integer" } },
      },
      content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } },
    },
  }) as [string, Answer][];
  return {
    ...components,
    headers: {
      ...components.headers,
      RateLimit: { description: "What is left of the share, and until when", schema: text },
      RateLimitPolicy: { description: "The share that everybody has", schema: text },
    },
    responses: Object.fromEntries(
      responses.map(([name, answer]) => [name, { ...answer, headers: { ...answer.headers, ...rateLimits } }]),
    ),
  };
}

/** The security schemes of all; of the provider's, the scopes of all services under one roof. */
function schemes(documents: ServiceDocument[], { publicUrl, scopes }: About): Record<string, unknown> {
  const all = documents.flatMap(({ components }) => Object.entries(components.securitySchemes ?? {}));
  const described: Record<string, string[]> = Object.fromEntries(scopes.map((scope) => [scope, []]));
  for (const [name, scheme] of all) {
    if (name !== "oauth") continue;
    // Each flow of a service has the same scopes.
    const flow = Object.values((scheme as { flows: Record<string, Flow> }).flows)[0];
    for (const [scope, what] of Object.entries(flow?.scopes ?? {}))
      described[scope] = [...(described[scope] ?? []), what];
  }
  const flowScopes = Object.fromEntries(
    Object.entries(described).map(([scope, what]) => [scope, [...new Set(what)].join(" · ")]),
  );
  const tokenUrl = `${publicUrl}/token`;
  return {
    ...Object.fromEntries(all),
    oauth: {
      type: "oauth2",
      description: "Access tokens of the shop's OpenID Provider, as `Authorization: Bearer …`",
      flows: {
        clientCredentials: { tokenUrl, scopes: flowScopes },
        authorizationCode: {
          authorizationUrl: `${publicUrl}/auth`,
          tokenUrl,
          refreshUrl: tokenUrl,
          scopes: flowScopes,
        },
      },
    },
    openid: {
      type: "openIdConnect",
      openIdConnectUrl: `${publicUrl}/.well-known/openid-configuration`,
    },
  };
}

const sorted = <T>(object: Record<string, T>): Record<string, T> =>
  Object.fromEntries(Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1)));
