import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { type Operation, operationAt } from "./contract.ts";
import { judgeDelivery, sentOf } from "./deliver.ts";
import { type Delivery, deliveries } from "./events.ts";
import type { Fixture } from "./fixtures.ts";
import { judge, type Violation } from "./oracle.ts";
import { type Ask, honest, spoiled, wild } from "./request.ts";
import type { Hints } from "./schema.ts";
import type { ShopTarget } from "./shop.ts";
import { curl, type Memory, prepare, type Sent, type Target } from "./target.ts";

/** One case: requests one after the other, a delivery of events, or bytes that are no proper request. */
export type Case = { steps: Ask[] } | { delivery: Delivery } | { broken: { what: string; text: string } };

/** A way in which the shop breaks its word, in the smallest case that was found. */
export interface Failure extends Violation {
  /** The operation or topic. */
  where: string;
  commands: string[];
  seed: number;
  /** fast-check's path to the case. */
  path: string;
}

export interface CampaignOptions {
  cases: number;
  seed: number;
  /** Runs this one case only. */
  path?: string;
  /** Told after each case; what it throws ends the campaign. */
  after?(done: number): Promise<Failure | undefined> | undefined;
}

/** How many different failures are looked for before it is enough. */
const enough = 12;

/** The cases for a target's operations and topics. */
export function casesOf(operations: Operation[], hints: Hints, topics: string[]): fc.Arbitrary<Case> {
  const one: fc.Arbitrary<Ask> = fc.oneof(
    ...operations.flatMap((operation) => [
      { weight: 30, arbitrary: honest(operation, hints) },
      { weight: 40, arbitrary: spoiled(operation, hints, "nearly") },
      { weight: 30, arbitrary: spoiled(operation, hints, "hostile") },
    ]),
    { weight: 5 * operations.length, arbitrary: wild(operations) },
  );
  // Of one thing, so that the steps meet; a step may come twice.
  const story = fc
    .tuple(fc.nat(11), fc.array(one, { minLength: 2, maxLength: 5 }), fc.nat(4))
    .map(([which, asks, again]) =>
      [...asks, ...asks.slice(again, again + 1)].map((ask) => ({
        ...ask,
        path: ask.path.replace(/\{\{(\w+):\d+\}\}/g, `{{$1:${which}}}`),
      })),
    );
  const steps = fc.oneof({ weight: 4, arbitrary: one.map((ask) => [ask]) }, { weight: 1, arbitrary: story });
  const requests = { weight: 3, arbitrary: steps.map((asks): Case => ({ steps: asks })) };
  if (topics.length === 0) return requests.arbitrary;
  return fc.oneof(requests, {
    weight: 1,
    arbitrary: deliveries(topics, hints).map((delivery): Case => ({ delivery })),
  });
}

/** Runs cases against a target, until all are through or enough different failures are found, each made small. */
export async function campaign(
  target: Target & Partial<Fixture & ShopTarget>,
  cases: fc.Arbitrary<Case>,
  operations: Operation[],
  { cases: wanted, seed: first, path, after }: CampaignOptions,
): Promise<Failure[]> {
  const failures: Failure[] = [];
  const reported = new Set<string>();
  let done = 0;
  for (let seed = first; done < wanted && failures.length < enough; seed++) {
    let pursued: string | undefined;
    let last: Broken | undefined;
    const property = fc.asyncProperty(cases, async (one) => {
      // A path that leads to a case that passes goes on to the cases beside it.
      if (path && done === 1 && pursued === undefined) return;
      const broken = await run(one, target, operations);
      // Relay and jobs want their turn.
      await turn();
      if (pursued === undefined) {
        done++;
        const failure = await after?.(done);
        if (failure && !reported.has(signature(failure))) {
          reported.add(signature(failure));
          failures.push(failure);
        }
      }
      if (broken === undefined || reported.has(signature(broken))) return;
      // While one failure is made smaller, another one that shows up is left for later.
      if (pursued !== undefined && pursued !== signature(broken)) return;
      pursued = signature(broken);
      last = broken;
      throw new Error(broken.rule);
    });
    const result = await fc.check(property, {
      seed,
      numRuns: path ? 1 : wanted - done,
      ...(path ? { path } : {}),
      ignoreEqualValues: false,
    });
    if (result.failed && last) {
      reported.add(signature(last));
      failures.push({ ...last, seed, path: result.counterexamplePath ?? "" });
    } else if (result.failed) throw result.errorInstance ?? new Error("a case could not be run");
    if (path) break;
  }
  return failures;
}

type Broken = Violation & { where: string; commands: string[] };

const signature = ({ where, rule }: { where: string; rule: string }): string => `${where} ${rule}`;

async function run(
  one: Case,
  target: Target & Partial<Fixture & ShopTarget>,
  operations: Operation[],
): Promise<Broken | undefined> {
  if ("broken" in one) {
    const violation = await target.broken?.(one.broken.text);
    return (
      violation && {
        ...violation,
        where: `broken HTTP (${one.broken.what})`,
        commands: [JSON.stringify(one.broken.text.slice(0, 2_000))],
      }
    );
  }
  if ("delivery" in one) {
    const fixture = target as Fixture;
    const sent = sentOf(one.delivery, fixture);
    const violation = await judgeDelivery(one.delivery, sent, fixture);
    return violation && { ...violation, where: `topic ${one.delivery.topic}`, commands: [curl(sent)] };
  }
  const memory: Memory = {};
  const commands: string[] = [];
  const answered = new Map<string, { status: number; text: string }>();
  for (const ask of one.steps) {
    const sent = await prepare(ask, target, memory);
    const answer = await target.send(sent);
    commands.push(curl(sent));
    // What the HTTP server itself cannot read, or finds too long, it refuses without a word.
    if (target.broken && [400, 431].includes(answer.status) && answer.text === "") continue;
    const bare = resolved(sent.path);
    const operation = operationAt(operations, sent.method, bare, target.prefix);
    const where = `${sent.method} ${operation?.path ?? "elsewhere"}`;
    const violation = judge(ask, sent, answer, operation) ?? repeated(sent, answer, answered);
    if (violation)
      return {
        ...violation,
        where,
        commands: [...commands, `→ ${answer.status} ${answer.text.slice(0, 300)}`],
      };
  }
  return undefined;
}

/** The path as a server reads it: without the query, and with its steps up taken. */
function resolved(path: string): string {
  const bare = path.split("?")[0] ?? "";
  return URL.canParse(`http://x${bare}`) ? new URL(`http://x${bare}`).pathname : bare;
}

/** Who asks twice (for anything but a token) with one Idempotency-Key gets one answer. */
function repeated(
  sent: Sent,
  { status, text }: { status: number; text: string },
  answered: Map<string, { status: number; text: string }>,
): Violation | undefined {
  if (
    sent.method !== "POST" ||
    sent.path.startsWith("/token") ||
    !sent.headers.some(([name, value]) => name === "idempotency-key" && value.trim() !== "")
  )
    return undefined;
  const id = JSON.stringify({ ...sent, body: sent.body && Buffer.from(sent.body).toString("base64") });
  const before = answered.get(id);
  answered.set(id, { status, text });
  if (before === undefined || before.status >= 300 || (before.status === status && before.text === text))
    return undefined;
  return {
    rule: "another answer under the same Idempotency-Key",
    detail: `${before.status} ${before.text.slice(0, 200)}, then ${status} ${text.slice(0, 200)}`,
  };
}
