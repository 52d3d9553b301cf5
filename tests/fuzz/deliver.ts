import type { Delivery } from "./events.ts";
import type { Fixture } from "./fixtures.ts";
import type { Violation } from "./oracle.ts";
import { type Answer, fill, patience, type Sent } from "./target.ts";

type Status = "SUCCESS" | "RETRY" | "DROP";

/** A delivery as the sidecar sends it. */
export function sentOf({ topic, text }: Delivery, target: Fixture): Sent {
  const filled = fill(text, target, (value) => JSON.stringify(value).slice(1, -1));
  return {
    method: "POST",
    path: `/_events/${encodeURIComponent(topic)}`,
    headers: [["content-type", "application/json"]],
    as: "guest",
    body: new Uint8Array(Buffer.from(filled)),
    chunked: false,
  };
}

/**
 * What becomes of events: what fits has its effect or changes nothing, what does not fit becomes a dead letter with
 * a reason. No handler fails, since nothing that it needs is away.
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
  const events = batch ? body.entries.map((entry) => (isObject(entry) ? entry.event : undefined)) : [body];
  const said = statusesOf(answer, batch);
  if (said?.length !== events.length) return say("an answer that daprd does not understand", answer.text);
  if (said.some((status) => status !== "SUCCESS")) return say(`answered ${said.join()}`, events);
  const after = await counts(target);
  const misfits = events.filter((event) => !fits(event, delivery.topic, target));
  const failed = after.failed - before.failed;
  if (failed > misfits.length) return say("a handler failed", events);
  // Letters that are replayed meanwhile may die again.
  if (after.dead - before.dead < misfits.length) {
    return say(`${after.dead - before.dead} of ${misfits.length} misfits given up`, misfits);
  }
  for (const event of misfits) {
    const id = isObject(event) && typeof event.id === "string" ? event.id : "";
    if (target.service === "gateway" || delivery.topic.endsWith("-dead") || !/^[\w-]{1,255}$/.test(id))
      continue;
    const kept = await target.app.request(`/dead-letters/${id}`, { scopes: ["ops"] });
    const text = await kept.text();
    if (kept.status !== 200 || !/"reason":"[^"]/.test(text)) return say("no dead letter that says why", text);
  }
  return undefined;
}

/** How many events could not be handled so far, and how many of them were given up. */
async function counts({ app }: Fixture): Promise<{ failed: number; dead: number }> {
  const text = await (await app.request("/metrics")).text();
  const sum = (result: string): number =>
    [
      ...text.matchAll(new RegExp(`^souk_reactions_total\\{.*result="(?:${result})".*\\} (\\d+)$`, "gm")),
    ].reduce((all, [, count]) => all + Number(count), 0);
  return { failed: sum("failed"), dead: sum("dead|given-up") };
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
