import { describe, expect, test } from "bun:test";
import { Hono } from "hono";
import {
  allow,
  leftTo,
  nothing,
  open,
  owned,
  type Reach,
  requireStatements,
  statementsOf,
} from "./access.ts";
import { type Caller, guest } from "./auth.ts";
import { toProblem } from "./problem.ts";

type E = { Variables: { caller: Caller; reach: Reach } };

const client = (...scopes: string[]): Caller => ({ id: "c-1", kind: "client", scopes: new Set(scopes) });
const user = (...scopes: string[]): Caller => ({ id: "u_1", kind: "user", scopes: new Set(scopes) });

/** What a route with this statement makes of a caller: a refusal, or what is within reach. */
async function asks(
  statement: ReturnType<typeof open>,
  caller: Caller,
  headers: Record<string, string> = {},
): Promise<number | Reach> {
  const app = new Hono<E>();
  app.onError((error, c) => c.body(null, toProblem(error).status as 401));
  app.use(async (c, next) => {
    c.set("caller", caller);
    c.set("reach", nothing);
    await next();
  });
  app.get("/", statement, (c) => c.json(c.var.reach));
  const response = await app.request("/", { headers });
  return response.status === 200 ? ((await response.json()) as Reach) : response.status;
}

describe("allow", () => {
  test.each<[string, Caller, number | Reach]>([
    ["a guest", guest, 401],
    ["nobody's scope", client("b"), 403],
    ["the scope", client("a"), "all"],
    ["a user with the scope", user("x", "a"), "all"],
  ])("%s", async (_, caller, wanted) => {
    expect(await asks(allow("a"), caller)).toEqual(wanted);
  });
});

describe("open", () => {
  test("lets guests pass, and tokens that are for it", async () => {
    expect(await asks(open("why"), guest)).toEqual({});
    expect(await asks(open("why"), client())).toEqual({});
    expect(await asks(open("why", "a"), guest)).toEqual({});
    expect(await asks(open("why", "a"), client("a"))).toEqual({});
    expect(await asks(open("why", "a"), client("b"))).toBe(403);
  });
});

describe("owned", () => {
  const ours = { all: ["all"], own: ["own"] };
  test.each<[string, Caller, number | Reach]>([
    ["a guest", guest, 401],
    ["a token for something else", user("other"), 403],
    ["an owner", user("own"), { owner: "u_1" }],
    ["a machine", client("own"), { owner: "c-1" }],
    ["staff", user("own", "all"), "all"],
  ])("%s", async (_, caller, wanted) => {
    expect(await asks(owned(ours), caller)).toEqual(wanted);
    // A key is nothing where none is asked for.
    expect(await asks(owned(ours), caller, { "the-key": "k" })).toEqual(wanted);
  });

  test.each<[string, Caller, string | undefined, number | Reach]>([
    ["a guest without the key", guest, undefined, {}],
    ["a guest with it", guest, "k", { key: "k" }],
    ["a token for something else", user("other"), undefined, 403],
    ["a token for something else, and the key", user("other"), "k", { key: "k" }],
    ["an owner with the key of something else", user("own"), "k", { owner: "u_1", key: "k" }],
    ["staff", client("all"), "k", "all"],
  ])("with a key: %s", async (_, caller, key, wanted) => {
    const headers: Record<string, string> = key === undefined ? {} : { "the-key": key };
    expect(await asks(owned({ ...ours, key: "The-Key" }), caller, headers)).toEqual(wanted);
  });

  test.each<[string, Caller, number | Reach]>([
    ["a guest", guest, 401],
    ["any user", user(), { owner: "u_1" }],
    ["a machine", client("own"), 403],
    ["who has the scope", client("all"), "all"],
  ])("by being a user: %s", async (_, caller, wanted) => {
    expect(await asks(owned({ all: ["all"], own: "user" }), caller)).toEqual(wanted);
  });
});

describe("owned by id", () => {
  test.each<[string, Caller, number | Reach]>([
    ["a guest", guest, {}],
    ["a machine", client("own"), {}],
    ["a user", user(), { owner: "u_1" }],
  ])("%s", async (_, caller, wanted) => {
    expect(await asks(owned({ all: [], own: "user", byId: true }), caller)).toEqual(wanted);
  });
});

describe("default deny", () => {
  const answer = (c: { text(text: string): Response }) => c.text("");

  test("a route that says nothing does not start", () => {
    const app = new Hono<E>()
      .use("*", (_, next) => next())
      .get("/a", allow("a"), answer)
      .get("/b", answer)
      .post("/a", answer);
    expect(() => requireStatements("things", app)).toThrow(/things .* GET \/b, POST \/a/);
  });

  test("every kind of statement will do, also in a part of its own", () => {
    const part = new Hono<E>().get("/c", owned({ all: ["a"], own: "user" }), answer);
    const app = new Hono<E>()
      .get("/a", open("why"), answer)
      .delete("/a", leftTo("another"), answer)
      .route("/in", part);
    requireStatements("things", app);
    expect(statementsOf(app)).toEqual([
      { method: "GET", path: "/a", statement: { open: "why" } },
      { method: "DELETE", path: "/a", statement: { leftTo: "another" } },
      { method: "GET", path: "/in/c", statement: { all: ["a"], own: "user" } },
    ]);
  });

  test("what is for all methods is no route", () => {
    requireStatements("things", new Hono<E>().all("/refused", answer));
  });
});
