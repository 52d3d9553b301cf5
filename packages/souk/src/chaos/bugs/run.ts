/** Runs a shop with a planted bug, and sees whether the checker finds it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { startShop } from "../../shop.ts";
import { type CheckOptions, check, pending, type RuleName, type Verdict } from "../checker/index.ts";
import { apply, copyCheckout } from "./copy.ts";
import { deadlineOf, environment, load } from "./load.ts";
import { type Bug, everyFault, everyTrouble, faults } from "./planted.ts";

export interface Found {
  name: string;
  /** The rules that were broken, each with how often. */
  broken: Map<RuleName, number>;
  /** The rules of which one has to find the bug. */
  expected: RuleName[];
  /** One of them did; of the shop without a bug: none was broken. */
  right: boolean;
  verdict: Verdict;
  ms: number;
}

/** So long a violation must stay before it counts in a shop that does not come to rest. */
const stillMs = 3_000;
/** So long a shop may need to come to rest. */
const atMostMs = 40_000;

/**
 * Copies the checkout `root`, plants the bug, puts the shop through the load and checks it.
 * @param bug none: the shop as it is, with every fault and all trouble; it has to come out clean
 */
export async function run(root: string, bug: Bug | undefined, signal?: AbortSignal): Promise<Found> {
  const began = performance.now();
  const folder = mkdtempSync(join(tmpdir(), "souk-bug-"));
  const copy = join(folder, "checkout");
  try {
    copyCheckout(root, copy);
    apply(
      copy,
      (bug ? (bug.faults ?? []) : everyFault).map((name) => faults[name]),
    );
    apply(copy, bug?.edits ?? []);
    const verdict = await verdictOf(copy, join(folder, "shop"), bug, signal);
    const broken = new Map<RuleName, number>();
    for (const { rule } of verdict.violations) broken.set(rule, (broken.get(rule) ?? 0) + 1);
    return {
      name: bug?.name ?? "none",
      expected: bug?.caughtBy ?? [],
      broken,
      right: bug ? bug.caughtBy.some((rule) => broken.has(rule)) : broken.size === 0,
      verdict,
      ms: performance.now() - began,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function verdictOf(
  root: string,
  home: string,
  bug: Bug | undefined,
  signal: AbortSignal | undefined,
): Promise<Verdict> {
  const troubles = bug ? (bug.trouble ?? []) : everyTrouble;
  const shop = await startShop({ root, home, port: 0, quiet: true, env: environment(troubles), signal });
  try {
    const { answers, quietSince } = await load(shop, troubles, signal);
    signal?.throwIfAborted();
    const deadlineMs = deadlineOf(troubles);
    const options = { root, home, answers, quietSince, deadlineMs, finalWithinMs: 30_000 };
    return await atRest(options, bug?.caughtBy ?? [], signal);
  } finally {
    await shop.stop({ force: true });
  }
}

/** The verdict on a shop at rest; or, where it never gets there, when what was expected is found and stays. */
async function atRest(options: CheckOptions, expected: RuleName[], signal?: AbortSignal): Promise<Verdict> {
  const end = performance.now() + atMostMs;
  for (let last = "", since = performance.now(); ; await pause(100)) {
    signal?.throwIfAborted();
    const isAtRest = Object.values(await pending(options)).every((count) => count === 0);
    const verdict = await check(options);
    if (isAtRest || performance.now() > end) return verdict;
    const now = JSON.stringify(verdict);
    if (now !== last) since = performance.now();
    const isFound = verdict.violations.some(({ rule }) => expected.includes(rule));
    if (isFound && performance.now() - since > stillMs) return verdict;
    last = now;
  }
}
