import type { Change, DeadLetterStatus, DeadLetters, KeptDeadLetter } from "drizzle-outbox";
import { Hono } from "hono";
import { allow } from "./access.ts";
import { body, query } from "./body.ts";
import { after, Discard, Letter, List, Query, Replayed, Selection, summary, view } from "./dead-letter.ts";
import { problems, says } from "./describe.ts";
import { cacheable, etag } from "./etag.ts";
import { idempotent } from "./idempotency.ts";
import { replayOf } from "./inbound.ts";
import type { Env } from "./kit.ts";
import { isPlace, type Place, page, readWindow } from "./page.ts";
import { notFound, Problem } from "./problem.ts";
import { router, type Service } from "./service.ts";
import { transact } from "./transact.ts";

/** Letters a commit, when many are replayed at once. */
const together = 200;

/**
 * The events that this service could not handle: list, show, replay, discard. Every service with a store has them.
 * A replayed event goes through its handler as if it had just come, so one that had its effect has none again.
 */
export const deadLetterRoutes = () =>
  router<unknown>()
    .get(
      "/dead-letters",
      says("List the events that could not be handled, the latest first", {
        200: List,
        ...problems(400, 401, 403),
      }),
      allow("ops"),
      query(Query),
      async (c) => {
        const { status, topic, type, ...paging } = c.req.valid("query");
        const { limit, after } = readWindow(paging, isPlace);
        const open: DeadLetterStatus[] = status ? [status] : ["dead", "replaying"];
        const rows = await c.var.unit.deadLetters.list({
          status: open,
          topic,
          type,
          after,
          limit: limit + 1,
        });
        const place = ({ at, id }: KeptDeadLetter): Place => ({ at, id });
        const list = page(rows, limit, place, (row) => summary(row, c.var.kit.config.name));
        return cacheable(c, list, "no-store");
      },
    )
    .post(
      "/dead-letters/replay",
      says("Handle events again: all that are dead, or those of a topic, a type, or from before a time", {
        202: Replayed,
        ...problems(400, 401, 403, 409, 415),
      }),
      allow("ops"),
      body(Selection),
      idempotent(),
      async (c) => {
        const { unit, kit, caller, trace } = c.var;
        const { topic, type, before } = c.req.valid("json");
        const chosen = { status: ["dead" as const], topic, type };
        // What dies again while this goes on is not taken a second time.
        const until = Math.min(
          kit.now() + 1,
          before === undefined ? Number.MAX_SAFE_INTEGER : Date.parse(before),
        );
        const some = () => unit.deadLetters.list({ ...chosen, before: until, limit: together });
        const change = (letters: KeptDeadLetter[]): Change => {
          const each = letters.map((letter) => replay(unit.deadLetters, letter, caller.id, kit.now()));
          return {
            writes: each.flatMap(({ writes = [] }) => writes),
            jobs: each.flatMap(({ jobs }) => jobs),
          };
        };
        let replayed = 0;
        return transact(c, async () => {
          let letters = await some();
          for (; letters.length === together; letters = await some()) {
            await unit.commit(change(letters), trace);
            replayed += letters.length;
          }
          return { change: change(letters), status: 202, body: { replayed: replayed + letters.length } };
        });
      },
    )
    .get(
      "/dead-letters/:id",
      says("Show an event that could not be handled, with the reason, the event and what was done about it", {
        200: Letter,
        ...problems(401, 403, 404),
      }),
      allow("ops"),
      async (c) => {
        const letter = found(await c.var.unit.deadLetters.get(c.req.param("id")));
        return cacheable(c, view(letter, c.var.kit.config.name), "no-store", etag(letter.version));
      },
    )
    .post(
      "/dead-letters/:id/replay",
      says("Handle the event again", { 202: Letter, ...problems(400, 401, 403, 404, 409) }),
      allow("ops"),
      idempotent(),
      async (c) =>
        transact(c, async () => {
          const { unit, kit, caller } = c.var;
          const letter = found(await unit.deadLetters.get(c.req.param("id")));
          // It is under way already: asking twice is asking once.
          if (letter.status === "replaying") return { status: 202, body: view(letter, kit.config.name) };
          const by = caller.id;
          const change = replay(unit.deadLetters, letter, by, kit.now());
          return { change, status: 202, body: after(letter, { status: "replaying", by }, c.var.kit) };
        }),
    )
    .post(
      "/dead-letters/:id/discard",
      says("Leave the event unhandled, with a note that says why", {
        200: Letter,
        ...problems(400, 401, 403, 404, 409, 415),
      }),
      allow("ops"),
      body(Discard),
      idempotent(),
      async (c) =>
        transact(c, async () => {
          const { unit, caller } = c.var;
          const letter = found(await unit.deadLetters.get(c.req.param("id")));
          if (letter.status !== "dead") throw undecidable(letter);
          const step = { status: "discarded" as const, by: caller.id, note: c.req.valid("json").note };
          return {
            change: unit.deadLetters.step(letter, step),
            status: 200,
            body: after(letter, step, c.var.kit),
          };
        }),
    );

/** All that a service answers to: its own routes, and those of its dead letters. */
export const routesOf = <S>(definition: Service<S>): Hono<Env<S>> =>
  definition.store
    ? new Hono<Env<S>>().route("/", definition.routes).route("/", deadLetterRoutes())
    : definition.routes;

/** The letter's next step, and the job that hands its event to the handler, committed together. */
function replay(letters: DeadLetters, letter: KeptDeadLetter, by: string, at: number) {
  return { ...letters.step(letter, { status: "replaying", by }), jobs: [replayOf(letter, at)] };
}

function found(letter: KeptDeadLetter | undefined): KeptDeadLetter {
  if (letter === undefined) throw notFound("A dead letter with this id");
  return letter;
}

const undecidable = ({ status }: KeptDeadLetter): Problem =>
  new Problem(409, {
    code: "not-dead",
    detail:
      status === "replaying"
        ? "It is being replayed: wait for what comes of it"
        : `It is ${status} already: there is nothing to discard`,
  });
