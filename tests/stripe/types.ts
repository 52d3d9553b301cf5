// What a Stripe with a memory has, as https://docs.stripe.com/api names it.

export interface Intent {
  id: string;
  object: "payment_intent";
  amount: number;
  amount_capturable: number;
  amount_received: number;
  currency: string;
  status: "requires_payment_method" | "requires_capture" | "succeeded" | "canceled";
  metadata: Record<string, string>;
  last_payment_error: { type: string; code: string; decline_code?: string } | null;
  latest_charge: string | null;
  created: number;
}

export interface Refund {
  id: string;
  object: "refund";
  payment_intent: string;
  amount: number;
  currency: string;
  status: string;
  metadata: Record<string, string>;
  created: number;
}

export interface Dispute {
  id: string;
  object: "dispute";
  payment_intent: string;
  charge: string | null;
  amount: number;
  currency: string;
  reason: string;
  status: string;
  created: number;
  metadata: Record<string, string>;
}

export interface Event {
  id: string;
  object: "event";
  type: string;
  created: number;
  data: { object: Record<string, unknown> };
}

export interface Call {
  method: string;
  path: string;
  key: string | null;
}

export interface FakeStripe {
  /** Answers a request; what `interfere` throws is a connection that breaks. */
  fetch(request: Request): Promise<Response>;
  /** Called before a request is carried out, and after; its answer is given in the place of Stripe's. */
  interfere?: (when: "before" | "after", call: Call) => Response | undefined | Promise<Response | undefined>;
  /** Milliseconds since the epoch. */
  now(): number;
  /** Moves its clock. */
  later(ms: number): void;
  readonly calls: Call[];
  readonly events: Event[];
  /** `lost`: what banks have taken back. */
  intents(orderId?: string): (Intent & { refunded: number; lost: number; disputed: string | undefined })[];
  /** Gives money back as somebody does on Stripe's own pages. */
  refundByHand(orderId: string, amount: number): void;
  /** A customer's bank asks for the money back, or goes on with that. */
  dispute(orderId: string, status: string): void;
  /** Takes some of what is held as somebody does on Stripe's own pages. */
  captureByHand(orderId: string, amount: number): void;
  /** The holder's bank lets go of what is held for too long. */
  expire(orderId: string): void;
}
