import fc from "fast-check";
import { brokenHttp } from "./broken-http.ts";
import { type Case, campaign, casesOf, type Failure } from "./campaign.ts";
import { checkpoint, topicsOf } from "./checkpoint.ts";
import { fixture, publicOperations, type StoreName } from "./fixtures.ts";
import { hints } from "./hints.ts";
import { shopTarget } from "./shop.ts";

export interface RunOptions {
  cases: number;
  seed: number;
  /** One case only: fast-check's path to it. */
  path?: string;
  /** The database of a service in this process: SQLite unless said otherwise. */
  store?: StoreName;
  /** Told after each case. */
  step?(): void;
}

/** Services grow with what they keep; this much for some thousand cases is far beyond it. */
const mostGrowth = 512 * 1024 * 1024;

/** Fuzzes one service in this process. */
export async function fuzzService(
  service: string,
  { cases, seed, path, store, step }: RunOptions,
): Promise<Failure[]> {
  const target = await fixture(service, store);
  try {
    const check = checkpoint(target);
    const before = process.memoryUsage.rss();
    const all = casesOf(target.operations, target.hints, await topicsOf(target));
    const failures = await campaign(target, all, target.operations, {
      cases,
      seed,
      path,
      after(done) {
        step?.();
        return done % 250 === 0 || done === cases ? check() : undefined;
      },
    });
    return [...failures, ...grown(service, before, process.memoryUsage.rss())];
  } finally {
    await target.stop();
  }
}

/** Fuzzes a whole shop through its front door, broken HTTP included. */
export async function fuzzShop({ cases, seed, path, step }: RunOptions): Promise<Failure[]> {
  const target = await shopTarget();
  try {
    const before = target.memory();
    const pulse = async (): Promise<Failure | undefined> => {
      const { status, text } = await target.send({
        method: "GET",
        path: "/api/products?limit=1",
        headers: [],
        as: "guest",
        chunked: false,
      });
      const deaths = target.deaths();
      if (deaths > 0) return failure("the shop", "a process died", `${deaths} times`);
      return status === 200
        ? undefined
        : failure("the front door", "does not work any more", `${status} ${text.slice(0, 300)}`);
    };
    const all: fc.Arbitrary<Case> = fc.oneof(
      { weight: 4, arbitrary: casesOf(publicOperations, hints, []) },
      { weight: 1, arbitrary: brokenHttp.map((broken): Case => ({ broken })) },
    );
    const failures = await campaign(target, all, publicOperations, {
      cases,
      seed,
      path,
      after(done) {
        step?.();
        return done % 50 === 0 || done === cases ? pulse() : undefined;
      },
    });
    return [...failures, ...grown("the shop", before, target.memory())];
  } finally {
    await target.stop();
  }
}

const failure = (where: string, rule: string, detail: string): Failure => ({
  where,
  rule,
  detail,
  commands: [],
  seed: 0,
  path: "",
});

const grown = (where: string, before: number, after: number): Failure[] =>
  after - before > mostGrowth ? [failure(where, "grows without end", `${before} to ${after} bytes`)] : [];

/** A failure as a person reads it. */
export function told({ where, rule, detail, commands, seed, path }: Failure, what: string): string {
  const replay = path === "" ? "" : `\n  replay: npm run fuzz -- ${what} --seed ${seed} --path ${path}`;
  return `✗ ${where}: ${rule}\n  ${detail}\n${commands.map((command) => `  ${command}`).join("\n")}${replay}\n`;
}
