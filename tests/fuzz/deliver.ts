import type { Delivery } from "./events.ts";
import type { Fixture } from "./fixtures.ts";
import type { Violation } from "./oracle.ts";
import { type Answer, fill, patience, type Sent } from "./target.ts";

type Status = "SUCCESS" | "RETRY" | "DROP";

/** A delivery as the sidecar sends it. */
export function sentOf({ topic, text }: Delivery, target: Fixture): Sent {
  const filled = asHanded(fill(text, target, (value) => JSON.stringify(value).slice(1, -1)));
  return {
    method: "POST",
    path: `/_events/${encodeURIComponent(topic)}`,
    headers: [["content-type", "application/json"]],
    as: "guest",
    body: new Uint8Array(Buffer.from(filled)),
    chunked: false,
  };
}

/** The events of a batch are handed over as they lie in the broker: their JSON, in base64. */
function asHanded(text: string): string {
  const body = read(text);
  if (!isBatch(body)) return text;
  const entries = body.entries.map((entry) => {
    if (!isObject(entry)) return entry;
    const event = Buffer.from(JSON.stringify(entry.event) ?? "").toString("base64");
    return { ...entry, event, contentType: "application/octet-stream" };
  });
  return JSON.stringify({ ...body, entries });
}

const eventIn = (entry: unknown): unknown =>
  isObject(entry) ? read(Buffer.from(String(entry.event), "base64").toString()) : undefined;

/** Why a service gives up what fits: it contradicts what the service knows. */
const contradictions: Record<string, RegExp> = {
  shipping: /"reason":"The shipment .* is of another order, /,
};

/**
 * What becomes of events: what fits has its effect, changes nothing, waits for what it follows from or contradicts what is
 * known; what does not fit becomes a dead letter with a reason. No handler fails, since nothing that it needs is away.
 */
export async function judgeDelivery(
  delivery: Delivery,
  sent: Sent,
  target: Fixture,
): Promise<Violation | undefined> {
  const say = (rule: string, detail: unknown): Violation => ({
    rule: `event: ${rule}`,
    detail: (typeof detail === "string" ? detail : (JSON.stringify(detail) ?? "nothing")).slice(0, 1_000),
  });
  const before = await counts(target);
  const answer = await target.send(sent);
  const body = read(new TextDecoder().decode(sent.body));
  // What is no JSON at all is for the sidecar to give up: it has put everything into an envelope.
  if (body === undefined && answer.status === 400) return undefined;
  if (answer.status !== 200) return say(`answered ${answer.status}`, answer.text);
  if (answer.ms > patience) return say("slow", `${Math.round(answer.ms)} ms`);
  const batch = isBatch(body);
  const events = batch ? body.entries.map(eventIn) : [body];
  const said = statusesOf(answer, batch);
  if (said?.length !== events.length) return say("an answer that daprd does not understand", answer.text);
  if (said.some((status) => status !== "SUCCESS")) return say(`answered ${said.join()}`, events);
  const after = await counts(target);
  const misfits = events.filter((event) => !fits(event, delivery.topic, target));
  // Of many letters of one thing that are replayed at once, some are in each other's way for a while.
  if (after.failed > before.failed && !(await replays(target))) return say("a handler failed", events);
  // Letters that are replayed meanwhile may die again.
  if (after.dead - before.dead < misfits.length) {
    return say(`${after.dead - before.dead} of ${misfits.length} misfits given up`, misfits);
  }
  if (target.service === "gateway" || delivery.topic.endsWith("-dead")) return undefined;
  for (const event of misfits) {
    const id = idOf(event);
    if (!/^[\w-]{1,255}$/.test(id)) continue;
    const { status, text } = await letter(id, target);
    if (status !== 200 || !/"reason":"[^"]/.test(text)) return say("no dead letter that says why", text);
  }
  if (after.dead - before.dead === misfits.length) return undefined;
  for (const event of events.filter((event) => !misfits.includes(event))) {
    const id = idOf(event);
    // Under an id that others have, too, there may be a letter of theirs.
    if (!uuid.test(id)) continue;
    const { status, text } = await letter(id, target);
    if (status === 200 && !contradictions[target.service]?.test(text))
      return say("given up although it fits", text);
  }
  return undefined;
}

const uuid = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/;
const idOf = (event: unknown): string => (isObject(event) && typeof event.id === "string" ? event.id : "");

async function letter(id: string, { app }: Fixture): Promise<{ status: number; text: string }> {
  const kept = await app.request(`/dead-letters/${id}`, { scopes: ["ops"] });
  return { status: kept.status, text: await kept.text() };
}

/** How many events could not be handled so far, and how many of them were given up. */
async function counts({ app }: Fixture): Promise<{ failed: number; dead: number }> {
  const text = await (await app.request("/metrics")).text();
  // Line by line: the name of a type may hold what a RegExp takes for the end of one.
  const all = text.split("\n").filter((line) => line.startsWith("souk_reactions_total{"));
  const sum = (...results: string[]): number =>
    all
      .filter((line) => results.includes(/,result="([\w-]+)",service="[\w-]+"\} \d+$/.exec(line)?.[1] ?? ""))
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
  return { failed: sum("failed"), dead: sum("dead", "given-up") };
}

/** Whether letters are being replayed. */
async function replays({ app }: Fixture): Promise<boolean> {
  const listed = await app.request("/dead-letters?status=replaying&limit=1", { scopes: ["ops"] });
  return listed.ok && ((await listed.json()) as { items: unknown[] }).items.length > 0;
}

/** By the schema with which the service reads this type of event; a type that it does not read always fits. */
function fits(event: unknown, topic: string, { service, reactions }: Fixture): boolean {
  if (topic === `${service}-dead`) return false;
  if (!isObject(event) || typeof event.type !== "string" || typeof event.id !== "string") return false;
  const reaction = reactions.find(({ type }) => type.topic === topic && type.type === event.type);
  if (reaction === undefined) return true;
  const result = reaction.type.schema["~standard"].validate(event.data);
  if (result instanceof Promise) throw new TypeError("the schema of an event must be synchronous");
  return !result.issues;
}

function statusesOf({ text }: Answer, batch: boolean): Status[] | undefined {
  const body = read(text) as
    | { status?: Status; statuses?: { entryId: string; status: Status }[] }
    | undefined;
  const said = batch ? body?.statuses?.map(({ status }) => status) : [body?.status as Status];
  return said?.every((status) => ["SUCCESS", "RETRY", "DROP"].includes(status)) ? said : undefined;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isBatch = (body: unknown): body is { entries: unknown[] } =>
  isObject(body) && Array.isArray(body.entries) && body.specversion === undefined;

function read(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
