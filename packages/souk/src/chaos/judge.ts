/**
 * The checker in a process of its own: it reads and compares for seconds, and whoever carries the connections of a
 * running shop must not stand still for so long.
 */

import { readFacts } from "./checker/facts.ts";
import { told } from "./checker/history.ts";
import { type CheckOptions, judge, type Verdict } from "./checker/index.ts";

export interface Judged {
  verdict: Verdict;
  /** The whole history of orders of which something does not hold. */
  histories: string[];
}

type Place = Omit<CheckOptions, "explainedDeadLetters">;

const mostHistories = 50;

/** @throws {Error} with the checker's own words, when it cannot look at the shop */
export async function judged(place: Place): Promise<Judged> {
  const child = Bun.spawn([process.execPath, import.meta.path, JSON.stringify(place)], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [said, complaint, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code !== 0) throw new Error(`The checker could not look at the shop: ${complaint.trim() || code}`);
  return JSON.parse(said) as Judged;
}

if (import.meta.main) {
  const facts = await readFacts(JSON.parse(process.argv[2] ?? "{}") as CheckOptions);
  const verdict = judge(facts);
  const orders = new Set(verdict.violations.flatMap(({ orderId }) => orderId ?? []));
  const histories = [...orders].slice(0, mostHistories).map((id) => told(facts, id));
  await Bun.write(Bun.stdout, JSON.stringify({ verdict, histories } satisfies Judged));
}
