import { allTold, type Facts, type Told } from "../facts.ts";
import type { Violation } from "../types.ts";

const wrong = (detail: string, orderId?: string): Violation => ({
  rule: "event-is-delivered",
  ...(orderId === undefined ? {} : { orderId }),
  detail,
});

/** From the outbox to every subscriber: nothing is dropped, nothing is made up, nothing is said twice. */
export function events(facts: Facts): Violation[] {
  return [...numbered(facts), ...delivered(facts), ...known(facts), ...steps(facts)];
}

/** An order's event is looked into together with the order. */
const about = ({ orders }: Facts, { key }: Told): string | undefined => (orders.has(key) ? key : undefined);

/** Where the database counts without gaps, a number that is missing is an event that was committed and dropped. */
function numbered({ services }: Facts): Violation[] {
  return [...services.values()].flatMap(({ service, told, lastNumber }) => {
    if (lastNumber === undefined) return [];
    const there = new Set(told.map(({ seq }) => seq));
    const missing: number[] = [];
    for (let seq = 1; seq <= lastNumber; seq++) if (!there.has(seq)) missing.push(seq);
    if (missing.length === 0) return [];
    const some = `${missing.slice(0, 10).join(", ")}${missing.length > 10 ? ", …" : ""}`;
    return [
      wrong(
        `${service} committed ${missing.length} events that it has neither sent nor keeps to send: number ${some}`,
      ),
    ];
  });
}

function delivered(facts: Facts): Violation[] {
  return allTold(facts).flatMap((event) => {
    if (!event.sent) return [];
    return facts.contracts.subscribersOf(event.topic, event.type).flatMap((name) => {
      const subscriber = facts.services.get(name);
      if (subscriber?.handled.has(`${event.type} ${event.id}`)) return [];
      // What it gave up on is another rule's, and what somebody has discarded is nobody's.
      const letter = subscriber?.deadLetters.find(({ id }) => id === event.id);
      if (letter?.status === "dead" || letter?.status === "discarded") return [];
      return [
        wrong(
          `${event.service} sent ${event.type} of ${event.key}, ${name} never handled it`,
          about(facts, event),
        ),
      ];
    });
  });
}

/** What was handled was told by somebody. */
function known(facts: Facts): Violation[] {
  if (facts.options.restored) return [];
  const told = new Set(allTold(facts).map(({ type, id }) => `${type} ${id}`));
  return [...facts.services.values()].flatMap(({ service, handled }) =>
    [...handled.keys()]
      .filter((mark) => !told.has(mark) && facts.contracts.receivedBy(service).has(mark.split(" ")[0] ?? ""))
      .map((mark) => wrong(`${service} has handled ${mark}, which nobody has told`)),
  );
}

/** Every step of an order was told once, and so was each shipment, each return, and each capture. */
function steps(facts: Facts): Violation[] {
  const told = Map.groupBy(allTold(facts), ({ key }) => key);
  return [...facts.orders.values()].flatMap(({ id, state }) => {
    const events = told.get(id) ?? [];
    const passed = state.history.flatMap(({ status }) => {
      const times = events.filter(({ type }) => type === `order.${status}`).length;
      // An order that leaves in parts tells of each of them.
      const isRight = status in inParts ? times > 0 : times === 1;
      return isRight ? [] : [wrong(`was ${status}, and that was told ${times} times`, id)];
    });
    const often = [...Map.groupBy(events, once)].flatMap(([what, { length: times }]) =>
      what !== undefined && times > 1 ? [wrong(`${what} was told ${times} times`, id)] : [],
    );
    return [...passed, ...often];
  });

  /** What is told once, by name. */
  function once({ type, data }: Told): string | undefined {
    const part = ofParts[type];
    if (part === undefined) return whole.has(type) ? type : undefined;
    // A provider that was asked again after a restore says again what it has captured.
    if (type === "payment.captured" && facts.options.restored) return undefined;
    return `${type} of ${data[part] ?? "all at once"}`;
  }
}

const whole = new Set(["order.aborting", "stock.reserved", "stock.refused"]);
const inParts = { shipped: true, delivered: true };
/** What is told of each part, and the field that names it. */
const ofParts: Record<string, string> = {
  "order.shipped": "shipmentId",
  "order.delivered": "shipmentId",
  "order.return-received": "returnId",
  "payment.captured": "key",
};
