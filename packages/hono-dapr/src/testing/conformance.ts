import { Hono } from "hono";
import { hc } from "hono/client";
import {
  type CloudEvent,
  DaprError,
  type DeadLetter,
  drop,
  EtagMismatch,
  event,
  InvocationTimeout,
  newTraceparent,
  on,
  onBinding,
  onDeadLetter,
  parseTraceparent,
  type Received,
  type Sidecar,
  type StandardSchemaV1,
} from "../index.ts";
import type { App } from "./fake.ts";

/** A Dapr to be tested, in memory or real. Its deliveries are tried again three times, 100 ms apart. */
export interface World {
  /**
   * Starts an app beside a sidecar of its own. Its pub/sub component is `pubsub`, its state store `state`, its secret
   * store `secrets` with the secret `greeting` = `hello`.
   *
   * @param open only what lies below this path may be called by others, and only with GET
   */
  start(appId: string, build: (sidecar: Sidecar) => App, open?: string): Promise<Sidecar>;
  /** A sidecar of the app with other credentials, for what is to be refused. */
  withToken(appId: string, apiToken: string): Sidecar;
  /** Puts a text into a topic as it is, as a publisher that is no Dapr app may. */
  put(topic: string, text: string): Promise<void>;
  /** What the app answers to a request that did not come through its sidecar. */
  around(appId: string, path: string, init?: RequestInit): Promise<Response>;
  /** Lets so many milliseconds pass. */
  pass(ms: number): Promise<void>;
  /** Sets a value in the configuration store `configuration`. */
  configure(key: string, value: string): Promise<void>;
  /** Sets off the input binding `tick` of the app `callee`. */
  tick(): Promise<void>;
  close(): Promise<void>;
}

/** What is needed of a test runner; `bun:test`, Vitest and Jest have it. */
export interface Runner {
  describe(name: string, body: () => void): void;
  test(name: string, body: () => Promise<void>): void;
  beforeAll(body: () => Promise<void>): void;
  afterAll(body: () => Promise<void>): void;
  expect(actual: unknown): Expectation;
}

interface Expectation {
  toBe(expected: unknown): void;
  toEqual(expected: unknown): void;
  toMatchObject(expected: object): void;
  toBeInstanceOf(expected: unknown): void;
  toContain(expected: unknown): void;
}

/** What the handler of the suite does with an event is written in the event. */
interface Task {
  /** Throws at so many attempts. */
  fail?: number;
  /** Drops it then. */
  drop?: string;
  note?: string;
}

/** A schema without a library. */
const schema = <T>(fits: (value: unknown) => value is T): StandardSchemaV1<unknown, T> => ({
  "~standard": {
    version: 1,
    vendor: "hono-dapr",
    validate: (value) => (fits(value) ? { value } : { issues: [{ message: "no such thing" }] }),
  },
});

const isTask = (value: unknown): value is Task =>
  typeof value === "object" && value !== null && !("malformed" in value);
const task = schema(isTask);

const Single = event("single", "task", task);
const Bulk = event("bulk", "task", task);
const Plain = event("plain", "task", task);
const Parked = event("parked", "task", task);
const Odd = event("odd topic/é+50%:*", "task", task);
const Late = event("late", "task", task);
const LateBulk = event("late-bulk", "task", task);
const anything = schema((value): value is unknown => value !== undefined);
const MalformedSingle = event("single", "task", anything);
const MalformedBulk = event("bulk", "task", anything);
const Unheard = event("single", "unheard", anything);

const callee = new Hono()
  .get("/things/:id", (c) =>
    c.json({ id: c.req.param("id"), from: c.req.header("dapr-caller-app-id") ?? "" }),
  )
  .get("/status/:code", (c) => {
    const code = Number(c.req.param("code"));
    const headers = {
      "content-type": "application/problem+json",
      "x-reason": "asked for",
      "retry-after": "7",
    };
    return new Response(JSON.stringify({ status: code }), { status: code, headers });
  })
  .get("/empty", (c) => c.body(null, 204))
  .get("/moved", (c) => c.redirect("/things/1", 302))
  .get("/headers", (c) => c.json(c.req.header()))
  .get("/cookies", (c) => {
    c.header("set-cookie", "a=1", { append: true });
    c.header("set-cookie", "b=2", { append: true });
    return c.text("");
  })
  .get("/slow", async (c) => {
    await new Promise<void>((resolve) => c.req.raw.signal.addEventListener("abort", () => resolve()));
    return c.text("too late");
  })
  .all("/echo/*", async (c) => {
    const { pathname, search } = new URL(c.req.raw.url);
    const { method, headers, body } = c.req.raw;
    const type = headers.get("content-type") ?? "";
    return new Response(body, {
      headers: { "x-path": pathname + search, "x-method": method, "x-type": type },
    });
  });

/**
 * Registers the tests that a Dapr must pass for the promises of this package to hold.
 *
 * @example
 * conformance("the fake", openFake, { describe, test, expect, beforeAll, afterAll });
 */
export function conformance(name: string, open: () => Promise<World>, runner: Runner): void {
  const { describe, test, beforeAll, afterAll, expect } = runner;

  describe(name, () => {
    let world: World;
    let caller: Sidecar;
    let own: Sidecar;
    const deliveries: Received<Task>[] = [];
    const letters: DeadLetter[] = [];
    const ticks: unknown[] = [];
    const streams = new Map<string, (chunk: string) => void>();

    const handle = (received: Received<Task>) => {
      deliveries.push(received);
      const { fail = 0, drop: reason } = received.data;
      if (attempts(received.id) <= fail) throw new Error(`attempt ${attempts(received.id)}`);
      return reason === undefined ? undefined : drop(reason);
    };
    const attempts = (id: string) => deliveries.filter((each) => each.id === id).length;
    const delivery = (id: string) => deliveries.find((each) => each.id === id);
    const lettersOf = (id: string) => letters.filter((letter) => letter.id === id);
    const reasonsOf = (id: string) => lettersOf(id).map(({ reason }) => reason ?? "");

    beforeAll(async () => {
      world = await open();
      own = await world.start("callee", (sidecar) =>
        new Hono()
          .route(
            "/",
            sidecar.subscriptions([
              on(Single, handle, { deadLetter: "single-dead" }),
              on(Bulk, handle, { deadLetter: "bulk-dead", bulk: { max: 20, waitMs: 50 } }),
              on(Plain, handle),
              on(Odd, handle),
              on(Parked, handle, {
                deadLetter: "bulk-dead",
                bulk: { max: 20, waitMs: 20 },
                retry: "callee-retry",
              }),
              onDeadLetter("single-dead", (letter) => void letters.push(letter)),
              onDeadLetter("bulk-dead", (letter) => void letters.push(letter)),
              onBinding("tick", (data) => void ticks.push(data)),
            ]),
          )
          .route("/", callee)
          .post("/upload/:id", async (c) => {
            const seen = streams.get(c.req.param("id"));
            const text = new TextDecoder();
            let all = "";
            for await (const chunk of c.req.raw.body ?? []) {
              const part = text.decode(chunk, { stream: true });
              all += part;
              seen?.(part);
            }
            return c.text(all);
          })
          .get("/download", () => {
            const text = new TextEncoder();
            const body = new ReadableStream<Uint8Array>({
              start(controller) {
                controller.enqueue(text.encode("first"));
                streams.set("download", (chunk) => {
                  controller.enqueue(text.encode(chunk));
                  controller.close();
                });
              },
            });
            return new Response(body);
          }),
      );
      const inside = () => new Hono().on(["GET", "DELETE"], ["/open/*", "/closed"], (c) => c.text("inside"));
      await world.start("vault", inside, "/open");
      caller = await world.start("caller", (sidecar) => new Hono().route("/", sidecar.subscriptions([])));
    });

    afterAll(async () => {
      await world.close();
    });

    /** Waits until the check holds; the time is the world's. */
    async function eventually(what: string, check: () => boolean | Promise<boolean>): Promise<void> {
      for (let waited = 0; waited < 20_000; waited += 25) {
        if (await check()) return;
        await world.pass(25);
      }
      throw new Error(`It did not come about that ${what}`);
    }

    describe("events", () => {
      for (const type of [Single, Bulk]) {
        test(`arrive as they were published (${type.topic})`, async () => {
          const traceparent = newTraceparent();
          const sent = type.of(
            { note: 'ü "quoted" <&>\n' },
            { subject: "o-1", traceparent, region: "north" },
          );
          const bare = type.of({ note: "bare" });
          expect(await caller.publishEvents(type.topic, [sent, bare])).toEqual({ failed: [] });
          await eventually("both arrive", () => attempts(sent.id) === 1 && attempts(bare.id) === 1);
          const { raw, ...received } = delivery(sent.id) as Received<Task>;
          expect(received).toEqual({
            data: { note: 'ü "quoted" <&>\n' },
            id: sent.id,
            type: "task",
            topic: type.topic,
            source: "caller",
            subject: "o-1",
            time: sent.time,
            traceparent,
          });
          expect(raw.region).toBe("north");
          expect(delivery(bare.id)?.traceparent).toBe(undefined);
          expect(delivery(bare.id)?.subject).toBe(undefined);
        });

        test(`are tried again when the handler throws, and then are done (${type.topic})`, async () => {
          const flaky = type.of({ fail: 2 });
          await caller.publishEvents(type.topic, [flaky]);
          await eventually("the third attempt succeeds", () => attempts(flaky.id) === 3);
          await world.pass(400);
          expect(attempts(flaky.id)).toBe(3);
          expect(lettersOf(flaky.id)).toEqual([]);
        });

        test(`go to the dead letters when the retries are used up (${type.topic})`, async () => {
          const hopeless = type.of({ fail: 99 }, { subject: "o-2" });
          await caller.publishEvents(type.topic, [hopeless]);
          await eventually("it is a dead letter", () => lettersOf(hopeless.id).length === 1);
          expect(attempts(hopeless.id)).toBe(4);
          const [letter] = lettersOf(hopeless.id);
          expect(letter).toMatchObject({ type: "task", topic: type.topic, reason: undefined });
          expect(letter?.event.data).toEqual({ fail: 99 });
          expect(letter?.event.subject).toBe("o-2");
        });

        test(`that are dropped are a dead letter with the reason, at once (${type.topic})`, async () => {
          const unwanted = type.of({ drop: "not ours" });
          await caller.publishEvents(type.topic, [unwanted]);
          await eventually("both copies come", () => lettersOf(unwanted.id).length === 2);
          expect(reasonsOf(unwanted.id).sort()).toEqual(["", "not ours"]);
          for (const letter of lettersOf(unwanted.id)) expect(letter.topic).toBe(type.topic);
          expect(attempts(unwanted.id)).toBe(1);
        });
      }

      for (const type of [MalformedSingle, MalformedBulk]) {
        test(`that are malformed are a dead letter with the reason (${type.topic})`, async () => {
          const [bad, text] = [type.of({ malformed: true }), type.of("text")];
          await caller.publishEvents(type.topic, [bad, text]);
          for (const { id } of [bad, text]) {
            await eventually("both copies come", () => lettersOf(id).length === 2);
            expect(reasonsOf(id)).toContain("The data does not fit: no such thing");
            expect(attempts(id)).toBe(0);
          }
        });
      }

      for (const topic of ["single", "bulk"]) {
        test(`that are no JSON are a dead letter with their text (${topic})`, async () => {
          const text = `no JSON at all, é ${topic}`;
          await world.put(topic, text);
          await eventually("the letter comes", () => letters.some(({ event }) => event.data === text));
          const later = (topic === "single" ? Single : Bulk).of({});
          await caller.publishEvents(topic, [later]);
          await eventually("others are handled all the same", () => attempts(later.id) === 1);
        });
      }

      test("of one batch are each answered on their own", async () => {
        const batch = Array.from({ length: 12 }, (_, i) =>
          Bulk.of(i % 3 === 0 ? { fail: 1 } : i % 3 === 1 ? { drop: `no ${i}` } : { note: "fine" }),
        );
        await caller.publishEvents("bulk", batch);
        for (const [i, { id }] of batch.entries()) {
          await eventually(`number ${i} is through`, () => attempts(id) >= (i % 3 === 0 ? 2 : 1));
          if (i % 3 === 1) await eventually("its letter comes", () => reasonsOf(id).includes(`no ${i}`));
        }
        await world.pass(300);
        for (const [i, { id }] of batch.entries()) expect(attempts(id)).toBe(i % 3 === 0 ? 2 : 1);
      });

      test("that fail do not hold up others when there is a topic for retries", async () => {
        const hopeless = Parked.of({ fail: 99 });
        const recovering = Parked.of({ fail: 2 });
        await caller.publishEvents("parked", [hopeless, recovering]);
        await eventually("it has failed", () => attempts(hopeless.id) > 0);
        const others = Array.from({ length: 5 }, () => Parked.of({}));
        await caller.publishEvents("parked", others);
        await eventually("the others are through", () => others.every(({ id }) => attempts(id) === 1));
        expect(attempts(hopeless.id) < 5).toBe(true);
        await eventually("it is a dead letter", () => lettersOf(hopeless.id).length === 1);
        expect(attempts(hopeless.id)).toBe(5);
        expect(attempts(recovering.id)).toBe(3);
        expect(lettersOf(recovering.id)).toEqual([]);
        expect(lettersOf(hopeless.id)[0]?.topic).toBe("parked");
        for (const { topic } of deliveries.filter(({ id }) => id === recovering.id))
          expect(topic).toBe("parked");
      });

      test("that are dropped when a part of a batch is delivered again do the sidecar no harm", async () => {
        const batch = [
          { note: "fine" },
          { note: "fine" },
          { fail: 1, drop: "late" },
          { fail: 2, drop: "later" },
        ];
        const events = batch.map((data) => Bulk.of(data));
        await caller.publishEvents("bulk", events);
        await eventually("both are letters", () =>
          events.slice(2).every(({ id }, i) => reasonsOf(id).includes(["late", "later"][i] ?? "")),
        );
        await world.pass(200);
        await own.ready({ timeout: 0 });
        for (const { id } of events.slice(0, 2)) {
          expect(attempts(id)).toBe(1);
          expect(lettersOf(id)).toEqual([]);
        }
      });

      test("of a type that nobody handles are done", async () => {
        const unheard = Unheard.of({ a: 1 });
        await caller.publishEvents("single", [unheard]);
        const later = Single.of({});
        await caller.publishEvents("single", [later]);
        await eventually("a later one arrives", () => attempts(later.id) === 1);
        await world.pass(200);
        expect(lettersOf(unheard.id)).toEqual([]);
      });

      test("without dead letters are handled all the same", async () => {
        const [fine, flaky] = [Plain.of({}), Plain.of({ fail: 1 })];
        await caller.publishEvents("plain", [fine, flaky]);
        await eventually("both are done", () => attempts(fine.id) === 1 && attempts(flaky.id) === 2);
      });

      test("come through topics of any name", async () => {
        const odd = Odd.of({});
        await caller.publishEvents(Odd.topic, [odd]);
        await caller.publish(Odd, {}, { subject: odd.id });
        const both = () => deliveries.filter(({ id, subject }) => id === odd.id || subject === odd.id);
        await eventually("both arrive", () => both().length === 2);
        for (const { topic } of both()) expect(topic).toBe(Odd.topic);
      });

      test("are published one by one, and many at once", async () => {
        const subject = crypto.randomUUID();
        const arrived = () => deliveries.filter((each) => each.subject === subject);
        const traceparent = newTraceparent();
        await caller.traced(traceparent).publish(Single, { note: "one" }, { subject });
        await caller.publish(
          Single,
          Array.from({ length: 50 }, (_, i) => ({ note: String(i) })),
          { subject, tenant: "t-1" },
        );
        await eventually("all arrive", () => arrived().length === 51);
        expect(new Set(arrived().map(({ id }) => id)).size).toBe(51);
        const [one] = arrived().filter(({ data }) => data.note === "one");
        expect(one?.traceparent).toBe(traceparent);
        expect(arrived().filter(({ raw }) => raw.tenant === "t-1").length).toBe(50);
      });

      test("of more than daprd takes in one call are split; one that is too large fails alone", async () => {
        const pad = "x".repeat(200_000);
        const many = Array.from({ length: 30 }, () => Single.of({ note: pad }));
        const huge = Single.of({ note: "x".repeat(5_000_000) });
        const { failed } = await caller.publishEvents("single", [
          ...many.slice(0, 15),
          huge,
          ...many.slice(15),
        ]);
        expect(failed.map(({ id }) => id)).toEqual([huge.id]);
        await eventually("the others arrive", () => many.every(({ id }) => attempts(id) === 1));
      });

      test("for a broker that is not there are refused", async () => {
        const refused = await errorOf(caller.publishEvents("single", [Single.of({})], { pubsub: "nowhere" }));
        expect(refused).toMatchObject({ status: 404, errorCode: "ERR_PUBSUB_NOT_FOUND" });
        const one = await errorOf(caller.publish(Single, {}, { pubsub: "nowhere" }));
        expect(one).toMatchObject({ status: 404, errorCode: "ERR_PUBSUB_NOT_FOUND" });
      });

      test("wait for an app that comes later, unless they expire before", async () => {
        const late = [Late, LateBulk].map((type) => ({ type, lasting: type.of({}), passing: type.of({}) }));
        for (const { type, lasting, passing } of late) {
          await caller.publishEvents(type.topic, [passing], { metadata: { ttlInSeconds: "1" } });
          await caller.publishEvents(type.topic, [lasting]);
        }
        await world.pass(2_100);
        await world.start("latecomer", (sidecar) =>
          new Hono().route(
            "/",
            sidecar.subscriptions([on(Late, handle), on(LateBulk, handle, { bulk: true })]),
          ),
        );
        for (const { lasting, passing } of late) {
          await eventually("the lasting one arrives", () => attempts(lasting.id) === 1);
          expect(attempts(passing.id)).toBe(0);
        }
      });
    });

    describe("calls", () => {
      test("keep status, headers and body", async () => {
        for (const code of [200, 201, 400, 401, 403, 404, 409, 412, 422, 429, 500, 502, 503]) {
          const response = await caller.fetch(`http://callee/status/${code}`);
          expect(response.status).toBe(code);
          expect(response.headers.get("x-reason")).toBe("asked for");
          expect(response.headers.get("retry-after")).toBe("7");
          expect(response.headers.get("content-type")).toBe("application/problem+json");
          expect(await response.json()).toEqual({ status: code });
        }
        const empty = await caller.fetch("http://callee/empty");
        expect([empty.status, await empty.text()]).toEqual([204, ""]);
        const cookies = await caller.fetch("http://callee/cookies");
        expect(cookies.headers.getSetCookie()).toEqual(["a=1", "b=2"]);
      });

      test("take every method, and bodies of any kind", async () => {
        const bytes = Uint8Array.from({ length: 70_000 }, (_, i) => i % 251);
        for (const method of ["POST", "PUT", "PATCH", "DELETE"]) {
          const headers = { "content-type": "application/octet-stream" };
          const response = await caller.fetch("http://callee/echo/", { method, body: bytes, headers });
          expect(response.headers.get("x-method")).toBe(method);
          expect(response.headers.get("x-type")).toBe("application/octet-stream");
          expect(new Uint8Array(await response.arrayBuffer())).toEqual(bytes);
        }
        const head = await caller.fetch("http://callee/things/1", { method: "HEAD" });
        expect([head.status, await head.text()]).toEqual([200, ""]);
        const request = new Request("http://callee/echo/r", { method: "POST", body: "hello" });
        expect(await (await caller.fetch(request)).text()).toBe("hello");
      });

      test("reach the very path and query that are named", async () => {
        const paths = [
          "/echo/a%2Fb/c",
          "/echo/BANK%20CHARGES",
          "/echo/50%25",
          "/echo/100%2525",
          "/echo/%C3%A9t%C3%A9",
          "/echo/a%3Fb%23c",
          "/echo/a+b;c=d:e@f,g$h!i'j(k)*l~m",
          "/echo/a%1Fb",
          "/echo/a%5Cb",
          "/echo/..%2F..%2Fx",
          "/echo/v1.0/state/x",
          "/echo/x?a=1%2F2&b=c%20d+e&a=%25",
        ];
        for (const path of paths) {
          const response = await caller.fetch(`http://callee${path}`);
          expect([response.status, response.headers.get("x-path")]).toEqual([200, path]);
        }
        const sku = "A/B 50% é?#";
        const response = await caller.fetch(`http://callee/things/${encodeURIComponent(sku)}`);
        expect(await response.json()).toMatchObject({ id: sku });
        for (const path of [
          "/v1.0/secrets/secrets/greeting",
          "/configuration/x/y",
          "/method/a",
          "/v1.0/shutdown",
        ]) {
          expect((await caller.fetch(`http://callee${path}`)).status).toBe(404);
        }
      });

      test("cannot be led to another app or to the sidecar itself", async () => {
        const credentials = `Basic ${btoa("dapr-app-id:vault")}`;
        for (const header of [["dapr-app-id", "vault"] as const, ["authorization", credentials] as const]) {
          const response = await caller.fetch("http://callee/things/1", { headers: [[...header]] });
          expect(await response.json()).toMatchObject({ id: "1" });
        }
        const climbing = await caller.fetch("http://callee/../../../../v1.0/secrets/secrets/greeting");
        expect(climbing.status).toBe(404);
        const encoded = await caller.fetch(
          "http://callee/%2e%2e/%2E%2E/%2e%2e/%2e./v1.0/secrets/secrets/greeting",
        );
        expect(encoded.status).toBe(404);
      });

      test("pass headers on, and the trace", async () => {
        const traceparent = newTraceparent();
        const headers = {
          "idempotency-key": "k-1",
          authorization: "Bearer t",
          "if-match": '"3"',
          cookie: "a=b",
        };
        const got = async (from: Sidecar, init: Record<string, string>) =>
          (await (await from.fetch("http://callee/headers", { headers: init })).json()) as Record<
            string,
            string
          >;
        expect(await got(caller, { ...headers, traceparent })).toMatchObject({ ...headers, traceparent });
        expect(await got(caller.traced(traceparent), {})).toMatchObject({ traceparent });
        const other = newTraceparent();
        expect(await got(caller.traced(traceparent), { traceparent: other })).toMatchObject({
          traceparent: other,
        });
        // daprd puts in one of zeros, which is none.
        const none = await got(caller, {});
        expect(parseTraceparent(none.traceparent)).toBe(null);
        expect(none["dapr-caller-app-id"]).toBe("caller");
      });

      test("do not follow redirects", async () => {
        const response = await caller.fetch("http://callee/moved");
        expect([response.status, response.headers.get("location")]).toEqual([302, "/things/1"]);
      });

      test("stream both ways", async () => {
        const first = Promise.withResolvers<void>();
        streams.set("up", (chunk) => chunk.includes("one") && first.resolve());
        const text = new TextEncoder();
        const body = new ReadableStream<Uint8Array>({
          async start(controller) {
            controller.enqueue(text.encode("one "));
            await first.promise;
            controller.enqueue(text.encode("two"));
            controller.close();
          },
        });
        const up = await caller.fetch("http://callee/upload/up", { method: "POST", body });
        expect(await up.text()).toBe("one two");

        const down = await caller.fetch("http://callee/download");
        const chunks: string[] = [];
        const decoder = new TextDecoder();
        for await (const chunk of down.body ?? []) {
          chunks.push(decoder.decode(chunk, { stream: true }));
          if (chunks.join("") === "first") streams.get("download")?.(" second");
        }
        expect(chunks.join("")).toBe("first second");
        expect(chunks.length > 1).toBe(true);
      });

      test("end with a typed error when the time is up or the caller gives up", async () => {
        const late = await errorOf(caller.fetch("http://callee/slow", { timeout: 60 }));
        expect(late).toBeInstanceOf(InvocationTimeout);
        const controller = new AbortController();
        const given = errorOf(
          caller.fetch("http://callee/slow", { signal: controller.signal, timeout: 10_000 }),
        );
        controller.abort(new Error("enough"));
        const error = await given;
        expect(error).toMatchObject({ name: "AbortError" });
        expect((error as Error).cause).toMatchObject({ message: "enough" });
        const before = await errorOf(caller.fetch("http://callee/things/1", { signal: controller.signal }));
        expect(before).toMatchObject({ name: "AbortError" });
        const fine = await caller.fetch("http://callee/things/1", { timeout: 10_000 });
        expect(fine.status).toBe(200);
      });

      test("to an app that is not there are answered 500 by the sidecar", async () => {
        const response = await caller.fetch("http://nobody/x");
        expect(response.status).toBe(500);
        expect(await response.json()).toMatchObject({ errorCode: "ERR_DIRECT_INVOKE" });
      });

      test("that are not allowed are answered 403", async () => {
        const closed = await caller.fetch("http://vault/closed");
        expect(closed.status).toBe(403);
        expect(await closed.json()).toMatchObject({ errorCode: "ERR_DIRECT_INVOKE" });
        expect((await caller.fetch("http://vault/open/a%2Fb")).status).toBe(200);
        expect((await caller.fetch("http://vault/open/x", { method: "DELETE" })).status).toBe(403);
        expect((await caller.fetch("http://vault/open%2F..%2Fclosed")).status).toBe(403);
        expect((await caller.fetch("http://vault/open/../closed")).status).toBe(403);
      });

      test("are made by hc, with its types", async () => {
        const client = hc<typeof callee>("http://callee", caller);
        // hc puts parameters into the path as they are.
        for (const [id, param] of [
          ["a/b %", encodeURIComponent("a/b %")] as const,
          ["50% off", "50% off"] as const,
        ]) {
          const response = await client.things[":id"].$get({ param: { id: param } });
          const thing: { id: string; from: string } = await response.json();
          expect(thing).toEqual({ id, from: "caller" });
        }
      });
    });

    describe("tokens", () => {
      test("are demanded by the sidecar", async () => {
        const stranger = world.withToken("caller", "wrong");
        expect(await errorOf(stranger.publish(Single, {}))).toMatchObject({ status: 401 });
        expect((await stranger.fetch("http://callee/things/1")).status).toBe(401);
      });

      test("are demanded by the app", async () => {
        const forged: CloudEvent = { ...Single.of({}), source: "nobody" };
        const post = (headers: Record<string, string>) =>
          world.around("callee", "/_events/single", {
            method: "POST",
            body: JSON.stringify(forged),
            headers,
          });
        expect((await post({})).status).toBe(401);
        expect((await post({ "dapr-api-token": "guess" })).status).toBe(401);
        expect((await world.around("callee", "/dapr/subscribe")).status).toBe(401);
        expect(attempts(forged.id)).toBe(0);
      });
    });

    describe("state", () => {
      interface Count {
        count: number;
      }
      const isCount = (value: unknown): value is Count => typeof (value as Count | null)?.count === "number";
      const counts = () => caller.state("state", schema(isCount));
      const unused = () => crypto.randomUUID();

      test("is what was written, with an ETag that changes", async () => {
        const [state, key] = [counts(), unused()];
        expect(await state.get(key)).toBe(null);
        await state.set(key, { count: 1 });
        const first = await state.get(key);
        expect(first?.value).toEqual({ count: 1 });
        await state.set(key, { count: 2 }, { etag: first?.etag });
        const second = await state.get(key);
        expect(second?.value).toEqual({ count: 2 });
        expect(second?.etag === first?.etag).toBe(false);
        await state.delete(key);
        expect(await state.get(key)).toBe(null);
        await state.delete(key);
      });

      test("that changed meanwhile is not overwritten or deleted", async () => {
        const [state, key] = [counts(), unused()];
        await state.set(key, { count: 1 });
        const stale = (await state.get(key))?.etag;
        await state.set(key, { count: 2 });
        expect(await errorOf(state.set(key, { count: 3 }, { etag: stale }))).toBeInstanceOf(EtagMismatch);
        expect(await errorOf(state.delete(key, { etag: stale }))).toBeInstanceOf(EtagMismatch);
        expect((await state.get(key))?.value).toEqual({ count: 2 });
      });

      test("is created once", async () => {
        const [state, key] = [counts(), unused()];
        await state.set(key, { count: 1 }, { ifAbsent: true });
        expect(await errorOf(state.set(key, { count: 2 }, { ifAbsent: true }))).toBeInstanceOf(EtagMismatch);
        await state.set(key, { count: 3 });
        expect((await state.get(key))?.value).toEqual({ count: 3 });
      });

      test("loses no update, however many come at once", async () => {
        const [state, key] = [counts(), unused()];
        const add = (current: Count | null) => ({ count: (current?.count ?? 0) + 1 });
        await Promise.all(Array.from({ length: 15 }, () => state.update(key, add, { attempts: 200 })));
        expect((await state.get(key))?.value).toEqual({ count: 15 });
        expect(await state.update(key, () => undefined)).toEqual({ count: 15 });
        expect(await state.update(key, () => null)).toBe(null);
        expect(await state.get(key)).toBe(null);
      });

      test("is read in bulk, under keys of any kind", async () => {
        const state = counts();
        const keys = ["a/b", "c d", "50%", "é+ü", "q?x#y", "%2F"].map((key) => key + unused());
        for (const [count, key] of keys.entries()) await state.set(key, { count });
        const found = await state.getMany([...keys, "missing"]);
        expect([...found.keys()].sort()).toEqual([...keys].sort());
        for (const [count, key] of keys.entries()) {
          expect(found.get(key)?.value).toEqual({ count });
          expect((await state.get(key))?.value).toEqual({ count });
          await state.delete(key, { etag: found.get(key)?.etag });
        }
        expect((await state.getMany(keys)).size).toBe(0);
        expect((await state.getMany([])).size).toBe(0);
      });

      test("is gone when its time is up", async () => {
        const [state, key, lasting] = [counts(), unused(), unused()];
        await state.set(key, { count: 1 }, { ttl: 1 });
        await state.set(lasting, { count: 1 });
        expect((await state.get(key))?.value).toEqual({ count: 1 });
        await eventually("it is gone", async () => (await state.get(key)) === null);
        expect((await state.get(lasting))?.value).toEqual({ count: 1 });
      });

      test("is an app's own", async () => {
        const key = unused();
        await counts().set(key, { count: 1 });
        expect(await own.state("state", schema(isCount)).get(key)).toBe(null);
      });

      test("that does not fit the schema is an error, as is a store that is not there", async () => {
        const key = unused();
        await caller.state("state", anything).set(key, "text");
        expect(await errorOf(counts().get(key))).toMatchObject({ name: "InvalidState" });
        const nowhere = caller.state("nowhere", anything);
        expect(await errorOf(nowhere.get(key))).toMatchObject({ errorCode: "ERR_STATE_STORE_NOT_FOUND" });
        expect(await errorOf(nowhere.set(key, 1))).toMatchObject({ errorCode: "ERR_STATE_STORE_NOT_FOUND" });
        expect(await errorOf(counts().set("a||b", { count: 1 }))).toMatchObject({ status: 400 });
        expect(await errorOf(counts().set(key, { count: 1 }, { etag: "none" }))).toMatchObject({
          status: 400,
        });
      });
    });

    test("secrets are read, and a missing one is an error", async () => {
      expect(await caller.secrets("secrets").get("greeting")).toBe("hello");
      expect(await errorOf(caller.secrets("secrets").get("missing"))).toBeInstanceOf(DaprError);
      const nowhere = await errorOf(caller.secrets("nowhere").get("greeting"));
      expect(nowhere).toMatchObject({ errorCode: "ERR_SECRET_STORE_NOT_FOUND" });
    });

    test("configuration is read, and changes are told until the watch is stopped", async () => {
      const key = `limit-${crypto.randomUUID()}`;
      const configuration = caller.configuration("configuration");
      expect(await configuration.get([key])).toEqual({});
      const told: string[] = [];
      const watch = await configuration.watch([key], (items) => told.push(items[key]?.value ?? "?"));
      // The component begins to listen a moment after it has answered.
      let value = 0;
      await eventually("a change is told", async () => {
        await world.configure(key, String(++value));
        await world.pass(25);
        return told.length > 0;
      });
      expect(told).toContain(String(value));
      expect((await configuration.get([key]))[key]?.value).toBe(String(value));
      await watch.stop();
      await world.configure(key, "last");
      await world.pass(200);
      expect(told.includes("last")).toBe(false);
    });

    test("an input binding reaches its handler", async () => {
      await world.tick();
      await eventually("it ticks", () => ticks.length > 0);
    });

    test("an output binding that is not there is an error", async () => {
      const error = await errorOf(caller.binding("nowhere").invoke("create", { a: 1 }));
      expect(error).toMatchObject({ status: 500, errorCode: "ERR_INVOKE_OUTPUT_BINDING" });
    });

    test("the sidecar is ready and says who it is", async () => {
      await caller.ready();
      expect((await caller.metadata()).id).toBe("caller");
    });
  });
}

/** What the promise is rejected with. */
async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("It should have been refused");
}
