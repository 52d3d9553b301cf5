import { dirname, join, normalize } from "node:path";

/** One import statement of a file. */
export interface Import {
  from: string;
  typeOnly: boolean;
}

/** A place that breaks the architecture, and the rule that it breaks. */
export interface Violation {
  file: string;
  rule: string;
}

/** What a room may import: patterns of module names, `type:` before one that is for types only. */
interface Room {
  says: string;
  may: string[];
}

/** The rooms of a service. A file that is none of them is domain. */
const rooms: Record<string, Room> = {
  "service.ts": {
    says: "wires the other rooms, and does nothing else",
    may: [
      "chassis",
      "./routes.ts",
      "./reactions.ts",
      "./store.ts",
      "./edge.ts",
      "./provider/*",
      "./accounts.ts",
      "./flags.ts",
      "./reconciliation.ts",
      "type:./*",
    ],
  },
  "routes.ts": {
    says: "HTTP in: parses, gathers, decides, commits, answers",
    may: ["chassis", "hono", "hono/*", "valibot", "node:crypto", "./*", "type:*"],
  },
  "published.ts": {
    says: "what the others are told of an event",
    may: ["chassis", "./*", "type:*"],
  },
  "reactions.ts": {
    says: "events in: topic → command",
    may: ["chassis", "valibot", "./*", "type:*"],
  },
  "store.ts": {
    says: "its tables, loads and saves",
    may: ["chassis", "drizzle-outbox", "drizzle-orm", "./*", "type:*"],
  },
  "carts.ts": {
    says: "carts, which lie in the state store, or with the service that has them",
    may: ["chassis", "valibot", "./*", "type:*"],
  },
  "reconciliation.ts": {
    says: "our books compared with the providers', some payments at a time",
    may: ["chassis", "valibot", "./*", "type:*"],
  },
  "flags.ts": {
    says: "what can be set while it runs: names, schemas, defaults",
    may: ["chassis", "valibot", "./*"],
  },
  "queries.ts": {
    says: "its read side; never decides",
    may: ["chassis", "drizzle-orm", "./contracts.ts", "./*", "type:*"],
  },
  "contracts.ts": {
    says: "schemas of what it publishes and reads",
    may: ["hono-dapr", "valibot", "chassis", "./contracts.ts"],
  },
};

const domain: Room = {
  says: "the domain: pure, imports types and other domain files only",
  may: ["type:*", "./*"],
};

/** Services and folders whose work is another one: they adapt something that is not ours. */
const adapters: Record<string, Room> = {
  "gateway/": {
    says: "the edge",
    may: [
      "chassis",
      "hono",
      "hono/*",
      "hono-dapr",
      "hono-rate-limiter",
      "lru-cache",
      "openid-client",
      "valibot",
      "node:*",
      "./*",
      "type:*",
    ],
  },
  // Two files of identity are domain like any other.
  "identity/user.ts": domain,
  "identity/lockout.ts": domain,
  "identity/": {
    says: "the OpenID Provider",
    may: [
      "chassis",
      "drizzle-orm",
      "drizzle-outbox",
      "hono",
      "hono/*",
      "@hono/*",
      "@zxcvbn-ts/language-common",
      "hono-dapr",
      "jose",
      "oidc-provider",
      "valibot",
      "node:*",
      "./*",
      "../*",
      "type:*",
    ],
  },
  "notifications/outside/": {
    says: "mail servers, other people's addresses, and what only they may read",
    may: [
      "chassis",
      "hono-dapr",
      "ipaddr.js",
      "jose",
      "standardwebhooks",
      "valibot",
      "node:*",
      "./*",
      "../*",
      "type:*",
    ],
  },
  "shipping/carriers/": {
    says: "carriers, who sign what they tell",
    may: ["chassis", "standardwebhooks", "valibot", "node:*", "./*", "../*", "type:*"],
  },
  "payments/providers/": {
    says: "payment providers",
    may: ["drizzle-outbox", "drizzle-orm", "stripe", "node:*", "./*", "../*", "type:*"],
  },
};

const impure = /\b(async|await|Date\.now|new Date\(\)|Math\.random|crypto\.|process\.|fetch\(|console\.)/;

/** Reads the imports of a TypeScript file, exports from elsewhere included. */
export function importsOf(code: string): Import[] {
  const pattern = /^\s*(?:import|export)\s+(type\s+)?(?:([^"';]*?)\s+from\s+)?["']([^"']+)["']/gm;
  return [...code.matchAll(pattern)].map(([, type, names = "", from = ""]) => {
    const inner = /^\{(.*)\}$/s.exec(names.trim())?.[1];
    const allTypes = inner
      ?.split(",")
      .filter((name) => name.trim())
      .every((name) => name.trim().startsWith("type "));
    return { from, typeOnly: type !== undefined || allTypes === true };
  });
}

/** Everything in the tree that the rules do not allow. Paths are relative to the repository's root. */
export function violations(files: ReadonlyMap<string, string>): Violation[] {
  return [...files].flatMap(([file, code]) => {
    if (!file.endsWith(".ts") || /\.(test|fixture|d)\.ts$/.test(file)) return [];
    if (file.startsWith("services/")) return inService(file, code);
    if (file.startsWith("packages/")) return inPackage(file, code);
    return [];
  });
}

function inService(file: string, code: string): Violation[] {
  const [, name = "", ...rest] = file.split("/");
  const within = rest.join("/");
  const found: Violation[] = [];
  for (const { from } of importsOf(code)) {
    if (from.startsWith(".") && !normalize(join(dirname(file), from)).startsWith(`services/${name}/`)) {
      found.push({ file, rule: `a service imports from its own folder only, not ${from}` });
    }
    if (from.startsWith("@souk/"))
      found.push({ file, rule: `a service shares no code with another: ${from}` });
    if (from.endsWith(".fixture.ts")) found.push({ file, rule: `fixtures are for tests: ${from}` });
  }
  const adapter = Object.entries(adapters).find(([prefix]) => `${name}/${within}`.startsWith(prefix))?.[1];
  const room = rooms[roomOf(within)];
  const rule =
    adapter && !(room && ["service.ts", "contracts.ts"].includes(within)) ? adapter : (room ?? domain);
  for (const imported of importsOf(code)) {
    if (!rule.may.some((allowed) => allows(allowed, imported))) {
      found.push({
        file,
        rule: `${rule.says}: it must not import ${imported.typeOnly ? "type " : ""}${imported.from}`,
      });
    }
  }
  if (rule === domain) {
    const reached = importsOf(code).find(
      ({ from, typeOnly }) => !typeOnly && from.startsWith("./") && roomOf(from.slice(2)) in rooms,
    );
    if (reached) found.push({ file, rule: `the domain knows no other room: ${reached.from}` });
    const what = impure.exec(withoutComments(code))?.[0];
    if (what) found.push({ file, rule: `the domain is pure: no ${what}` });
  }
  if (!["store.ts", "queries.ts"].includes(roomOf(within)) && !adapter) {
    const drizzle = importsOf(code).find(({ from }) => from.startsWith("drizzle-orm"));
    if (drizzle) found.push({ file, rule: "only store.ts and queries.ts know Drizzle" });
  }
  if (/\.(publish|publishEvents)\(/.test(withoutComments(code))) {
    found.push({ file, rule: "only the relay publishes: commit the event instead" });
  }
  if (/process\.env/.test(withoutComments(code))) {
    found.push({ file, rule: "nothing but the chassis reads the environment" });
  }
  return found;
}

/** A room with much in it has several files: `pricing-routes.ts` is of `routes.ts`. */
const roomOf = (file: string): string => file.replace(/^[a-z]+-(routes|store|contracts)\.ts$/, "$1.ts");

/** What judges the shop is independent of it: it reads stores and logs with what the runtime and `pg` offer. */
const checker = "packages/souk/src/chaos/checker/";
const checkerMay = [
  /^node:/,
  /^bun:sqlite$/,
  /^pg$/,
  /^packages\/souk\/src\/chaos\/(checker\/|answers\.ts$)/,
];

function inPackage(file: string, code: string): Violation[] {
  const [, name = ""] = file.split("/");
  return importsOf(code).flatMap(({ from }) => {
    const target = from.startsWith(".") ? normalize(join(dirname(file), from)) : from;
    if (file.startsWith(checker) && !checkerMay.some((allowed) => allowed.test(target))) {
      return [{ file, rule: `the checker shares no code with what it checks: ${from}` }];
    }
    if (target.startsWith("services/") || from.startsWith("@souk/")) {
      return [{ file, rule: `packages know nothing of shops: ${from}` }];
    }
    if (from.startsWith(".") && !target.startsWith(`packages/${name}/`)) {
      return [{ file, rule: `a package reaches another by its name, not by its path: ${from}` }];
    }
    if (name === "hono-dapr" && ["chassis", "drizzle-outbox", "souk"].includes(from.split("/")[0] ?? "")) {
      return [{ file, rule: `hono-dapr stands alone: ${from}` }];
    }
    if (
      name === "drizzle-outbox" &&
      ["chassis", "hono-dapr", "souk", "hono"].includes(from.split("/")[0] ?? "")
    ) {
      return [{ file, rule: `drizzle-outbox stands alone: ${from}` }];
    }
    return [];
  });
}

function allows(allowed: string, { from, typeOnly }: Import): boolean {
  const forTypes = allowed.startsWith("type:");
  if (forTypes && !typeOnly) return false;
  const pattern = forTypes ? allowed.slice(5) : allowed;
  return pattern.endsWith("*") ? from.startsWith(pattern.slice(0, -1)) : from === pattern;
}

const withoutComments = (code: string): string =>
  code.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|\s)\/\/.*$/gm, "$1");
