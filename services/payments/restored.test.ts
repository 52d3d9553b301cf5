import { expect, test } from "bun:test";
import fc from "fast-check";
import { captureKey, dueCall, refundKey } from "./calls.ts";
import { evolve } from "./evolve.ts";
import { held } from "./holding.ts";
import { type Command, decide, type Payment } from "./payment.ts";
import { ask } from "./providers/provider.ts";
import { testProvider } from "./providers/test.ts";

// A store that came out of a backup, and a provider that has gone on since: whatever it was asked for in the time that
// the store does not remember, and whatever happens after, no call is stuck and the books agree in the end.

const orderId = "o-1";
const total = { amount: 1_000, currency: "GBP" };

type Step =
  | "reserved"
  | "aborting"
  | "released"
  | "call"
  | { refund: number }
  | { shipment: keyof typeof shipments }
  | { return: keyof typeof returns };
/** What each of them is worth; an order does not change its mind about that. */
const shipments = { "s-1": 200, "s-2": 300, "s-3": 500 };
const returns = { "r-1": 100, "r-2": 300 };
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Step>("reserved") },
  { weight: 1, arbitrary: fc.constant<Step>("aborting") },
  { weight: 1, arbitrary: fc.constant<Step>("released") },
  { weight: 6, arbitrary: fc.constant<Step>("call") },
  {
    weight: 3,
    arbitrary: fc.record({ shipment: fc.constantFrom("s-1", "s-2", "s-3") }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ return: fc.constantFrom("r-1", "r-2") }),
  },
  { weight: 2, arbitrary: fc.record({ refund: fc.integer({ min: 1, max: 1_000 }) }) },
);
const steps = fc.array(step, { maxLength: 14, size: "max" });
const tokens = fc.constantFrom("tok_ok", "tok_ok", "tok_ok", "tok_declined", "tok_timeout");
const atOnce = fc.constantFrom(undefined, undefined, 0, 0, 400);

test("what a provider did in a lost time is found out by asking again, and by its statement", async () => {
  await fc.assert(
    fc.asyncProperty(tokens, atOnce, steps, steps, steps, async (token, now, before, lost, after) => {
      const bank = testProvider(":memory:");
      let payment: Payment | undefined;
      let ledger = new Map<string, number>();
      let at = 0;
      const book = (entry: string, amount: number): void => {
        expect(ledger.has(entry)).toBe(false);
        ledger.set(entry, amount);
      };
      const commit = (command: Command): void => {
        const decided = decide(payment, command);
        if (!Array.isArray(decided)) return;
        for (const event of decided) {
          payment = evolve(payment, event);
          if (event.type === "captured") book(captureKey(orderId, event.capture), event.capture.amount);
          if (event.type === "refunded") book(refundKey(orderId, event.refund), -event.refund.amount);
        }
      };
      const follow = async (what: Step): Promise<void> => {
        at++;
        const money = (amount: number) => ({ ...total, amount });
        const captureNow = now === undefined ? undefined : money(now);
        if (what === "reserved")
          commit({ type: "authorise", at, orderId, total, method: "test", token, captureNow });
        else if (what === "aborting") commit({ type: "abort", at, orderId });
        else if (what === "released") commit({ type: "release", at });
        else if (what === "call") {
          const call = dueCall(payment);
          if (call) commit({ ...(await ask(bank, call, 1)), at });
        } else if ("refund" in what) commit({ type: "refund", at, amount: money(what.refund) });
        else if ("return" in what)
          commit({ type: "give-back", at, orderId, key: what.return, amount: money(returns[what.return]) });
        else
          commit({
            type: "capture",
            ...{ at, orderId, key: what.shipment, amount: money(shipments[what.shipment]), final: false },
          });
      };
      for (const what of before) await follow(what);
      const backup = { payment, ledger: new Map(ledger) };
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

      const lines = bank.book();
      const sum = (outcome: string) =>
        lines.reduce((all, line) => (line.outcome === outcome ? all + line.amount : all), 0);
      expect(payment?.captured ?? 0).toBe(sum("captured"));
      expect(payment?.refunded ?? 0).toBe(sum("refunded"));
      const net = [...ledger.values()].reduce((all, amount) => all + amount, 0);
      expect(net).toBe(sum("captured") - sum("refunded"));
      const letGo = lines.reduce((all, line) => (line.operation === "void" ? all + line.amount : all), 0);
      const holds = sum("approved") - letGo - sum("refunded");
      expect(payment ? held(payment) : 0).toBe(holds);
      // An order that never asked for its money, or has given up on it, leaves none there.
      if (!asked || payment?.wanted === "undo") expect(holds).toBe(0);
      bank.close();
    }),
    { numRuns: 500 },
  );
}, 60_000);
