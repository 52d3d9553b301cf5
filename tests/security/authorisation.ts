import { readFileSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { parse } from "yaml";
import { type Statement, statementsOf } from "../../packages/chassis/src/access.ts";
import { routesOf } from "../../packages/chassis/src/dead-letters.ts";
import type { Service } from "../../packages/chassis/src/service.ts";

// bun tests/security/authorisation.ts [--check]
//
// Writes docs/security/authorisation.md, the table of who may call what, from what the routes of all services say in
// their code. With --check nothing is written: it fails where the file is stale.

const root = resolve(import.meta.dir, "../..");
const file = join(root, "docs/security/authorisation.md");

/** A route of a service, as clients find it. */
export interface Route {
  service: string;
  method: string;
  /** In the service: `/orders/:id`. */
  path: string;
  /** Through the gateway: `/api/orders/:id`. Absent where no way leads there from outside. */
  public?: string;
  statement: Statement;
}

/** Somebody who calls, and what the thing they ask about is to them. */
export interface Role {
  name: string;
  kind: "guest" | "user" | "client";
  scopes: readonly string[];
  /** It is theirs. */
  owns?: boolean;
  /** They show the secret that opens it. */
  key?: boolean;
}

/**
 * What a caller gets: `yes`; `own`, a list of what is theirs; or the status of the refusal. 404 is what is answered for
 * what does not exist.
 */
export type Cell = "yes" | "own" | 401 | 403 | 404;

/** One thing, by its id; anything else is a list or an action. */
export const isItem = ({ path }: Pick<Route, "path">): boolean => path.includes(":");

/** What the table says of a role and a route. */
export function cellOf(role: Role, route: Route): Cell {
  const { open, all = [], own, key, byId } = route.statement;
  const guest = role.kind === "guest";
  const holds = (scopes: readonly string[]): boolean => scopes.some((scope) => role.scopes.includes(scope));
  if (open !== undefined) return guest || all.length === 0 || holds(all) ? "yes" : 403;
  if (holds(all)) return "yes";
  if ((key !== undefined || byId) && role.key) return "yes";
  const mayOwn = !guest && (own === "user" ? role.kind === "user" : own !== undefined && holds(own));
  if (mayOwn) return isItem(route) ? (role.owns ? "yes" : 404) : "own";
  // Whoever does not know its id asks for what is another's.
  if (byId) return 404;
  if (guest) return key === undefined ? 401 : 404;
  return 403;
}

const definitionOf = async (service: string): Promise<Service<unknown>> =>
  ((await import(join(root, "services", service, "service.ts"))) as { default: Service<unknown> }).default;

/** The services, in the order of their names. */
export const services = (
  parse(readFileSync(join(root, "dapr.yaml"), "utf8")) as { apps: { appID: string }[] }
).apps
  .map(({ appID }) => appID)
  .sort();

/** All routes of all services. Those that only pass requests on are not listed: who decides in the end is. */
export async function allRoutes(): Promise<Route[]> {
  const each = await Promise.all(
    services.map(async (service) => {
      const definition = await definitionOf(service);
      const apps = [routesOf(definition), ...(definition.edge ? [definition.edge] : [])];
      return apps
        .flatMap(statementsOf)
        .flatMap(({ method, path, statement }) =>
          statement === undefined || statement.leftTo !== undefined
            ? []
            : [{ service, method, path, ...publicPath(service, path), statement }],
        );
    }),
  );
  return each.flat();
}

/** Where clients find a route: what is not under `/api` has its own way through the gateway, or none. */
function publicPath(service: string, path: string): { public?: string } {
  if (service === "gateway") return { public: path };
  if (path.startsWith("/dead-letters")) return { public: `/api${path}` };
  const found = [`/api${path}`, path].find((one) =>
    ways.some((way) => way.service === service && leads(way.path, one)),
  );
  return found === undefined ? {} : { public: found };
}

/** Whether a way's path, as Hono writes it, stands for a route's: with parameters of whatever name, and `*`. */
function leads(way: string, path: string): boolean {
  const [wanted, given] = [way.split("/"), path.split("/")];
  const fits = wanted.every(
    (part, at) => part === "*" || part === given[at] || (part.startsWith(":") && given[at]),
  );
  return fits && (wanted.length === given.length || wanted.at(-1) === "*");
}

const { ways } = (await import(join(root, "services/gateway/ways.ts"))) as {
  ways: { path: string; service: string }[];
};

const { scopesOf } = (await import(join(root, "services/identity/accounts.ts"))) as {
  scopesOf(role: "customer" | "staff" | "admin"): readonly string[];
};

/** Who calls: people first, then a machine for each scope, which asks for what is not its own. */
export function rolesFor(routes: Route[]): { people: Role[]; machines: Role[] } {
  const named = routes.flatMap(({ statement: { all = [], own } }) => [
    ...all,
    ...(Array.isArray(own) ? own : []),
  ]);
  const scopes = [...new Set([...named, ...scopesOf("admin")])].sort();
  const customer = scopesOf("customer");
  return {
    people: [
      { name: "guest", kind: "guest", scopes: [] },
      { name: "guest with its key", kind: "guest", scopes: [], key: true },
      { name: "customer, own", kind: "user", scopes: customer, owns: true },
      { name: "customer, others'", kind: "user", scopes: customer },
      { name: "staff", kind: "user", scopes: scopesOf("staff") },
      { name: "admin", kind: "user", scopes: scopesOf("admin") },
    ],
    machines: scopes.map((scope) => ({ name: scope, kind: "client", scopes: [scope] })),
  };
}

/** The whole page. */
export function pageOf(routes: Route[]): string {
  const { people, machines } = rolesFor(routes);
  const parts = services.flatMap((service) => {
    const own = routes.filter(
      (route) => route.service === service && !route.path.startsWith("/dead-letters"),
    );
    if (own.length === 0) return [];
    return page(service, own, people, machines);
  });
  return `${[head, ...parts, between(routes)].join("\n\n")}\n`;
}

function page(service: string, all: Route[], people: Role[], machines: Role[]): string[] {
  const own = all.filter((route) => route.public !== undefined);
  return [
    `## ${service}`,
    table(own, people),
    ...why(own),
    "A machine with one scope only, which asks for what is not its own:",
    table(own, machines),
  ];
}

/** What no way leads to from outside: the sidecars decide there, by who calls. */
function between(routes: Route[]): string {
  const inner = routes.filter((route) => route.public === undefined);
  const rows = inner.map(
    ({ service, method, path, statement }) =>
      `| ${service} | ${code(`${method} ${path}`)} | ${statement.open ?? ""} |`,
  );
  return `## Between services

No way leads here from outside. Which service may call it is in the access policies ([dapr/config](../../dapr/config)),
which [tests/security/sidecars.test.ts](../../tests/security/sidecars.test.ts) tries from every sidecar.

${["| Service | Route | Why it is open |", "|---|---|---|", ...rows].join("\n")}`;
}

const head = `# Who may call what

Generated from the code by \`npm run contracts\`; do not edit. Every route says beside its path who may call it, with
\`allow\`, \`owned\` or \`open\` ([access.ts](../../packages/chassis/src/access.ts)); a service with a route that says nothing
does not start. [tests/security/roles.test.ts](../../tests/security/roles.test.ts) asks for every cell below.

| Cell | Answer |
|---|---|
| yes | it may |
| own | a list of what is the caller's own, and of nothing else |
| 404 | the same as for what does not exist: whether it does is not told |
| 403 | the token does not have the scope |
| 401 | a token is needed |

A role is nothing but its scopes: customers have
${scopesOf("customer").map(code).join(" and ")}; staff have all but ${scopesOf("admin")
  .filter((scope) => !scopesOf("staff").includes(scope))
  .map(code)
  .join(
    " and ",
  )}; admins have all. *Own* is what the caller has placed, or is. The key is the \`Order-Key\` that the answer
to a guest's order held, or the id of a guest's cart. Requests that the gateway passes on are decided by the service that answers them. Every service with a database has routes
to its dead letters: they are the gateway's rows below, for \`ops\` in each.`;

function table(routes: Route[], roles: Role[]): string {
  const row = (cells: string[]): string => `| ${cells.join(" | ")} |`;
  return [
    row(["Route", ...roles.map(({ name, kind }) => (kind === "client" ? code(name) : name))]),
    row(["---", ...roles.map(() => "---")]),
    ...routes.map((route) =>
      row([code(`${route.method} ${route.public}`), ...roles.map((role) => String(cellOf(role, route)))]),
    ),
  ].join("\n");
}

/** Why what is open may be. */
function why(routes: Route[]): string[] {
  const reasons = Map.groupBy(
    routes.filter(({ statement }) => statement.open !== undefined),
    ({ statement }) => statement.open ?? "",
  );
  if (reasons.size === 0) return [];
  const lines = [...reasons].map(
    ([reason, some]) =>
      `- ${some.map((route) => code(`${route.method} ${route.public}`)).join(", ")}: ${reason}`,
  );
  return [["Open, because:", "", ...lines].join("\n")];
}

function code(text: string): string {
  return `\`${text}\``;
}

async function main(args: string[]): Promise<void> {
  const wanted = pageOf(await allRoutes());
  const there = await readFile(file, "utf8").catch(() => "");
  if (there === wanted) return;
  if (args.includes("--check")) {
    process.stdout.write("stale docs/security/authorisation.md\nRun: npm run contracts\n");
    process.exitCode = 1;
    return;
  }
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, wanted);
  process.stdout.write("wrote docs/security/authorisation.md\n");
}

if (import.meta.main) await main(process.argv.slice(2));
