import { afterAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  allRoutes,
  type Cell,
  cellOf,
  isItem,
  pageOf,
  type Role,
  type Route,
  rolesFor,
  services,
} from "./authorisation.ts";
import { type Rig, rigOf } from "./rig.ts";
import type { Person } from "./things.ts";

const routes = await allRoutes();
const { people, machines } = rolesFor(routes);

test("the table is what the code says (npm run contracts)", () => {
  const page = readFileSync(join(import.meta.dir, "../../docs/security/authorisation.md"), "utf8");
  expect(page).toBe(pageOf(routes));
});

test("every service with routes is in the table", () => {
  expect(routes.length).toBeGreaterThan(40);
  expect(people.length + machines.length).toBeGreaterThanOrEqual(14);
});

const rigs: Rig[] = [];
afterAll(() => Promise.all(rigs.map((rig) => rig.stop())));

describe.each(services.filter((service) => service !== "gateway"))("%s", async (service) => {
  const rig = await rigOf(service);
  rigs.push(rig);
  cells(
    rig,
    routes.filter((route) => route.service === service),
  );
});

describe("gateway", async () => {
  const behind = await Promise.all([rigOf("orders"), rigOf("identity")]);
  const rig = await rigOf("gateway", behind);
  rigs.push(...behind, rig);
  cells(
    rig,
    routes.filter((route) => route.service === "gateway"),
  );
});

function cells(rig: Rig, own: Route[]): void {
  describe.each(own.map((route) => [`${route.method} ${route.path}`, route] as const))("%s", (_, route) => {
    test.each(
      [...people, ...machines].map((role) => [`${role.name}: ${cellOf(role, route)}`, role] as const),
    )("%s", async (_, role) => {
      const wanted = cellOf(role, route);
      const thing = await rig.thing(route, ownerOf(role, route));
      const response = await rig.ask(route, role, thing);
      expect(await got(response, wanted, route)).toBe(wanted);
    });
  });
}

/** Whose the thing is that a role asks about, so that its cell says what it says. */
function ownerOf({ owns, kind, key }: Role, { statement }: Route): Person {
  if (owns) return "caller";
  return kind === "guest" && key && (statement.key ?? statement.byId) !== undefined ? "guest" : "other";
}

/** The cell that an answer stands for. */
async function got(response: Response, wanted: Cell, route: Route): Promise<Cell> {
  const type = response.headers.get("content-type") ?? "";
  const problem = type.startsWith("application/problem+json")
    ? ((await response.json()) as { code: string })
    : undefined;
  // What goes on for as long as somebody listens has said enough.
  if (problem === undefined) await response.body?.cancel();
  if (response.status >= 500) throw new Error(`${response.status} ${JSON.stringify(problem)}`);
  const refused = { unauthenticated: 401, "insufficient-scope": 403 } as const;
  const by = refused[problem?.code as keyof typeof refused];
  if (by !== undefined) {
    expect(response.status).toBe(by);
    expect(response.headers.get("www-authenticate")).toStartWith("Bearer");
    return by;
  }
  // Where nobody owns anything, not finding it is an answer like others: it was looked for.
  if (response.status === 404 && (route.statement.own !== undefined || route.statement.key !== undefined))
    return 404;
  if (wanted === "own") {
    expect(response.status).toBe(200);
    expect(isItem(route)).toBe(false);
  }
  // Only who passed is told what else is wrong.
  return wanted === "own" ? "own" : "yes";
}
