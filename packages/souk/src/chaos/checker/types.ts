/** What must hold, by the names that a verdict gives. */
export const rules = {
  "accepted-order-exists": "every order that was answered with 2xx exists",
  "answer-is-what-is-stored": "what a client was told is what is stored, and stays true",
  "key-has-one-effect": "one Idempotency-Key has one effect, and always the same answer",
  "order-is-final-in-time": "every order is final within its deadlines",
  "history-is-allowed": "an order goes only ways that there are, and tells each step once",
  "order-follows-events": "what a service has handled shows in its state: nothing was heard in vain",
  "captured-once":
    "what an order pays at once, and each shipment, is captured once, and no more is refunded than was captured",
  "confirmed-is-paid":
    "a confirmed order is authorised for exactly its total, and captured for what it pays at once",
  "kept-is-paid": "what was captured and not given back is the worth of what was kept",
  "shipped-is-captured": "nothing leaves before its money is captured",
  "money-matches-provider": "the provider's book, the ledger and the payments say the same",
  "stock-adds-up":
    "stock is never below zero, and what was put in is what is there and what was sold and did not come back",
  "units-add-up":
    "what of an order left, was cancelled and came back is what everybody was told, and no more than there was",
  "price-adds-up": "the parts of an order sum to its total, and its tax is that of its country",
  "promotion-counts": "a promotion counts the orders that use it, and they are no more than it may have",
  "ledger-balances": "debits equal credits in every currency, and the totals are those of the postings",
  "ended-order-holds-nothing":
    "an order that is over or has all left holds no stock, and no money that is not due",
  "copy-equals-source": "every copy equals its source",
  "event-is-delivered": "every committed event reached every subscriber, with one effect",
  "no-dead-letters": "nothing lies in the dead letters that is not explained",
  "nothing-is-left-to-do": "nothing waits to be sent, and no job is overdue",
} as const;

export type RuleName = keyof typeof rules;

/** Something that must hold and does not. */
export interface Violation {
  rule: RuleName;
  orderId?: string;
  sku?: string;
  /** What is, and what should be. */
  detail: string;
}

/** What was looked at. */
export interface Figures {
  /** Orders in the shop. */
  orders: number;
  /** Of these, answered with 2xx to a client of the log. */
  accepted: number;
  /** Sold: confirmed, or further. Of these: */
  confirmed: number;
  shipped: number;
  delivered: number;
  returned: number;
  rejected: number;
  cancelled: number;
  /** Minor units by currency, by the provider's book. */
  captured: Record<string, number>;
  refunded: Record<string, number>;
  /** Shipments that have left, and returns that have come in. */
  shipments: number;
  returns: number;
  /** Pieces sold, without those that were cancelled or came back. */
  soldUnits: number;
  products: number;
  postings: number;
  events: number;
  /** Events, counted once for each subscriber that keeps a record of what it has handled. */
  deliveries: number;
  deadLetters: number;
}

export interface Verdict {
  /** Empty when everything holds. */
  violations: Violation[];
  figures: Figures;
}

/** An event that a service gave up on. */
export interface DeadLetter {
  service: string;
  id: string;
  topic: string;
  type: string;
  reason: string;
  /** `dead` until somebody decides. */
  status: string;
}

export interface Place {
  /** The shop's folder (`.souk`). */
  home: string;
  /** The checkout the shop runs from, for its contracts. Default: this one. */
  root?: string;
  /** PostgreSQL URLs by service. A service that is not named has its SQLite file in the shop's folder. */
  stores?: Record<string, string>;
}

export interface CheckOptions extends Place {
  /** The clients' log; without it nothing is known of what was promised, and only the shop itself is checked. */
  answers?: string;
  /** When the last disturbance was over, in milliseconds since the epoch: the time to be final begins there. */
  quietSince?: number;
  /** How long an order may take to be final: 120,000 ms. */
  finalWithinMs?: number;
  /** The checkout's own deadline (CHECKOUT_DEADLINE_MS). Given, no order may be confirmed long after it. */
  deadlineMs?: number;
  /** Whether a dead letter that nobody has decided about was to be expected. */
  explainedDeadLetters?: (letter: DeadLetter) => boolean;
  /** Stores were restored from backups: that an event was handled whose sender has forgotten it is no violation. */
  restored?: boolean;
}
