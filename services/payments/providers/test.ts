import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { Provider } from "./provider.ts";

interface Behaviour {
  answer: "approved" | "declined" | "never";
  /** So many calls fail first. */
  failures?: number;
  /** Milliseconds from the first call to the answer. */
  takes?: number;
}

/** How a token is answered; one that is not here is declined. */
const behaviours: Record<string, Behaviour> = {
  tok_ok: { answer: "approved" },
  tok_declined: { answer: "declined" },
  tok_timeout: { answer: "never" },
  tok_flaky: { answer: "approved", failures: 2 },
  tok_slow: { answer: "approved", takes: 5_000 },
};

/** One operation in the provider's book. */
export interface Operation {
  /** The order's id. */
  payment: string;
  key: string;
  operation: "authorise" | "capture" | "void" | "refund";
  /** Minor units; of a void, what it let go of. */
  amount: number;
  currency: string;
  outcome: "pending" | "approved" | "declined" | "captured" | "voided" | "refunded";
  /** Calls up to its answer; of those after that there is no count. */
  calls: number;
  /** Of the first call, in milliseconds since the epoch. */
  askedAt: number;
}

type Asked = Pick<Operation, "payment" | "key" | "amount" | "currency">;

export interface TestProvider extends Provider {
  /** Every operation that was asked for, by payment. */
  book(): Operation[];
  close(): void;
}

/**
 * The provider that decides by token. It stands for somebody else's system: its book is a file of its own that
 * survives the end of this process at any moment. (A power cut is not its concern: it does not wait for the disk.)
 * @param path the file of the book, made when it is not there
 * @param tokens other tokens, or other ways to answer them
 */
export function testProvider(path: string, tokens: Record<string, Behaviour> = {}): TestProvider {
  const known = { ...behaviours, ...tokens };
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const db = new DatabaseSync(path);
  for (const pragma of ["busy_timeout = 5000", "journal_mode = wal", "synchronous = normal"])
    db.exec(`pragma ${pragma}`);
  db.exec(`create table if not exists operations (
    payment text not null, key text not null, operation text not null, amount integer not null,
    currency text not null, outcome text not null, calls integer not null, asked_at integer not null,
    primary key (payment, key)) without rowid`);
  const columns = "payment, key, operation, amount, currency, outcome, calls, asked_at as askedAt";
  const askedSince = db.prepare(
    `select distinct payment from operations where asked_at >= ? and payment > ? order by payment limit ?`,
  );
  const every = db.prepare(`select ${columns} from operations order by payment, asked_at, key`);
  const ofPayment = db.prepare(`select ${columns} from operations where payment = ?`);
  const write = db.prepare("insert or replace into operations values (?, ?, ?, ?, ?, ?, ?, ?)");
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
      if (after === undefined) return after;
      const { payment, key, operation, amount, currency, outcome, calls, askedAt } = after;
      write.run(payment, key, operation, amount, currency, outcome, calls, askedAt);
      return after;
    } finally {
      // What `perform` refuses has written nothing.
      commit.run();
    }
  }

  const linesOf = (payment: string) => ofPayment.all(payment) as unknown as Operation[];
  const first = (asked: Asked) => ({ ...asked, calls: 1, askedAt: Date.now() });

  return {
    async authorise({ key, orderId, amount: { amount, currency }, token }, signal) {
      const { answer, failures = 0, takes = 0 } = known[token] ?? { answer: "declined" };
      const asked = { payment: orderId, key, amount, currency };
      for (let call = 1; ; call = 0) {
        const { outcome, calls, askedAt } = once(asked, (others, before) => {
          const line = before ? { ...before, calls: before.calls + call } : first(asked);
          const due = line.calls > failures && Date.now() >= line.askedAt + takes;
          const voided = others.some(({ operation }) => operation === "void");
          const settled = due && answer !== "never" ? answer : "pending";
          return { ...line, operation: "authorise", outcome: voided ? "voided" : settled };
        });
        if (outcome === "approved" && sums(linesOf(orderId)).voided) return "voided";
        if (outcome === "approved" || outcome === "declined" || outcome === "voided") return outcome;
        if (calls <= failures) throw new Error("The test provider is out of order for a moment");
        await (answer === "never" ? aborted(signal) : pause(askedAt + takes - Date.now(), signal));
      }
    },

    async capture({ key, orderId, amount: { amount, currency } }) {
      const asked = { payment: orderId, key, amount, currency };
      const line = once(asked, (others): Operation | undefined => {
        const { approved, captured, voided } = sums(others);
        if (voided) return undefined;
        if (captured + amount > approved) throw new Error(`There is no ${amount} held to capture`);
        return { ...first(asked), operation: "capture", outcome: "captured" };
      });
      return line ? "captured" : "voided";
    },

    async void({ key, orderId }) {
      const asked = { payment: orderId, key, amount: 0, currency: "XXX" };
      const line = once(asked, (others): Operation | undefined => {
        const { approved, captured, currency } = sums(others);
        if (captured > 0) return undefined;
        return { ...first({ ...asked, amount: approved, currency }), operation: "void", outcome: "voided" };
      });
      return line ? "voided" : "captured";
    },

    async refund({ key, orderId, amount: { amount, currency } }) {
      const asked = { payment: orderId, key, amount, currency };
      const line = once(asked, (others): Operation => {
        const { captured, refunded } = sums(others);
        if (refunded + amount > captured) throw new Error(`There is no ${amount} left to refund`);
        return { ...first(asked), operation: "refund", outcome: "refunded" };
      });
      return line.amount;
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
      const { captured, voided } = sums(lines);
      const declined = asked.outcome === "declined";
      return {
        total: { amount: asked.amount, currency: asked.currency },
        state: captured > 0 ? "captured" : voided ? "voided" : declined ? "declined" : "open",
        refunds: lines
          .filter(({ operation }) => operation === "refund")
          .map(({ key, amount }) => ({ number: Number(key.split(":").at(-1)), amount }))
          .sort((a, b) => a.number - b.number),
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
