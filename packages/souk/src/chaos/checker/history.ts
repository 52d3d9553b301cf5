import { allTold, type Facts, readFacts } from "./facts.ts";
import type { CheckOptions } from "./types.ts";

interface Entry {
  at: number;
  who: string;
  what: string;
}

/**
 * All that is known of an order, over all services, in the order in which it happened: what clients asked and were
 * told, its own history, the events and who handled them, the calls to the provider, the ledger; and how it stands.
 */
export async function history(options: CheckOptions, orderId: string): Promise<string> {
  return told(await readFacts(options), orderId);
}

export function told(facts: Facts, orderId: string): string {
  const entries = [
    ...fromClients(facts, orderId),
    ...fromOrder(facts, orderId),
    ...fromEvents(facts, orderId),
    ...fromMoney(facts, orderId),
  ].sort((a, b) => a.at - b.at);
  const begin = entries[0]?.at ?? 0;
  const width = Math.max(...entries.map(({ who }) => who.length), 8);
  const lines = entries.map(
    ({ at, who, what }) =>
      `  ${`+${((at - begin) / 1000).toFixed(3)} s`.padStart(12)}  ${who.padEnd(width)}  ${what}`,
  );
  const since = entries.length > 0 ? `, from ${new Date(begin).toISOString()}` : ": nothing is known of it";
  return [
    `order ${orderId}${since}`,
    ...lines,
    ...standing(facts, orderId).map((line) => `  ${line}`),
    "",
  ].join("\n");
}

function fromClients({ exchanges, orders }: Facts, orderId: string): Entry[] {
  const reference = orders.get(orderId)?.reference;
  return exchanges.flatMap(({ asked, answer }): Entry[] => {
    const isPlacing = asked.method === "POST" && asked.path === "/api/orders";
    const isIts =
      asked.path.includes(`/${orderId}`) ||
      (answer?.body as { id?: string } | undefined)?.id === orderId ||
      (isPlacing &&
        reference != null &&
        (asked.body as { reference?: string } | undefined)?.reference === reference);
    if (!isIts) return [];
    const name = `request ${asked.n}`;
    const key = asked.idempotencyKey === undefined ? "" : `, key ${asked.idempotencyKey}`;
    const body = answer?.body === undefined ? "" : ` ${shorten(JSON.stringify(answer.body))}`;
    return [
      { at: asked.at, who: "client", what: `${name}: ${asked.method} ${asked.path}${key}` },
      ...(answer
        ? [{ at: answer.at, who: "client", what: `${name}: ${answer.status ?? "no answer"}${body}` }]
        : []),
    ];
  });
}

function fromOrder({ orders }: Facts, orderId: string): Entry[] {
  return (orders.get(orderId)?.state.history ?? []).map(({ at, status, reason }) => ({
    at,
    who: "orders",
    what: reason ? `${status} (${reason})` : status,
  }));
}

function fromEvents(facts: Facts, orderId: string): Entry[] {
  return allTold(facts)
    .filter(({ key }) => key === orderId)
    .flatMap(({ at, service, type, id, topic, sent, data }): Entry[] => [
      {
        at,
        who: service,
        what: `→ ${type} ${id}${sent ? "" : " (not sent)"} ${shorten(JSON.stringify(data))}`,
      },
      ...facts.contracts.subscribersOf(topic, type).map((name): Entry => {
        const subscriber = facts.services.get(name);
        const handled = subscriber?.handled.get(`${type} ${id}`);
        const letter = subscriber?.deadLetters.find((each) => each.id === id);
        if (handled !== undefined) return { at: handled, who: name, what: `← ${type} ${id} handled` };
        return {
          at,
          who: name,
          what: letter ? `← ${type} ${id} given up: ${letter.reason}` : `← ${type} ${id} not handled`,
        };
      }),
    ]);
}

function fromMoney({ book, postings }: Facts, orderId: string): Entry[] {
  return [
    ...book
      .filter(({ payment }) => payment === orderId)
      .map(({ askedAt, operation, amount, currency, outcome, key }) => ({
        at: askedAt,
        who: "provider",
        what: `${operation} ${amount} ${currency}: ${outcome} (${key})`,
      })),
    ...postings
      .filter(({ entry }) => entry.startsWith(`${orderId}:`))
      .map(({ at, account, debit, credit, currency, entry }) => ({
        at,
        who: "ledger",
        what: `${account} debit ${debit} credit ${credit} ${currency} (${entry})`,
      })),
  ];
}

function standing(
  { orders, parcels = [], payments, reservations, services }: Facts,
  orderId: string,
): string[] {
  const order = orders.get(orderId);
  const jobs = [...services.values()].flatMap(({ service, jobs: all }) =>
    all
      .filter(({ key }) => key === orderId)
      .map(
        ({ kind, at, attempt }) =>
          `${service} job: ${kind}, due ${new Date(at).toISOString()}, tried ${attempt} times`,
      ),
  );
  return [
    `order: ${order ? JSON.stringify(order.state) : "not there"}`,
    `reservation: ${JSON.stringify(reservations.get(orderId) ?? "none")}`,
    ...parcels.filter((one) => one.orderId === orderId).map((one) => `shipment: ${JSON.stringify(one)}`),
    `payment: ${JSON.stringify(payments.get(orderId) ?? "none")}`,
    ...jobs,
  ];
}

const shorten = (text: string): string => (text.length > 160 ? `${text.slice(0, 159)}…` : text);
