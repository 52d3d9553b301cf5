import { describe, expect, test } from "bun:test";
import { letter, usable } from "./letter.ts";
import type { OrderFacts, Template } from "./mail.ts";
import { languageOf } from "./words.ts";

const gbp = (amount: number) => ({ amount, currency: "GBP" });
const order: OrderFacts = { orderId: "o-1", reference: "536365" };
const unsubscribe = "https://shop.example/unsubscribe?token=digest.signature";
const link = "https://shop.example/verify-email?token=abc&x=1";
const mails: Record<Template, { link?: string; order?: OrderFacts; unsubscribe?: string }> = {
  "verify-email": { link },
  "reset-password": { link },
  "already-registered": { link },
  "order-confirmed": {
    order: {
      ...order,
      total: gbp(2_139),
      lines: [
        { sku: "85123A", name: "White hanging heart T-light holder", quantity: 6, unitPrice: gbp(255) },
        { sku: "BANK CHARGES", quantity: 1, unitPrice: gbp(609) },
      ],
    },
  },
  "order-shipped": {
    order: {
      ...order,
      lines: [
        { sku: "85123A", name: "White hanging heart T-light holder", quantity: 4 },
        { sku: "22423", name: "Cakestand", quantity: 12 },
      ],
      carrier: "Royal Mail",
      tracking: "RM123456785GB",
      complete: false,
    },
    unsubscribe,
  },
  "order-lines-cancelled": {
    order: {
      ...order,
      lines: [{ sku: "85123A", quantity: 2 }],
      reason: "authorisation-expired",
      complete: false,
    },
  },
  "order-rejected": { order: { ...order, reason: "out-of-stock" } },
  "order-cancelled": { order, unsubscribe },
  "payment-refunded": { order: { ...order, total: gbp(1_530) }, unsubscribe },
};

describe.each(["en", "de"])("the mails in %s are as they were", (language) => {
  test.each(Object.entries(mails))("%s", (template, about) => {
    const { subject, text, html } = letter({
      template: template as Template,
      language,
      name: "Ada Lovelace",
      ...about,
    });
    expect(`${subject}\n\n${text}`).toMatchSnapshot("text");
    expect(html).toMatchSnapshot("HTML");
  });
});

test.each([
  ["en", "Your order 536365 is on its way", "Your order 536365 is on its way to you. In this parcel:"],
  [
    "de",
    "Ihre Bestellung 536365 ist unterwegs",
    "Ihre Bestellung 536365 ist zu Ihnen unterwegs. In diesem Paket:",
  ],
])("the last parcel of an order, in %s", (language, called, says) => {
  const sent: OrderFacts = {
    ...order,
    lines: [{ sku: "22423", name: "Cakestand", quantity: 1 }],
    complete: true,
  };
  const { subject, text } = letter({ template: "order-shipped", language, name: "Ada", order: sent });
  expect(subject).toBe(called);
  expect(text).toContain(says);
  expect(text).toContain("  Cakestand  1\n");
  expect(text).not.toMatch(/undefined|Tracking|Sendungsnummer/);
});

test.each([
  ["en", "The approval of your payment has run out"],
  ["de", "Die Freigabe Ihrer Zahlung ist abgelaufen"],
])("what came about by itself is explained, in %s", (language, why) => {
  const expired: OrderFacts = { ...order, reason: "authorisation-expired", complete: true };
  for (const template of ["order-cancelled", "order-lines-cancelled"] as const) {
    const { text } = letter({ template, language, name: "Ada", order: expired });
    expect(text).toContain(why);
    expect(text).not.toMatch(/still comes|kommt weiterhin/);
    expect(letter({ template, language, name: "Ada", order }).text).not.toContain(why);
  }
});

test("what somebody else has written stays text", () => {
  const bad = `<img src=x onerror=alert(1)>"'&`;
  const { html, subject } = letter({
    template: "order-confirmed",
    language: "en",
    name: "Ada & Co",
    order: {
      orderId: "o-1",
      reference: `${bad}\r\nBcc: all@example.com`,
      lines: [{ sku: bad, quantity: 1, unitPrice: gbp(1) }],
    },
  });
  const sent: OrderFacts = { orderId: "o-1", reference: null, carrier: bad, tracking: bad, complete: true };
  expect(letter({ template: "order-shipped", language: "en", name: "Ada", order: sent }).html).not.toContain(
    "<img",
  );
  expect(html).not.toContain("<img");
  expect(html).toContain("Ada &#38; Co");
  expect(subject).not.toMatch(/[\r\n]/);
  expect(subject).toContain("o-1");
});

test.each(["http://evil.example", "Visit evil.example now", "a@b", "x/y", "www evil", "x".repeat(61)])(
  "a name like %p is left out: whoever registers chooses it, and somebody else reads it",
  (name) => {
    const { text, html } = letter({ template: "verify-email", language: "en", name, link });
    expect(text).toStartWith("Hello,\n");
    expect(html).not.toContain(name);
  },
);

test("names of people are names", () => {
  for (const name of ["Ada", "Grace Hopper", "J. R. R. Tolkien", "Søren Å", "O'Neil", "李清照"])
    expect(usable(name)).toBe(name);
});

test.each([
  ["de", "de"],
  ["de-AT", "de"],
  ["DE", "de"],
  ["de-DE,de;q=0.9,en;q=0.8", "de"],
  ["en-GB", "en"],
  ["fr", "en"],
  ["", "en"],
  [null, "en"],
])("%p is read in %s", (tag, language) => {
  expect(languageOf(tag).tag).toBe(language);
});

test.each([
  ["JPY", 1530, "¥1,530"],
  ["KWD", 1530, "KWD 1.530"],
])("money of %s", (currency, amount, written) => {
  const facts = { ...order, total: { amount, currency } };
  const { text } = letter({ template: "payment-refunded", language: "en", name: "Ada", order: facts });
  expect(text.replaceAll("\u00a0", " ")).toContain(written);
});
