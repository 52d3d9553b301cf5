import { expect, test } from "bun:test";
import fc from "fast-check";
import { dueCall } from "./calls.ts";
import { evolve } from "./evolve.ts";
import { type Posting, postings } from "./ledger.ts";
import { type Command, decide, held, type Payment } from "./payment.ts";
import { ask } from "./providers/provider.ts";
import { testProvider } from "./providers/test.ts";

// A store that came out of a backup, and a provider that has gone on since: whatever it was asked for in the time that
// the store does not remember, and whatever happens after, no call is stuck and the books agree in the end.

const orderId = "o-1";
const total = { amount: 1_000, currency: "GBP" };

type Step = "reserved" | "aborting" | "call" | { refund: number };
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Step>("reserved") },
  { weight: 1, arbitrary: fc.constant<Step>("aborting") },
  { weight: 5, arbitrary: fc.constant<Step>("call") },
  { weight: 2, arbitrary: fc.record({ refund: fc.integer({ min: 1, max: 1_000 }) }) },
);
const steps = fc.array(step, { maxLength: 14, size: "max" });
const tokens = fc.constantFrom("tok_ok", "tok_ok", "tok_declined", "tok_timeout");

test("what a provider did in a lost time is found out by asking again, and by its statement", async () => {
  await fc.assert(
    fc.asyncProperty(tokens, steps, steps, steps, async (token, before, lost, after) => {
      const bank = testProvider(":memory:");
      let payment: Payment | undefined;
      let ledger: Posting[] = [];
      let at = 0;
      const commit = (command: Command): void => {
        const decided = decide(payment, command);
        if (!Array.isArray(decided)) return;
        for (const event of decided) {
          payment = evolve(payment, event);
          const amount = event.type === "refunded" ? event.refund.amount : payment.captured;
          if (event.type === "captured" || event.type === "refunded")
            ledger.push(...postings({ type: event.type, amount: { ...total, amount } }));
        }
        expect(payment?.status).not.toBe("authorised");
      };
      const follow = async (what: Step): Promise<void> => {
        at++;
        if (what === "reserved") commit({ type: "authorise", at, orderId, total, method: "test", token });
        else if (what === "aborting") commit({ type: "abort", at, orderId });
        else if (what !== "call") commit({ type: "refund", at, amount: { ...total, amount: what.refund } });
        else {
          const call = dueCall(payment);
          if (call) commit({ ...(await ask(bank, call, 1)), at });
        }
      };
      for (const what of before) await follow(what);
      const backup = { payment, ledger: [...ledger] };
      for (const what of lost) await follow(what);
      ({ payment, ledger } = backup);
      for (const what of after) await follow(what);

      const asked = payment !== undefined;
      const reconcile = async (): Promise<void> => {
        for (let calls = 0; dueCall(payment); calls++) {
          expect(calls).toBeLessThan(40);
          await follow("call");
        }
        const statement = await bank.statement(orderId);
        if (statement) commit({ type: "reconcile", at: ++at, orderId, method: "test", statement });
      };
      await reconcile();
      await reconcile();
      expect(dueCall(payment)).toBeUndefined();

      const book = bank.book();
      const sum = (outcome: string) =>
        book.reduce((all, line) => (line.outcome === outcome ? all + line.amount : all), 0);
      expect(payment?.captured ?? 0).toBe(sum("captured"));
      expect(payment?.refunded ?? 0).toBe(sum("refunded"));
      const net = ledger
        .filter(({ account }) => account === "provider-clearing")
        .reduce((all, { debit, credit }) => all + debit - credit, 0);
      expect(net).toBe(sum("captured") - sum("refunded"));
      // The test provider notes on the void what it let go of, and leaves the approval as it was.
      const voided = book.some(({ operation }) => operation === "void");
      const holds = voided ? 0 : sum("approved") - sum("refunded");
      expect(payment ? held(payment) : 0).toBe(holds);
      // An order that never asked for its money, or has given up on it, leaves none there.
      if (!asked || payment?.wanted === "undo") expect(holds).toBe(0);
      bank.close();
    }),
    { numRuns: 300 },
  );
}, 60_000);
