/** Stands between every sidecar and its service, and delivers each event three times, out of order. */
import type { Random } from "../chaos/random.ts";
import type { Link } from "../shop.ts";

/** How long a part of a batch is held back before its first delivery, in milliseconds: less than the broker waits. */
const heldBack = 250;
/** When the same is delivered again, in milliseconds after the first time. */
const again = { from: 20, to: 4_000 };
const times = 3;
const looksEvery = 25;

interface Entry {
  entryId: string;
  /** As JSON in base64: services are handed what lies in the broker. */
  event: string;
}

interface Event {
  id: string;
  time?: string;
}

/** What is to be delivered again: an entry of a batch, or (without one) a whole body. */
interface Repeat {
  due: number;
  delivery: Delivery;
  entry?: Entry;
}

interface Delivery {
  url: string;
  headers: Headers;
  body: string;
  batch?: { entries: Entry[] };
}

interface Answer {
  status: number;
  body: string;
}

export class Redelivery {
  readonly #random: Random;
  readonly #servers: ReturnType<typeof Bun.serve>[] = [];
  readonly #timer: Timer;
  #repeats: Repeat[] = [];
  #underWay = 0;
  /** Deliveries by service and event. */
  readonly #seen = new Map<string, number>();
  readonly #latest = new Map<string, string>();
  outOfOrder = 0;

  constructor(random: Random) {
    this.#random = random;
    this.#timer = setInterval(() => this.#repeat(), looksEvery);
  }

  /** For `startShop`: every connection from a sidecar to its service goes through here. */
  readonly route = async ({ from, to }: Link, port: number): Promise<number> => {
    if (from !== "sidecar" || to !== "app") return port;
    const server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      idleTimeout: 0,
      maxRequestBodySize: 128 * 1024 * 1024,
      fetch: (request) => this.#pass(request, port),
      error: () => new Response(null, { status: 502 }),
    });
    this.#servers.push(server);
    return server.port ?? port;
  };

  /** Nothing is left to be delivered again, and nothing under way. */
  get settled(): boolean {
    return this.#repeats.length === 0 && this.#underWay === 0;
  }

  get deliveries(): { events: number; all: number; tooFew: number } {
    const counts = [...this.#seen.values()];
    return {
      events: counts.length,
      all: counts.reduce((sum, count) => sum + count, 0),
      tooFew: counts.filter((count) => count < times).length,
    };
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#servers.map((server) => server.stop(true)));
  }

  async #pass(request: Request, port: number): Promise<Response> {
    const { pathname, search } = new URL(request.url);
    const url = `http://127.0.0.1:${port}${pathname}${search}`;
    const headers = new Headers(request.headers);
    for (const name of ["host", "connection", "content-length"]) headers.delete(name);
    // A sidecar takes an error for the word that its service subscribes to nothing; without a proxy it would wait.
    if (pathname === "/dapr/subscribe") return whenUp(() => fetch(url, { headers }));
    if (!pathname.startsWith("/_events/") || request.method !== "POST") {
      const { method, body } = request;
      return fetch(url, { method, headers, body, redirect: "manual", decompress: false });
    }
    const body = await request.text();
    const parsed = JSON.parse(body) as { entries?: Entry[] };
    const batch = parsed.entries && { ...parsed, entries: parsed.entries };
    return this.#first({ url, headers, body, batch });
  }

  /** The broker's own delivery: shuffled, a part of it later than the rest, and answered as the service did. */
  async #first(delivery: Delivery): Promise<Response> {
    const { batch } = delivery;
    const random = this.#random;
    if (batch === undefined) {
      await Bun.sleep(random.int(0, heldBack));
      const { status, body } = await this.#deliver(delivery);
      this.#later(delivery);
      return new Response(body, { status });
    }
    const entries = shuffled(batch.entries, random);
    const cut = random.int(0, entries.length);
    const parts = await Promise.all(
      [entries.slice(0, cut), entries.slice(cut)].map(async (part, index) => {
        if (part.length === 0) return { status: 200, body: '{"statuses":[]}' };
        if (index === 1) await Bun.sleep(random.int(0, heldBack));
        return this.#deliver({ ...delivery, batch: { ...batch, entries: part } });
      }),
    );
    for (const entry of entries) this.#later(delivery, entry);
    const failed = parts.find(({ status }) => status !== 200);
    if (failed) return new Response(failed.body, { status: failed.status });
    const statuses = parts.flatMap(({ body }) => (JSON.parse(body) as { statuses: unknown[] }).statuses);
    return Response.json({ statuses });
  }

  #later(delivery: Delivery, entry?: Entry, often = times - 1): void {
    for (let time = 0; time < often; time++)
      this.#repeats.push({
        due: performance.now() + this.#random.int(again.from, again.to),
        delivery,
        entry,
      });
  }

  /** Delivers again what is due: of each topic in random order, in batches of any size. */
  #repeat(): void {
    const now = performance.now();
    const due = this.#repeats.filter((one) => one.due <= now);
    if (due.length === 0) return;
    this.#repeats = this.#repeats.filter((one) => one.due > now);
    for (const { delivery } of due.filter(({ entry }) => entry === undefined)) {
      void this.#once(delivery, [], () => this.#later(delivery, undefined, 1));
    }
    const inBatches = due.filter(({ entry }) => entry !== undefined);
    for (const some of Map.groupBy(inBatches, ({ delivery }) => delivery.url).values()) {
      const rest = shuffled(some, this.#random);
      while (rest.length > 0) {
        const part = rest.splice(0, this.#random.int(1, 20));
        const [{ delivery }] = part as [Repeat];
        // Each by a number of its own: the same event may be in it twice.
        const entries = part.flatMap(({ entry }, index) =>
          entry ? [{ ...entry, entryId: String(index) }] : [],
        );
        void this.#once({ ...delivery, batch: { ...delivery.batch, entries } }, entries, (entry) =>
          this.#later(delivery, entry, 1),
        );
      }
    }
  }

  /** A repeated delivery; what is not taken is delivered once more, as a broker would. */
  async #once(delivery: Delivery, entries: Entry[], refused: (entry?: Entry) => void): Promise<void> {
    const { status, body } = await this.#deliver(delivery);
    if (status !== 200) {
      if (entries.length === 0) refused();
      else for (const entry of entries) refused(entry);
      return;
    }
    if (entries.length === 0) {
      if (body.includes("RETRY")) refused();
      return;
    }
    const { statuses } = JSON.parse(body) as { statuses: { entryId: string; status: string }[] };
    for (const { entryId, status: said } of statuses) {
      if (said === "RETRY") refused(entries.find((entry) => entry.entryId === entryId));
    }
  }

  async #deliver({ url, headers, body, batch }: Delivery): Promise<Answer> {
    const { host } = new URL(url);
    const texts = batch ? batch.entries.map(({ event }) => Buffer.from(event, "base64").toString()) : [body];
    for (const text of texts) {
      const { id, time = "" } = JSON.parse(text) as Event;
      const key = `${host} ${id}`;
      const before = this.#seen.get(key) ?? 0;
      if (before === 0 && time < (this.#latest.get(url) ?? "")) this.outOfOrder++;
      if (time > (this.#latest.get(url) ?? "")) this.#latest.set(url, time);
      this.#seen.set(key, before + 1);
    }
    this.#underWay++;
    try {
      const answer = await fetch(url, {
        method: "POST",
        headers,
        body: batch ? JSON.stringify(batch) : body,
      });
      return { status: answer.status, body: await answer.text() };
    } catch {
      // The service is being stopped or started: no answer is an answer, too.
      return { status: 503, body: "" };
    } finally {
      this.#underWay--;
    }
  }
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  return items
    .map((item) => ({ item, place: random.share() }))
    .sort((a, b) => a.place - b.place)
    .map(({ item }) => item);
}

/** Asks until somebody answers, for as long as a shop may take to start. */
async function whenUp(ask: () => Promise<Response>): Promise<Response> {
  const end = performance.now() + 60_000;
  for (;;) {
    const answer = await ask().catch((error: unknown) => {
      if (performance.now() > end) throw error;
    });
    if (answer) return answer;
    await Bun.sleep(50);
  }
}
