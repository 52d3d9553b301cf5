/** One run: a shop of its own, customers, faults, and what the checker says in the end. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openApi } from "../api-client.ts";
import type { Reporter } from "../obtain/index.ts";
import { OrdersWatch } from "../orders-watch.ts";
import { readProject } from "../project.ts";
import { type Shop, startShop } from "../shop.ts";
import { AnswersLog } from "./answers.ts";
import type { CheckOptions, Verdict } from "./checker/index.ts";
import { client, type Patience } from "./client.ts";
import { customers } from "./customers.ts";
import { type Fault, faults } from "./faults.ts";
import { goods } from "./goods.ts";
import { Mailroom } from "./mailroom.ts";
import { type PostgresServer, startPostgres } from "./postgres.ts";
import { random } from "./random.ts";
import { rest } from "./rest.ts";
import { fill } from "./shelves.ts";
import { shop as letThemBuy } from "./shopping.ts";
import { staff } from "./staff.ts";
import { type Happened, inflict, Wires } from "./trouble.ts";
import { wire } from "./wire.ts";

export interface ChaosOptions {
  /** The checkout. */
  root: string;
  /** Where the shop keeps everything; an empty folder or none. Default: a new one in the temporary folder. */
  home?: string;
  orders: number;
  /** Faults of all kinds. */
  kills: number;
  seed: string;
  store: "sqlite" | "postgres";
  /** How long customers come, in milliseconds. */
  ms: number;
  spare: string[];
  /** Keeps a folder of its own also when everything holds. */
  keep: boolean;
  signal: AbortSignal;
  /** More variables for the services, over those of the run. */
  env?: Record<string, string>;
  report?: Reporter;
  tell: Tell;
}

/** Told how it goes. */
export interface Tell {
  phase(text: string): void;
  fault(text: string): void;
  /** A customer has their answer. */
  customer(): void;
  /** Nobody else comes. */
  closed(): void;
}

export interface Outcome {
  options: ChaosOptions;
  verdict: Verdict;
  /** Customers who wanted an order. */
  asked: number;
  /** Of these, who never got an answer, though they asked until everything worked again. */
  unanswered: number;
  /** Who could not ask again, having no Idempotency-Key, and left without an answer or with a 5xx. */
  left: number;
  /** By the code of the refusal. */
  refused: Record<string, number>;
  /** Requests that were made again, by why. */
  again: Record<string, number>;
  faults: Happened[];
  /** That customers came and were served. */
  seconds: number;
  /** From the last fault, and the last customer who came after it, to the last order's end. */
  secondsToFinal: number;
  /** Likewise, until the checker found nothing any more. */
  secondsToRest: number;
  /** The shop's folder, when it was kept. */
  home: string | null;
  /** Its PostgreSQL's, likewise. */
  postgres: string | null;
  /** What happened to orders of which something does not hold, a text each. */
  histories: string[];
}

/** After the last fault every order must be final, and everything at rest. */
export const finalWithinMs = 120_000;

/** An order that is not paid by then is given up. */
const deadlineMs = 60_000;

/** Deadlines that fit a run, and everything kept that the checker wants to see. */
const environment = {
  LOG_LEVEL: "warn",
  // One machine asks for everybody.
  RATE_LIMITS: "off",
  PROVIDER_TIMEOUT_MS: "6500",
  CHECKOUT_DEADLINE_MS: String(deadlineMs),
  RETAIN_SENT_EVENTS_MS: String(7 * 24 * 3_600_000),
};

/**
 * Runs it.
 * @throws {Error} when the shop does not start, NoPostgres, or the reason of `signal`
 */
export async function runChaos(options: ChaosOptions): Promise<Outcome> {
  const { signal, tell } = options;
  const home = folder(options.home);
  const { stores } = partsOf(options.root);
  const wires = new Wires(wire);
  let postgres: PostgresServer | undefined;
  let shop: Shop | undefined;
  let log: AnswersLog | undefined;
  let kept = options.keep || options.home !== undefined;
  try {
    if (options.store === "postgres") {
      tell.phase("starting PostgreSQL");
      postgres = await startPostgres(stores);
    }
    tell.phase("starting the shop");
    const urls = new Map<string, string>();
    if (postgres) {
      for (const name of stores)
        urls.set(name, postgres.url("{appID}", await wires.lay(name, "app-postgres", postgres.port)));
    }
    shop = await startShop({
      root: options.root,
      home,
      port: 0,
      quiet: true,
      signal,
      report: options.report,
      route: wires.route,
      env: (app) => ({
        ...environment,
        ...(urls.has(app) ? { DATABASE_URL: urls.get(app) ?? "" } : {}),
        ...options.env,
      }),
    });
    const answers = join(home, "answers.ndjson");
    log = new AnswersLog(answers);
    const run = await busy(shop, { options, wires, postgres, log });
    tell.phase("waiting until every order is final and everything is at rest");
    const place: CheckOptions = {
      home,
      root: options.root,
      answers,
      quietSince: run.quietSince,
      finalWithinMs,
      deadlineMs,
      stores: Object.fromEntries(postgres ? stores.map((name) => [name, postgres?.url(name) ?? ""]) : []),
    };
    const resting = await rest(run.api, place, { from: run.closedAt, withinMs: finalWithinMs, signal });
    const result = { options, ...run, ...resting };
    kept ||= !holds(result);
    const outcome = { ...result, home: kept ? home : null, postgres: (kept && postgres?.folder) || null };
    if (kept) keep(outcome, home);
    return outcome;
  } catch (error) {
    if (shop && !signal.aborted) {
      kept = true;
      tell.phase(`everything is kept in ${home}`);
    }
    throw error;
  } finally {
    await shop?.stop({ force: signal.aborted });
    wires.close();
    await postgres?.stop({ keep: kept });
    log?.close();
    if (!kept) rmSync(home, { recursive: true, force: true });
  }
}

/** What will be done to the shop. */
export function planned({ kills, ms, root, seed, spare, store }: PlanOptions): Fault[] {
  return faults({ seed, count: kills, ms, ...partsOf(root), postgres: store === "postgres", spare });
}

type PlanOptions = Pick<ChaosOptions, "kills" | "ms" | "root" | "seed" | "spare" | "store">;

function partsOf(root: string): { services: string[]; stores: string[] } {
  const { apps } = readProject(root);
  return {
    services: apps.map(({ id }) => id),
    stores: apps.filter(({ dir }) => existsSync(join(dir, "migrations"))).map(({ id }) => id),
  };
}

/** Whether everything that must hold does. */
export function holds({ unanswered, verdict }: Pick<Outcome, "unanswered" | "verdict">): boolean {
  return verdict.violations.length === 0 && unanswered === 0;
}

/** @throws {Error} when something is in it */
function folder(given: string | undefined): string {
  if (given === undefined) return mkdtempSync(join(tmpdir(), "souk-chaos-"));
  if (existsSync(given) && readdirSync(given).length > 0)
    throw new Error(`${given} is not empty: a run needs a folder of its own`);
  mkdirSync(given, { recursive: true, mode: 0o700 });
  return given;
}

interface Means {
  options: ChaosOptions;
  wires: Wires;
  postgres: PostgresServer | undefined;
  log: AnswersLog;
}

/** Customers, colleagues and faults, until the last of them is gone. */
async function busy(shop: Shop, { options, wires, postgres, log }: Means) {
  const { kills, ms, orders, seed, signal, tell } = options;
  const over = new AbortController();
  const closing = new AbortController();
  const onAbort = () => {
    over.abort();
    closing.abort();
  };
  signal.addEventListener("abort", onAbort, { once: true });
  const api = await openApi(shop.home.devClient, shop.url);
  let quietSince: number | undefined;
  const patience: Patience = {
    until: over.signal,
    // Once everything works again nobody has to ask for ever.
    isOver: (since) => quietSince !== undefined && Date.now() > Math.max(since, quietSince) + finalWithinMs,
  };
  const asking = client(api, log, patience.until, patience.isOver);
  tell.phase("filling the shelves");
  const forSale = await goods(random(seed, "goods"));
  await fill(api, asking, forSale, signal);

  tell.phase(`${orders} orders, ${kills} faults, seed ${seed}`);
  const began = performance.now();
  const refused: Record<string, number> = {};
  let [unanswered, left] = [0, 0];
  const trouble = inflict(planned(options), { shop, wires, postgres }, signal, tell.fault);
  const mailroom = new Mailroom(seed, asking);
  const colleagues = Promise.all([
    staff(seed, forSale, asking, closing.signal),
    mailroom.work(closing.signal),
  ]);
  const buying = letThemBuy(customers(seed, forSale, orders, ms), {
    client: asking,
    watch: new OrdersWatch(api, 250),
    mailroom,
    patience,
    answered({ key }, { code, status }) {
      tell.customer();
      if (status === null || status >= 500 || status === 429) {
        if (key === undefined) left++;
        else unanswered++;
      } else if (status >= 400) refused[code || status] = (refused[code || status] ?? 0) + 1;
    },
  });
  const happened = await trouble;
  quietSince = Date.now();
  await buying;
  closing.abort();
  await colleagues;
  signal.removeEventListener("abort", onAbort);
  signal.throwIfAborted();
  tell.closed();
  return {
    api,
    quietSince,
    closedAt: Date.now(),
    asked: orders,
    unanswered,
    left,
    refused,
    again: Object.fromEntries(asking.again),
    faults: happened,
    seconds: (performance.now() - began) / 1000,
  };
}

/** Leaves what is needed to look into it in the folder. */
function keep({ faults, histories, options, verdict }: Outcome, home: string): void {
  const { kills, ms, orders, seed, spare, store } = options;
  const told = { seed, orders, kills, store, ms, spare, ...verdict, faults };
  writeFileSync(join(home, "verdict.json"), `${JSON.stringify(told, null, 2)}\n`);
  if (histories.length > 0) writeFileSync(join(home, "histories.txt"), histories.join("\n"));
}
