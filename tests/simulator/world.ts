import { Clock } from "./clock.ts";
import { calm, type Network, type Plan } from "./plan.ts";
import { Random } from "./random.ts";

/** What everything in a simulation shares: the clock, the dice, and what there is to tell. */
export class World {
  readonly plan: Plan;
  readonly clock: Clock;
  /** Decides about messages: how late, how often. */
  readonly dice: Random;
  readonly trace: string[] = [];
  /** What should not have been; the first is what matters. */
  readonly violations: string[] = [];
  /** The broker is down until then. */
  outageUntil = 0;

  constructor(plan: Plan) {
    this.plan = plan;
    const random = new Random(plan.seed).fork("world");
    this.clock = new Clock(random.fork("ties"));
    this.dice = random.fork("dice");
  }

  /** Ms since the start. */
  get elapsed(): number {
    return this.clock.now - this.clock.begun;
  }

  get quiet(): boolean {
    return this.elapsed >= this.plan.quietAt;
  }

  get network(): Network {
    return this.quiet ? { ...calm, copies: this.plan.network.copies } : this.plan.network;
  }

  /** Ms that a message takes. */
  latency(): number {
    return 0.2 + this.dice.next() * this.network.latency;
  }

  say(who: string, text: string): void {
    this.trace.push(`${(this.elapsed / 1000).toFixed(4).padStart(9)}  ${who.padEnd(9)}  ${text}`);
  }

  violate(text: string): void {
    this.violations.push(text);
    this.say("VIOLATION", text);
  }
}
