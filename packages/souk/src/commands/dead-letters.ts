import { setTimeout as pause } from "node:timers/promises";
import type { Command } from "commander";
import type { Api } from "../api-client.ts";
import { green, red } from "../terminal.ts";
import { type Asking, asking, open as openApi, print } from "./asking.ts";
import type { Context } from "./context.ts";
import { clean, type DeadLetter, rows, type WholeLetter, whole } from "./dead-letters-text.ts";

interface Filter extends Asking {
  status?: string;
  topic?: string;
  type?: string;
  before?: string;
  all?: boolean;
}

// A replay tries four times within about a second; the service may be busy, or starting.
const patienceMs = 60_000;

/** Registers `dead-letters`: list, show, replay, discard. */
export function deadLettersCommand(program: Command, context: Context): void {
  const letters = program
    .command("dead-letters")
    .description("events that a service could not handle: list, show, replay, discard");
  const sub = (name: string, description: string, isDefault = false): Command =>
    asking(letters.command(name, { isDefault }).description(description));
  const open = (options: Asking): Promise<Api> => openApi(context, options);

  sub(
    "list [service]",
    "what waits for a decision, the latest first; exit code 1 when a service did not answer",
    true,
  )
    .option("--status <status>", "dead, replaying, resolved or discarded (default: the first two)")
    .option("--topic <topic>", "of this topic")
    .option("--type <type>", "of this type, such as order.placed")
    .action(async (service: string | undefined, options: Filter) =>
      list(await open(options), service, options),
    );
  sub("show <service> <id>", "one of them: reason, event, history").action(
    async (service: string, id: string, options: Asking) => {
      const { body } = await (await open(options)).call<WholeLetter>(pathOf(service, id));
      print(options, body, () => whole(body));
    },
  );
  sub(
    "replay [service] [id]",
    "hand events to their handlers again, and wait for what comes of it; exit code 1 when one is dead again",
  )
    .option("--all", "all that are dead, of the service or of all services")
    .option("--topic <topic>", "with --all: of this topic")
    .option("--type <type>", "with --all: of this type")
    .option("--before <time>", "with --all: dead since before this time (RFC 3339)")
    .action(async (service: string | undefined, id: string | undefined, options: Filter) => {
      if (options.all ? id !== undefined : service === undefined || id === undefined) {
        throw new Error("Name the service and the id of one event, or say --all");
      }
      const api = await open(options);
      if (service !== undefined && id !== undefined) await replayOne(api, service, id, options);
      else await replayAll(api, service, options);
    });
  sub("discard <service> <id>", "leave one unhandled; who, when and the note are kept")
    .requiredOption("--note <text>", "why")
    .action(async (service: string, id: string, options: Asking & { note: string }) => {
      const path = `${pathOf(service, id)}/discard`;
      const { body } = await (await open(options)).call<WholeLetter>(path, {
        method: "POST",
        body: { note: options.note },
      });
      print(options, body, () => `${clean(id)} is discarded`);
    });
}

const pathOf = (service: string, id: string): string =>
  `/api/dead-letters/${encodeURIComponent(service)}/${encodeURIComponent(id)}`;

interface Page {
  items: DeadLetter[];
  nextCursor: string | null;
  missing: { service: string; detail: string }[];
}

/** Every letter of a filter; which services did not answer is said by the first page. */
async function all(api: Api, filter: Record<string, string | undefined>): Promise<Omit<Page, "nextCursor">> {
  const given = Object.entries(filter).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const query = new URLSearchParams([["limit", "100"], ...given]);
  const items: DeadLetter[] = [];
  let missing: Page["missing"] | undefined;
  for (;;) {
    const { body } = await api.call<Page>(`/api/dead-letters?${query}`);
    items.push(...body.items);
    missing ??= body.missing;
    if (body.nextCursor === null) return { items, missing };
    query.set("cursor", body.nextCursor);
  }
}

async function list(api: Api, service: string | undefined, options: Filter): Promise<void> {
  const { status, topic, type } = options;
  const found = await all(api, { status, topic, type });
  const items = found.items.filter((letter) => service === undefined || letter.service === service);
  const missing = found.missing.filter((one) => service === undefined || one.service === service);
  print(options, { items, missing }, () => (items.length > 0 ? rows(items) : "There are none."));
  for (const one of missing)
    process.stderr.write(`${red(`${one.service} is missing: ${clean(one.detail)}`)}\n`);
  if (missing.length > 0) process.exitCode = 1;
}

async function replayOne(api: Api, service: string, id: string, options: Asking): Promise<void> {
  const path = pathOf(service, id);
  await api.call(`${path}/replay`, { method: "POST" });
  let letter: WholeLetter | undefined;
  await until(`${id} is through`, async () => {
    letter = (await api.call<WholeLetter>(path)).body;
    return letter.status !== "replaying";
  });
  if (!letter) return;
  const { status, reason } = letter;
  print(options, letter, () =>
    status === "resolved"
      ? green(`${clean(id)} is handled`)
      : red(`${clean(id)} is ${status} again: ${clean(reason)}`),
  );
  if (status !== "resolved") process.exitCode = 1;
}

async function replayAll(api: Api, service: string | undefined, options: Filter): Promise<void> {
  const { topic, type, before } = options;
  const started = Date.now();
  const { body } = await api.call<{ replayed: number; missing: Page["missing"] }>(
    "/api/dead-letters/replay",
    {
      method: "POST",
      body: { service, topic, type, before },
    },
  );
  const mine = (letter: DeadLetter): boolean => service === undefined || letter.service === service;
  const some = async (status: string) => (await all(api, { status, topic, type })).items.filter(mine);
  await until("all are through", async () => (await some("replaying")).length === 0);
  const dead = (await some("dead")).filter(({ since }) => Date.parse(since) >= started);
  const { replayed, missing } = body;
  print(options, { replayed, dead, missing }, () => {
    const said = `${replayed} replayed, ${dead.length} dead again`;
    return dead.length > 0 ? `${rows(dead)}\n\n${red(said)}` : green(said);
  });
  for (const one of missing)
    process.stderr.write(`${red(`${one.service} is missing: ${clean(one.detail)}`)}\n`);
  if (dead.length > 0 || missing.length > 0) process.exitCode = 1;
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + patienceMs;
  while (!(await holds())) {
    if (performance.now() > end)
      throw new Error(`Not within ${patienceMs / 1000} s: ${what}. Look again later.`);
    await pause(100);
  }
}
