/** What a client does. `at` is in ms from the start. */
export type Command = { at: number; name: string } & (
  | { do: "import"; products: Product[] }
  | ({ do: "order"; lines: Line[]; token: string; twice: boolean } & Asked)
  /** Staff sets what orders are priced by: a promotion, a tax rate, what sending costs. */
  | { do: "set"; app: App; method: "POST" | "PUT"; path: string; body: object }
  /** Without lines: all of it, or all that is left of it. */
  | { do: "cancel"; order: string; lines?: Line[] }
  /** Without an amount: all of it. */
  | { do: "refund"; order: string; amount?: number }
  /** Staff hands over what waits of an order: of each product so many pieces at most. */
  | { do: "dispatch"; order: string; most?: number }
  /** What was handed over of it arrives. */
  | { do: "deliver"; order: string }
  /** Staff has the goods at hand; a customer only asks. */
  | { do: "return"; order: string; lines: Line[]; by: "staff" | "customer"; writeOff: boolean }
  /** What was asked for comes in: of each product so many pieces at most. */
  | { do: "receive"; order: string; most?: number; writeOff: boolean }
  | { do: "price"; sku: string; amount: number }
  | { do: "stock"; sku: string; onHand: number }
  | { do: "delist"; sku: string }
  | { do: "relist"; sku: string; amount: number }
);

/** What an order asks for besides goods. */
export interface Asked {
  codes?: string[];
  shippingMethod?: string;
}

export interface Product {
  sku: string;
  amount: number;
  kind: "physical" | "service";
  onHand?: number;
}

export interface Line {
  sku: string;
  quantity: number;
  /** Minor units; the list price when absent. */
  unitPrice?: number;
}

export type App = "catalog" | "inventory" | "orders" | "payments" | "shipping";
export const apps: readonly App[] = ["catalog", "inventory", "orders", "payments", "shipping"];

/** What is done to the shop. */
export type Fault = {
  at: number;
} /** It dies after so many more steps: statements, calls, points of the code. It is back `down` ms later. */ & (
  | { do: "crash"; app: App; steps: number; down: number; power: "on" | "cut" }
  /** It is stopped (SIGSTOP) for so long. */
  | { do: "freeze"; app: App; ms: number }
  /** It is told to stop (SIGTERM), and started again. */
  | { do: "restart"; app: App; down: number }
  /** The broker neither takes nor gives. */
  | { do: "outage"; ms: number }
  /** The disk refuses this share of transactions. */
  | { do: "disk-errors"; app: App; ms: number; share: number }
);

/** How the network and the broker behave until it is quiet: shares of messages, and ms. */
export interface Network {
  latency: number;
  /** Deliveries that come late by up to `late` ms, so that others overtake them. */
  delayed: number;
  late: number;
  duplicated: number;
  /** Deliveries that get lost, and come again when the broker has heard nothing. */
  lost: number;
  /** Publishing that is answered with an error although the broker took the events, or some of them. */
  doubtful: number;
  /** Requests of clients and calls to the provider that get lost on the way there, or back. */
  unanswered: number;
  /** Every event is delivered so many times. */
  copies: number;
}

export interface Plan {
  seed: number;
  /** Ms after which an order that is neither paid nor refused is ended. */
  deadline: number;
  providerTimeout: number;
  /** Ms after which the provider lets go of what it has authorised. */
  authorisationLifetime: number;
  /** Ms between two ticks of each schedule. */
  ticks: { renew: number; reconcile: number };
  /** Ms by which the services' clocks differ. */
  skew: Partial<Record<App, number>>;
  network: Network;
  commands: Command[];
  faults: Fault[];
  /** From then on nothing goes wrong any more. */
  quietAt: number;
}

export const calm: Network = {
  latency: 5,
  delayed: 0,
  late: 0,
  duplicated: 0,
  lost: 0,
  doubtful: 0,
  unanswered: 0,
  copies: 1,
};
