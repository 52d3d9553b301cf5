/** Mails of a whole shop, through the sidecar's SMTP binding, to the catcher that `npm start` runs. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Caught, Summary } from "../../packages/souk/src/mail/box.ts";
import { type TestShop, testShop } from "./shop.ts";

let on: TestShop;
beforeAll(async () => {
  on = await testShop();
}, 200_000);
afterAll(() => on?.stop(), 60_000);

const catcher = (): string => {
  const { mail } = on.shop.run;
  if (!mail) throw new Error("there is no mail catcher");
  return mail.url;
};
const readAll = async (): Promise<Summary[]> =>
  (await (await fetch(`${catcher()}/api/mails`)).json()) as Summary[];

/** Waits for mails to an address: `count` of them, whole. */
async function mailsTo(address: string, count = 1): Promise<Caught[]> {
  for (;;) {
    const found = (await readAll()).filter(({ to }) => to.includes(address));
    if (found.length >= count) {
      return Promise.all(
        found.map(async ({ id }) => (await (await fetch(`${catcher()}/api/mails/${id}`)).json()) as Caught),
      );
    }
    await pause(50);
  }
}

/** Waits for the mail to an address that has this subject. */
async function mailCalled(address: string, subject: string): Promise<Caught> {
  for (;;) {
    const found = (await mailsTo(address)).find((mail) => mail.subject === subject);
    if (found) return found;
    await pause(50);
  }
}

const register = (email: string, name: string, language = "en") =>
  on.api.call("/api/users", {
    method: "POST",
    guest: true,
    body: { email, name, language, password: `a long one for ${name} 7` },
  });

const header = ({ headers }: Caught, name: string): string | undefined =>
  headers.find((one) => one.name.toLowerCase() === name)?.value;

test("who registers gets a mail, as text and as HTML, with a link", async () => {
  await register("ada.lovelace@example.com", "Ada");
  const [mail] = await mailsTo("ada.lovelace@example.com");
  expect(mail).toMatchObject({ subject: "Please confirm your e-mail address" });
  expect(mail?.from).toContain("shop@souk.example");
  const link = /http:\S+\/verify-email\S+/.exec(mail?.text ?? "")?.[0] ?? "";
  expect(link).toStartWith(`${on.shop.url}/verify-email`);
  expect(mail?.text).toStartWith("Hello Ada,");
  expect(mail?.html).toContain(`href="${link}"`);
  expect(header(mail as Caught, "message-id")).toMatch(/^<[\w-]+\.verify-email@localhost>$/);
  expect(header(mail as Caught, "auto-submitted")).toBe("auto-generated");

  // A person reads it, too.
  const page = await (await fetch(`${catcher()}/mails/${mail?.id}`)).text();
  expect(page).toContain('sandbox="allow-popups');
  expect(await (await fetch(catcher())).text()).toContain("Please confirm your e-mail address");
}, 60_000);

test("in the reader's language", async () => {
  await register("grete.hermann@example.com", "Grete", "de-AT");
  const [mail] = await mailsTo("grete.hermann@example.com");
  expect(mail?.subject).toBe("Bitte bestätigen Sie Ihre E-Mail-Adresse");
  expect(mail?.text).toStartWith("Guten Tag Grete,");
}, 60_000);

test("orders are confirmed by mail, cancelled, and refunded; one may unsubscribe from what one can do without", async () => {
  const email = "caroline.herschel@example.com";
  const customer = { email, name: "Caroline" };
  // A service: it is captured at once, so there is something to refund.
  const sku = await on.product({ kind: "service", price: { amount: 255, currency: "GBP" } });
  const order = await on.settled(await on.place([{ sku, quantity: 6 }], { customer, reference: "536365" }));
  const [confirmed] = await mailsTo(email);
  expect(confirmed?.subject).toBe("Your order 536365 is confirmed");
  expect(confirmed?.text).toMatch(/Product SKU-\d+ +6 +£15\.30/);
  expect(header(confirmed as Caught, "list-unsubscribe")).toBeUndefined();

  await on.api.call(`/api/orders/${order.id}/cancel`, { method: "POST" });
  const all = await mailsTo(email, 3);
  expect(all.map(({ subject }) => subject).sort()).toEqual([
    "A refund for your order 536365",
    "Your order 536365 is cancelled",
    "Your order 536365 is confirmed",
  ]);

  // Through the front door, as a mail program does it with one click.
  const cancelled = all.find(({ subject }) => subject.includes("cancelled")) as Caught;
  const url = /^<(.+)>$/.exec(header(cancelled, "list-unsubscribe") ?? "")?.[1] ?? "";
  expect(header(cancelled, "list-unsubscribe-post")).toBe("List-Unsubscribe=One-Click");
  const page = await fetch(url, { headers: { "accept-language": "en" } });
  expect(page.status).toBe(200);
  expect(await page.text()).toContain("Unsubscribe");
  const form = { "content-type": "application/x-www-form-urlencoded" };
  const done = await fetch(url, { method: "POST", headers: form, body: "List-Unsubscribe=One-Click" });
  expect(done.status).toBe(200);

  const next = await on.settled(await on.place([{ sku, quantity: 1 }], { customer, reference: "536366" }));
  await on.api.call(`/api/orders/${next.id}/cancel`, { method: "POST" });
  await on.settled(await on.place([{ sku, quantity: 1 }], { customer, reference: "536367" }));
  const subjects = (await mailsTo(email, 5)).map(({ subject }) => subject);
  expect(subjects.filter((one) => /53636[67]/.test(one)).sort()).toEqual([
    "Your order 536366 is confirmed",
    "Your order 536367 is confirmed",
  ]);
}, 60_000);

test("each parcel is told of, with where it can be followed, and what will not be sent any more", async () => {
  const email = "maria.mitchell@example.com";
  const sku = await on.product({ price: { amount: 255, currency: "GBP" } });
  const order = await on.settled(
    await on.place([{ sku, quantity: 6 }], { customer: { email, name: "Maria" }, reference: "536370" }),
  );
  const dispatch = (id: string, body?: object) =>
    on.api.call(`/api/shipments/${id}/dispatch`, { method: "POST", body });
  /** Shipping hears of the order, and of what is sent, a moment later. */
  const pending = async (): Promise<string> => {
    for (;;) {
      const { body } = await on.api.call<{ items: { id: string }[] }>(
        `/api/shipments?order=${order.id}&status=pending`,
      );
      if (body.items[0]) return body.items[0].id;
      await pause(50);
    }
  };
  const first = await pending();
  await dispatch(first, { lines: [{ sku, quantity: 2 }], carrier: "Royal Mail", tracking: "RM123456785GB" });
  const part = await mailCalled(email, "A part of your order 536370 is on its way");
  expect(part.text).toMatch(/Product SKU-\d+ +2\n/);
  expect(part.text).toContain("Tracking number: RM123456785GB");
  expect(part.html).toContain("Tracking number: RM123456785GB");

  const lines = [{ sku, quantity: 1 }];
  await on.api.call(`/api/orders/${order.id}/cancel`, { method: "POST", body: { lines } });
  const without = await mailCalled(email, "A part of your order 536370 is cancelled");
  expect(without.text).toMatch(/SKU-\d+ +1\n/);

  await dispatch(await pending());
  const rest = await mailCalled(email, "Your order 536370 is on its way");
  expect(rest.text).toMatch(/Product SKU-\d+ +3\n/);
}, 60_000);

test("a mail server that is down delays a mail, and it comes once", async () => {
  await on.shop.halt("mail");
  await register("mary.somerville@example.com", "Mary");
  while (!on.shop.tail("notifications").some((line) => line.includes("a mail was not sent"))) await pause(50);
  // Also a service that dies meanwhile forgets nothing.
  await on.shop.kill("notifications");
  await on.shop.start("mail");
  const answers = () =>
    fetch(catcher()).then(
      ({ ok }) => ok,
      () => false,
    );
  while (!(await answers())) await pause(50);
  expect(await mailsTo("mary.somerville@example.com")).toHaveLength(1);
  // What comes after it has come: it would have come by then, if it came twice.
  await on.shop.ready();
  await register("emmy.noether@example.com", "Emmy");
  await mailsTo("emmy.noether@example.com");
  expect(await mailsTo("mary.somerville@example.com")).toHaveLength(1);
}, 120_000);

test("nothing of it is kept in the open, or in a log", async () => {
  await mailsTo("ada.lovelace@example.com");
  const { data, logs } = on.shop.home;
  const files = [
    ...readdirSync(data)
      .filter((name) => name.startsWith("notifications"))
      .map((name) => join(data, name)),
    ...readdirSync(logs).map((name) => join(logs, name)),
  ];
  expect(files.length).toBeGreaterThan(10);
  for (const file of files) {
    const text = readFileSync(file, "latin1");
    for (const word of ["lovelace", "somerville", "verify-email?token", "Grete", "Herschel", "herschel"]) {
      expect(text.includes(word), `${word} in ${file}`).toBe(false);
    }
  }
});
