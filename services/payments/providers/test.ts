import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { Asked as Taken } from "../captures.ts";
import type { Provider } from "./provider.ts";

interface Behaviour {
  answer: "approved" | "declined" | "never";
  /** So many calls fail first. */
  failures?: number;
  /** Milliseconds from the first call to the answer. */
  takes?: number;
  /** What it approves cannot be renewed. */
  expires?: true;
}

/** How a token is answered; one that is not here is declined. */
const behaviours: Record<string, Behaviour> = {
  tok_ok: { answer: "approved" },
  tok_declined: { answer: "declined" },
  tok_timeout: { answer: "never" },
  tok_flaky: { answer: "approved", failures: 2 },
  tok_slow: { answer: "approved", takes: 5_000 },
  tok_expires: { answer: "approved", expires: true },
};

const day = 24 * 60 * 60_000;
/** How long an authorisation lasts, in milliseconds, where nothing else is said. */
export const usualLifetime = 7 * day;

/** One operation in the provider's book. */
export interface Operation {
  /** The order's id. */
  payment: string;
  key: string;
  operation: "authorise" | "capture" | "void" | "renew" | "refund";
  /** Minor units; of a void, what it let go of; of a renewal, what it is for. */
  amount: number;
  currency: string;
  outcome: "pending" | "approved" | "declined" | "captured" | "voided" | "renewed" | "refunded";
  /** Calls up to its answer; of those after that there is no count. */
  calls: number;
  /** Of the first call, in milliseconds since the epoch. */
  askedAt: number;
}

type Asked = Pick<Operation, "payment" | "key" | "amount" | "currency">;

export interface TestProvider extends Provider {
  renew: NonNullable<Provider["renew"]>;
  /** Every operation that was asked for, by payment. */
  book(): Operation[];
  close(): void;
}

interface Options {
  /** Other tokens, or other ways to answer them. */
  tokens?: Record<string, Behaviour>;
  /** Milliseconds for which an authorisation lasts. */
  lifetime?: number;
  /** Milliseconds since the epoch. */
  now?(): number;
}

/**
 * The provider that decides by token. It stands for somebody else's system: its book is a file of its own that
 * survives the end of this process at any moment. (A power cut is not its concern: it does not wait for the disk.)
 * @param path the file of the book, made when it is not there
 */
export function testProvider(
  path: string,
  { tokens = {}, lifetime = usualLifetime, now = () => Date.now() }: Options = {},
): TestProvider {
  const known = { ...behaviours, ...tokens };
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const db = new DatabaseSync(path);
  for (const pragma of ["busy_timeout = 5000", "journal_mode = wal", "synchronous = normal"])
    db.exec(`pragma ${pragma}`);
  db.exec(`create table if not exists operations (
    payment text not null, key text not null, operation text not null, amount integer not null,
    currency text not null, outcome text not null, calls integer not null, asked_at integer not null,
    primary key (payment, key)) without rowid`);
  // Whose authorisations end when they run out.
  db.exec("create table if not exists unrenewable (payment text primary key) without rowid");
  const columns = "payment, key, operation, amount, currency, outcome, calls, asked_at as askedAt";
  const askedSince = db.prepare(
    `select distinct payment from operations where asked_at >= ? and payment > ? order by payment limit ?`,
  );
  const every = db.prepare(`select ${columns} from operations order by payment, asked_at, key`);
  const ofPayment = db.prepare(`select ${columns} from operations where payment = ?`);
  const write = db.prepare("insert or replace into operations values (?, ?, ?, ?, ?, ?, ?, ?)");
  const isUnrenewable = db.prepare("select 1 from unrenewable where payment = ?");
  const doNotRenew = db.prepare("insert or ignore into unrenewable values (?)");
  const [begin, commit] = [db.prepare("begin immediate"), db.prepare("commit")];

  /** Carries out an operation unless that has happened already, or `perform` finds that there is nothing to do. */
  function once<T extends Operation | undefined>(
    asked: Asked,
    perform: (others: Operation[], before?: Operation) => T,
  ): T | Operation {
    begin.run();
    try {
      const lines = linesOf(asked.payment);
      const before = lines.find(({ key }) => key === asked.key);
      if (before && before.outcome !== "pending") return before;
      const after = perform(lines, before);
      if (after !== undefined) put(after);
      return after;
    } finally {
      // What `perform` refuses has written nothing.
      commit.run();
    }
  }

  function letGo(asked: Asked): void {
    once(asked, (others): Operation | undefined => {
      const { approved, captured, voided, currency } = sums(others);
      // What was captured whole has nothing left to let go of.
      if (voided || (captured > 0 && captured === approved)) return undefined;
      const rest = first({ ...asked, amount: approved - captured, currency });
      return { ...rest, operation: "void", outcome: "voided" };
    });
  }

  function put({ payment, key, operation, amount, currency, outcome, calls, askedAt }: Operation): void {
    write.run(payment, key, operation, amount, currency, outcome, calls, askedAt);
  }

  const linesOf = (payment: string) => ofPayment.all(payment) as unknown as Operation[];
  const first = (asked: Asked) => ({ ...asked, calls: 1, askedAt: now() });
  /** When what is held runs out: so long after it was approved, or renewed. */
  const until = (lines: Operation[]): number =>
    lines.reduce(
      (last, { outcome, askedAt }) =>
        outcome === "approved" || outcome === "renewed" ? Math.max(last, askedAt + lifetime) : last,
      0,
    );

  return {
    async authorise({ key, orderId, amount: { amount, currency }, token }, signal) {
      const { answer, failures = 0, takes = 0, expires } = known[token] ?? { answer: "declined" };
      const asked = { payment: orderId, key, amount, currency };
      for (let call = 1; ; call = 0) {
        const { outcome, calls, askedAt } = once(asked, (others, before) => {
          const line = before ? { ...before, calls: before.calls + call } : first(asked);
          const due = line.calls > failures && now() >= line.askedAt + takes;
          const voided = others.some(({ operation }) => operation === "void");
          const settled = due && answer !== "never" ? answer : "pending";
          if (expires && settled === "approved") doNotRenew.run(orderId);
          return { ...line, operation: "authorise", outcome: voided ? "voided" : settled };
        });
        if (outcome === "approved") {
          const lines = linesOf(orderId);
          const { voided, captured } = sums(lines);
          return voided && captured === 0 ? "voided" : { approved: true, until: until(lines) };
        }
        if (outcome === "declined" || outcome === "voided") return outcome;
        if (calls <= failures) throw new Error("The test provider is out of order for a moment");
        await (answer === "never" ? aborted(signal) : pause(askedAt + takes - now(), signal));
      }
    },

    async capture({ key, orderId, amount: { amount, currency }, part, final }) {
      const asked = { payment: orderId, key, amount, currency };
      let [expired, tooMuch, all] = [false, false, false];
      const line = once(asked, (others): Operation | undefined => {
        const { approved, captured, voided } = sums(others);
        if (voided) return undefined;
        tooMuch = captured + amount > approved;
        all = captured + amount === approved;
        expired = now() >= until(others);
        if (tooMuch || expired) return undefined;
        return { ...first(asked), operation: "capture", outcome: "captured" };
      });
      if (line && final && !all) letGo({ ...asked, key: `${key}:rest` });
      if (line) return "captured";
      if (tooMuch && part === undefined) throw new Error(`There is no ${amount} held to capture`);
      if (tooMuch) return { refused: "payment-declined" };
      return expired ? "expired" : { voided: taken(linesOf(orderId)) };
    },

    async void({ key, orderId }) {
      const asked = { payment: orderId, key, amount: 0, currency: "XXX" };
      letGo(asked);
      return taken(linesOf(orderId));
    },

    async renew({ key, orderId, amount: { amount, currency } }) {
      const asked = { payment: orderId, key, amount, currency };
      const { outcome, askedAt } = once(asked, (others): Operation => {
        const { voided } = sums(others);
        const no = voided || isUnrenewable.get(orderId) !== undefined;
        return { ...first(asked), operation: "renew", outcome: no ? "declined" : "renewed" };
      });
      return outcome === "renewed" ? { until: askedAt + lifetime } : "declined";
    },

    async refund({ key, orderId, amount: { amount, currency } }) {
      const asked = { payment: orderId, key, amount, currency };
      const line = once(asked, (others): Operation | undefined => {
        const { captured, refunded } = sums(others);
        if (captured === 0) throw new Error("Nothing was captured");
        const left = Math.min(amount, captured - refunded);
        if (left === 0) return undefined;
        return { ...first({ ...asked, amount: left }), operation: "refund", outcome: "refunded" };
      });
      // Where nothing is left the customer has it.
      return line?.amount ?? amount;
    },

    async askedSince(since, { after = "", limit }) {
      const names = askedSince.all(since, after, limit).map(({ payment }) => payment as string);
      const payments = names.map((orderId) => ({ orderId }));
      return names.length === limit ? { payments, after: names.at(-1) } : { payments };
    },

    async statement(orderId) {
      const lines = linesOf(orderId);
      const asked = lines.find(({ operation }) => operation === "authorise");
      if (asked === undefined) return undefined;
      const { approved, captured, voided } = sums(lines);
      const over = voided || (captured > 0 && captured === approved);
      const nothing = asked.outcome === "declined" ? "declined" : "voided";
      const isOver = over || asked.outcome === "declined";
      return {
        total: { amount: asked.amount, currency: asked.currency },
        state: isOver ? (captured > 0 ? "captured" : nothing) : "open",
        captures: taken(lines),
        refunds: lines
          .filter(({ operation }) => operation === "refund")
          .map(({ key, amount }) => ({ ...refundOf(key), amount })),
      };
    },

    book: () => every.all() as unknown as Operation[],
    close: () => db.close(),
  };
}

function sums(lines: Operation[]) {
  const of = (wanted: Operation["outcome"]) =>
    lines.reduce((sum, { outcome, amount }) => (outcome === wanted ? sum + amount : sum), 0);
  const voided = lines.some(({ operation }) => operation === "void");
  const currency = lines[0]?.currency ?? "XXX";
  return { approved: of("approved"), captured: of("captured"), refunded: of("refunded"), voided, currency };
}

/** What was captured, by the names that captures have in their keys. */
const taken = (lines: Operation[]): Taken[] =>
  lines
    .filter(({ outcome }) => outcome === "captured")
    .map(({ key, amount }) => {
      const [, part] = /:capture:(.+)$/.exec(key) ?? [];
      return part === undefined ? { amount } : { key: part, amount };
    });

/** A refund's number, or the return that it is for, as it is in its key. */
function refundOf(key: string): { number: number } | { key: string } {
  const [, of] = /:return:(.+)$/.exec(key) ?? [];
  return of === undefined ? { number: Number(key.split(":").at(-1)) } : { key: of };
}

/** Waits for ever, unless nobody waits any longer. */
const aborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });

/** Waits some milliseconds, unless nobody waits any longer. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  try {
    await Promise.race([over, aborted(signal)]);
  } finally {
    clearTimeout(timer);
  }
}
