import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  OrderCancelled,
  OrderConfirmed,
  OrderLinesCancelled,
  OrderRejected,
  OrderShipped,
  PaymentRefunded,
  UserErased,
  UserMailRequested,
} from "./contracts.ts";
import { rig, sealed, until } from "./rig.fixture.ts";

let on: Awaited<ReturnType<typeof rig>>;
beforeEach(async () => {
  on = await rig();
});
afterEach(() => on.stop());

const link = "http://shop.test/verify-email?token=abc";
const requested = async (over: { to?: string; language?: string; template?: "reset-password" } = {}) => ({
  userId: "u_1",
  template: over.template ?? ("verify-email" as const),
  language: over.language ?? "en",
  to: await sealed(over.to ?? "ada@example.com"),
  name: await sealed("Ada"),
  link: await sealed(link),
});
const gbp = (amount: number) => ({ amount, currency: "GBP" });
const order = {
  orderId: "o-1",
  reference: "536365",
  total: gbp(1_530),
  country: "GB",
  lines: [{ sku: "85123A", quantity: 6, unitPrice: gbp(255) }],
};
const shipment = {
  orderId: "o-1",
  reference: "536365",
  shipmentId: "o-1-1",
  lines: [{ sku: "85123A", quantity: 2, name: "Holder" }],
  carrier: "Royal Mail",
  tracking: "RM123456785GB",
  complete: false,
};
const contact = (language = "en") => ({
  email: "Ada@Example.com",
  name: "Ada",
  reference: "536365",
  language,
});
const place = (language?: string) => on.contact(contact(language));
const ended = (id: string) =>
  until(
    () => on.app.store.mail(id),
    (mail) => mail !== undefined && mail.status !== "pending",
  );

describe("a mail for an account", () => {
  test("goes out whole, and whom it went to is forgotten", async () => {
    await on.app.deliver(UserMailRequested, await requested(), { id: "event-1" });
    const [asked] = await on.untilAsked(1);
    expect(asked?.operation).toBe("send");
    expect(asked?.data).toMatchObject({
      from: "Souk <shop@souk.example>",
      to: "ada@example.com",
      toName: "Ada",
      subject: "Please confirm your e-mail address",
      headers: { "Message-ID": "<event-1.verify-email@shop.test>", "Auto-Submitted": "auto-generated" },
    });
    expect(asked?.data.text).toContain(link);
    expect(asked?.data.html).toContain(link);
    expect(asked?.data.headers["List-Unsubscribe"]).toBeUndefined();
    expect(await ended("event-1.verify-email")).toMatchObject({ status: "sent", sealed: null, tries: 1 });
  });

  test("is sent once, however often the event comes", async () => {
    const data = await requested();
    for (let n = 0; n < 3; n++) await on.app.deliver(UserMailRequested, data, { id: "event-1" });
    await ended("event-1.verify-email");
    // What comes after it has gone out: so would have the same mail again.
    await on.app.deliver(UserMailRequested, await requested({ template: "reset-password" }), {
      id: "event-2",
    });
    await ended("event-2.reset-password");
    expect(on.asked.map(({ data }) => data.headers["Message-ID"])).toEqual([
      "<event-1.verify-email@shop.test>",
      "<event-2.reset-password@shop.test>",
    ]);
  });

  test("waits for a mail server that is down", async () => {
    on.answer(
      () => "error invoking output binding mail: smtp: dial tcp 127.0.0.1:25: connect: connection refused",
    );
    await on.app.deliver(UserMailRequested, await requested(), { id: "event-1" });
    const waiting = await until(
      () => on.app.store.mail("event-1.verify-email"),
      (mail) => mail?.tries === 1,
    );
    expect(waiting).toMatchObject({ status: "pending", reason: "the mail server cannot be reached" });
    expect(waiting?.sealed).not.toBeNull();
    on.answer(() => undefined);
    on.pass(1_000);
    expect(await ended("event-1.verify-email")).toMatchObject({ status: "sent", tries: 2 });
  });

  test("to an address that the mail server refuses ends, with the code and nothing else", async () => {
    on.answer(
      () =>
        "smtp: the mail was not taken: gomail: could not send email 1: 550 5.1.1 <ada@example.com>: unknown",
    );
    await on.app.deliver(UserMailRequested, await requested(), { id: "event-1" });
    const mail = await ended("event-1.verify-email");
    expect(mail).toMatchObject({ status: "failed", sealed: null, reason: expect.stringContaining("550") });
    expect(JSON.stringify(mail)).not.toContain("ada");
  });

  test("that cannot be opened is dropped", async () => {
    const to = await sealed("ada@example.com", new Uint8Array(32).fill(8));
    await on.app.deliver(UserMailRequested, { ...(await requested()), to }, { id: "event-1" });
    expect(await ended("event-1.verify-email")).toMatchObject({ status: "dropped", sealed: null });
    expect(on.asked).toEqual([]);
  });

  test("goes out as HTML alone where the binding can do no more", async () => {
    on.answer(({ operation }) =>
      operation === "send"
        ? "binding mail does not support operation send. supported operations:create"
        : undefined,
    );
    await on.app.deliver(UserMailRequested, await requested(), { id: "event-1" });
    await ended("event-1.verify-email");
    expect(on.asked.at(-1)).toMatchObject({
      operation: "create",
      data: expect.stringContaining("<!doctype html>"),
      metadata: {
        emailTo: "ada@example.com",
        emailFrom: "Souk <shop@souk.example>",
        subject: "Please confirm your e-mail address",
      },
    });
    // It has learned.
    await on.app.deliver(UserMailRequested, await requested({ to: "eve@example.com" }), { id: "event-2" });
    await ended("event-2.verify-email");
    expect(on.asked.map(({ operation }) => operation)).toEqual(["send", "create", "create"]);
  });

  test("of a user who is erased does not go out", async () => {
    on.answer(() => "smtp: dial tcp: connection refused");
    await on.app.deliver(UserMailRequested, await requested(), { id: "event-1" });
    await on.untilAsked(1);
    await on.app.deliver(UserErased, { userId: "u_1" });
    expect(await on.app.store.mail("event-1.verify-email")).toMatchObject({
      status: "dropped",
      sealed: null,
      userId: null,
    });
    on.answer(() => undefined);
    on.pass(60_000);
    await on.app.deliver(UserMailRequested, await requested({ to: "eve@example.com" }), { id: "event-2" });
    await ended("event-2.verify-email");
    expect(on.asked.map(({ data }) => data.to).filter((to) => to === "ada@example.com")).toHaveLength(1);
  });
});

describe("a mail about an order", () => {
  test("says what was bought, to whom the order names", async () => {
    place();
    await on.app.deliver(OrderConfirmed, order, { id: "event-1" });
    const [asked] = await on.untilAsked(1);
    expect(asked?.data).toMatchObject({ to: "Ada@Example.com", subject: "Your order 536365 is confirmed" });
    expect(asked?.data.text).toContain("£15.30");
    expect(asked?.data.headers["List-Unsubscribe"]).toBeUndefined();
  });

  test.each([
    ["confirmed", () => on.app.deliver(OrderConfirmed, order), "Ihre Bestellung 536365 ist bestätigt"],
    [
      "rejected",
      () => on.app.deliver(OrderRejected, { orderId: "o-1", reason: "payment-declined" as const }),
      "Ihre Bestellung 536365 konnte nicht angenommen werden",
    ],
    [
      "cancelled",
      () => on.app.deliver(OrderCancelled, { orderId: "o-1" }),
      "Ihre Bestellung 536365 ist storniert",
    ],
    [
      "shipped in part",
      () => on.app.deliver(OrderShipped, shipment),
      "Ein Teil Ihrer Bestellung 536365 ist unterwegs",
    ],
    [
      "shipped",
      () => on.app.deliver(OrderShipped, { ...shipment, complete: true }),
      "Ihre Bestellung 536365 ist unterwegs",
    ],
    [
      "cancelled in part",
      () =>
        on.app.deliver(OrderLinesCancelled, {
          orderId: "o-1",
          lines: [{ sku: "85123A", quantity: 2 }],
          open: [],
          remaining: gbp(0),
        }),
      "Ein Teil Ihrer Bestellung 536365 ist storniert",
    ],
    [
      "refunded",
      () => on.app.deliver(PaymentRefunded, { orderId: "o-1", amount: gbp(100), held: gbp(0) }),
      "Eine Erstattung zu Ihrer Bestellung 536365",
    ],
  ])("is written when it is %s, in the customer's language", async (_, happen, subject) => {
    place("de-DE,de;q=0.9");
    await happen();
    const [asked] = await on.untilAsked(1);
    expect(asked?.data.subject).toBe(subject);
  });

  test("of a parcel says what is in it, and where it can be followed", async () => {
    place();
    await on.app.deliver(OrderShipped, shipment, { id: "event-1" });
    const [asked] = await on.untilAsked(1);
    expect(asked?.data.text).toContain(
      "  Holder  2\n\nCarrier: Royal Mail\n\nTracking number: RM123456785GB\n",
    );
    expect(asked?.data.html).toContain("RM123456785GB");
    expect(asked?.data.headers["List-Unsubscribe"]).toBeDefined();
  });

  test("is not written when nothing was given back", async () => {
    place();
    await on.app.deliver(
      PaymentRefunded,
      { orderId: "o-1", amount: gbp(0), held: gbp(0) },
      { id: "event-1" },
    );
    await on.app.deliver(
      PaymentRefunded,
      { orderId: "o-1", amount: gbp(100), held: gbp(0) },
      { id: "event-2" },
    );
    expect(await ended("event-2.payment-refunded")).toMatchObject({ status: "sent" });
    expect(await on.app.store.mail("event-1.payment-refunded")).toBeUndefined();
  });

  test.each([503, 500, 200])("waits while orders cannot say whom to write to (%d)", async (status) => {
    on.contact(status === 200 ? {} : status);
    await on.app.deliver(OrderConfirmed, order, { id: "event-1" });
    const waiting = await until(
      () => on.app.store.mail("event-1.order-confirmed"),
      (mail) => mail?.tries === 1,
    );
    expect(waiting).toMatchObject({ status: "pending", reason: "orders cannot be asked" });
    place();
    on.pass(1_000);
    expect(await ended("event-1.order-confirmed")).toMatchObject({ status: "sent" });
  });

  test("that nobody is to be written to about, being erased, is dropped", async () => {
    await on.app.deliver(OrderConfirmed, order, { id: "event-1" });
    expect(await ended("event-1.order-confirmed")).toMatchObject({
      status: "dropped",
      reason: "nobody to write to",
    });
    expect(on.asked).toEqual([]);
  });
});

describe("unsubscribing", () => {
  const cancelled = async (id: string) => {
    await on.app.deliver(OrderCancelled, { orderId: "o-1" }, { id });
    return ended(`${id}.order-cancelled`);
  };
  const url = async (): Promise<string> => {
    place();
    await cancelled("event-1");
    const header = on.asked[0]?.data.headers["List-Unsubscribe"] ?? "";
    expect(on.asked[0]?.data.headers["List-Unsubscribe-Post"]).toBe("List-Unsubscribe=One-Click");
    const found = /^<(http:\/\/shop\.test(\/unsubscribe\?token=\S+))>$/.exec(header);
    expect(on.asked[0]?.data.text).toContain(found?.[1] ?? "none");
    return found?.[2] ?? "";
  };
  const form = { "content-type": "application/x-www-form-urlencoded" };

  test("with one click: what one can do without comes no more, what one needs does", async () => {
    const path = await url();
    const done = await on.app.request(path, {
      method: "POST",
      headers: form,
      body: "List-Unsubscribe=One-Click",
    });
    expect(done.status).toBe(200);
    expect(await cancelled("event-2")).toMatchObject({ status: "dropped", reason: "unsubscribed" });
    await on.app.deliver(OrderConfirmed, order, { id: "event-3" });
    expect(await ended("event-3.order-confirmed")).toMatchObject({ status: "sent" });
  });

  test("what came about by itself is told all the same", async () => {
    const path = await url();
    await on.app.request(path, { method: "POST", headers: form, body: "List-Unsubscribe=One-Click" });
    const expired = { orderId: "o-1", reason: "authorisation-expired" as const };
    await on.app.deliver(OrderCancelled, expired, { id: "event-2" });
    expect(await ended("event-2.order-cancelled")).toMatchObject({ status: "sent" });
    const part = { orderId: "o-1", lines: [], open: [], remaining: gbp(0) };
    await on.app.deliver(OrderLinesCancelled, part, { id: "event-3" });
    expect(await ended("event-3.order-lines-cancelled")).toMatchObject({ status: "sent" });
    await on.app.deliver(OrderShipped, shipment, { id: "event-4" });
    expect(await ended("event-4.order-shipped")).toMatchObject({ status: "dropped", reason: "unsubscribed" });
  });

  test("a GET asks, and changes nothing", async () => {
    const path = await url();
    const page = await on.app.request(path, { headers: { "accept-language": "de" } });
    expect(page.headers.get("content-security-policy")).toContain("default-src 'none'");
    expect(await page.text()).toContain("Abbestellen");
    expect(await cancelled("event-2")).toMatchObject({ status: "sent" });
  });

  test("may be taken back", async () => {
    const path = await url();
    await on.app.request(path, { method: "POST", headers: form, body: "" });
    await on.app.request(path, { method: "POST", headers: form, body: "again=yes" });
    expect(await cancelled("event-2")).toMatchObject({ status: "sent" });
  });

  test("needs the link of a mail, unchanged", async () => {
    const path = await url();
    for (const wrong of ["/unsubscribe", "/unsubscribe?token=a.b", `${path}x`, path.replace(/\./, "x.")]) {
      expect((await on.app.request(wrong)).status).toBe(404);
      expect((await on.app.request(wrong, { method: "POST", headers: form, body: "" })).status).toBe(404);
    }
  });
});
