import {
  allow,
  body,
  cursorOf,
  type Env,
  type Page,
  Problem,
  problems,
  readWindow,
  router,
  says,
} from "chassis";
import type { Context } from "hono";
import { DeadLetter, DeadLetterNote, DeadLetterReplay, DeadLetterReplays, DeadLetters } from "./contracts.ts";
import type { Memory } from "./edge.ts";
import { forward, forwardWhole, passBack } from "./forward.ts";
import { asked } from "./paths.ts";
import { behind, type Way } from "./ways.ts";

/** The dead letters of all services, as one list; each letter is answered by the service that keeps it. */
export const deadLetterPaths: Pick<Way, "path" | "methods">[] = [
  { path: "/api/dead-letters", methods: ["GET"] },
  { path: "/api/dead-letters/replay", methods: ["POST"] },
  { path: "/api/dead-letters/:service/:id", methods: ["GET"] },
  { path: "/api/dead-letters/:service/:id/replay", methods: ["POST"] },
  { path: "/api/dead-letters/:service/:id/discard", methods: ["POST"] },
];

/** What is needed of a letter to put it in its place. */
interface Letter {
  id: string;
  service: string;
  since: string;
}

/** A service that could not answer, and why. */
interface Missing {
  service: string;
  detail: string;
}

const prefix = "/api/dead-letters";
const wayTo = (service: string): Way => ({ path: prefix, service, methods: ["GET", "POST"] });

const key = { "Idempotency-Key": "The same key and body: the same answer, once. Kept 24 hours." };
const lists = { 200: DeadLetters, 304: "never" as const, ...problems(400, 503) };
const replays = { 202: DeadLetterReplays, ...problems(400, 404, 415, 503) };

export const deadLetters = router<Memory>()
  .get(
    prefix,
    says("The events that no service could handle, the latest first", lists),
    allow("ops"),
    async (c) => {
      const { limit: _, cursor: __, ...filter } = c.req.query();
      const { limit, after } = readWindow(c.req.query(), isPlaces);
      const { answers, missing } = await ofAll(behind, async (service) => {
        const query = new URLSearchParams({ ...filter, limit: String(limit) });
        const from = after?.[service];
        if (from !== undefined) query.set("cursor", from);
        const answer = await forwardWhole(c, wayTo(service), { target: `/dead-letters?${query}` });
        return read<Page<Letter>>(answer.status, answer.body);
      });
      const items = merged(
        answers.map(([, page]) => page.items),
        limit,
      );
      const given = answers.reduce((sum, [, page]) => sum + page.items.length, 0);
      const more = given > items.length || answers.some(([, page]) => page.nextCursor !== null);
      const places = { ...after };
      for (const { service, since, id } of items) places[service] = cursorOf({ at: Date.parse(since), id });
      const nextCursor = more ? cursorOf(places) : null;
      return c.json({ items, nextCursor, missing }, 200, { "cache-control": "no-store" });
    },
  )
  .post(
    `${prefix}/replay`,
    says("Handle events again: all, or those of a service, a topic, a type", replays, undefined, key),
    allow("ops"),
    body(DeadLetterReplay),
    async (c) => {
      const { service: only, ...selection } = c.req.valid("json");
      if (only !== undefined) known(only);
      const { answers, missing } = await ofAll(only === undefined ? behind : [only], async (service) => {
        const onward = { target: "/dead-letters/replay", body: JSON.stringify(selection) };
        const answer = await forwardWhole(c, wayTo(service), onward);
        return read<{ replayed: number }>(answer.status, answer.body);
      });
      const services = answers.map(([service, { replayed }]) => ({ service, replayed }));
      const replayed = services.reduce((sum, one) => sum + one.replayed, 0);
      return c.json({ replayed, services, missing }, 202, { "cache-control": "no-store" });
    },
  )
  .get(
    `${prefix}/:service/:id`,
    says("An event that could not be handled: why, and what was done about it", {
      200: DeadLetter,
      ...problems(404, 503),
    }),
    allow("ops"),
    (c) => toItsService(c, c.req.param("service")),
  )
  .post(
    `${prefix}/:service/:id/replay`,
    says("Handle the event again", { 202: DeadLetter, ...problems(404, 409, 503) }, undefined, key),
    allow("ops"),
    (c) => toItsService(c, c.req.param("service")),
  )
  .post(
    `${prefix}/:service/:id/discard`,
    says(
      "Leave the event unhandled, with a note that says why",
      { 200: DeadLetter, ...problems(400, 404, 409, 415, 503) },
      { "application/json": DeadLetterNote },
      key,
    ),
    allow("ops"),
    (c) => toItsService(c, c.req.param("service")),
  );

async function toItsService(c: Context<Env<Memory>>, service: string): Promise<Response> {
  known(service);
  // Its name has no character that could be written in another way, so the rest is the service's own path.
  const target = `/dead-letters${asked(c.req.url).target.slice(prefix.length + 1 + service.length)}`;
  const way = wayTo(service);
  return passBack(c, way, await forward(c, way, { target }));
}

function known(service: string): void {
  if (!behind.includes(service)) {
    const names = behind.join(", ");
    throw new Problem(404, {
      code: "not-found",
      detail: `There is no service ${service}: there are ${names}`,
    });
  }
}

/**
 * Asks several services at once. Those that cannot answer are named, so that one that is down does not hide the others.
 * @throws {Problem} what the request itself is wrong about, and the first trouble when nobody answers
 */
async function ofAll<T>(
  services: string[],
  ask: (service: string) => Promise<T>,
): Promise<{ answers: [string, T][]; missing: Missing[] }> {
  const answers: [string, T][] = [];
  const missing: Missing[] = [];
  let trouble: unknown;
  await Promise.all(
    services.map(async (service) => {
      try {
        answers.push([service, await ask(service)]);
      } catch (error) {
        if (!(error instanceof Problem) || error.status < 500) throw error;
        trouble ??= error;
        missing.push({ service, detail: error.message });
      }
    }),
  );
  if (answers.length === 0) throw trouble;
  const byName = (a: string, b: string): number => (a < b ? -1 : 1);
  return {
    answers: answers.sort(([a], [b]) => byName(a, b)),
    missing: missing.sort((a, b) => byName(a.service, b.service)),
  };
}

/** The body of an answer; a refusal is thrown as it was given. */
function read<T>(status: number, bytes: ArrayBuffer): T {
  const said: unknown = JSON.parse(new TextDecoder().decode(bytes));
  if (status < 400) return said as T;
  const { code = "refused", detail = "", errors } = said as { code?: string; detail?: string; errors?: [] };
  throw new Problem(status, { code, detail, errors });
}

/** The latest of several lists, each of which keeps its own order: of its last one taken it can go on. */
function merged(lists: Letter[][], limit: number): Letter[] {
  const rest = lists.map((list) => [...list]);
  const items: Letter[] = [];
  while (items.length < limit) {
    const [first] = rest
      .filter(([head]) => head !== undefined)
      .sort(([a], [b]) => Date.parse(b?.since ?? "") - Date.parse(a?.since ?? ""));
    const next = first?.shift();
    if (next === undefined) break;
    items.push(next);
  }
  return items;
}

const isPlaces = (value: unknown): value is Record<string, string> =>
  typeof value === "object" &&
  value !== null &&
  Object.values(value).every((place) => typeof place === "string");
