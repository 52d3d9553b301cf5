import type { Kit } from "chassis";
import * as v from "valibot";
import { Contact } from "../contracts.ts";
import { letter } from "../letter.ts";
import { type AfterTry, afterTry, dropped, type Mail, optional } from "../mail.ts";
import type { Store } from "../store.ts";
import { sendMail } from "./mailer.ts";
import { opened } from "./sealed.ts";
import { digestFor, linkFor } from "./unsubscribing.ts";

/** Whom a mail goes to. It is in the open here, on its way from a seal to the mail server, and nowhere else. */
interface Recipient {
  to: string;
  /** The customer's own name for the order. */
  reference?: string | null;
  name: string;
  link?: string;
  language: string | null;
}

/** The address of an order comes in an event of its own, which may be late. */
const contactWaits = 10 * 60_000;
const lookAgain = 2_000;

/** Sends a mail, unless there is nobody to send it to or nobody who wants it; says what follows. */
export async function sendOut(mail: Mail, kit: Kit<Store>): Promise<AfterTry> {
  const { store, now, log } = kit;
  if (mail.orderId !== null && (await store.contact(mail.orderId)) === undefined) {
    const { tries, reason, createdAt } = mail;
    if (now() - createdAt >= contactWaits) return dropped(mail, "nobody to write to", now());
    return { mail: { status: "pending", tries, reason, endedAt: null }, nextAt: now() + lookAgain };
  }
  const recipient = await recipientOf(mail, kit);
  if (recipient === undefined) {
    log.error({ mail: mail.id, template: mail.template }, "the address of a mail cannot be opened");
    return dropped(mail, "the address cannot be opened", now());
  }
  const { language, link, name, reference = null, to } = recipient;
  const topic = optional[mail.template];
  const digest = topic && (await digestFor(kit, to, topic));
  if (digest && (await store.isUnsubscribed(digest))) return dropped(mail, "unsubscribed", now());
  const unsubscribe = digest && (await linkFor(kit, digest));
  const { template, facts } = mail;
  const order = facts ? { ...facts, reference } : undefined;
  const written = letter({ template, language, name, link, order, unsubscribe });
  const sent = await sendMail(kit, { ...written, id: mail.id, to, name, unsubscribe });
  if (sent.is !== "sent") {
    log.warn({ mail: mail.id, template, tries: mail.tries + 1, reason: sent.reason }, "a mail was not sent");
  }
  return afterTry(mail, sent, now());
}

async function recipientOf(mail: Mail, kit: Kit<Store>): Promise<Recipient | undefined> {
  if (mail.sealed) {
    const { sealed } = mail;
    const [to, name, link] = await Promise.all(
      [sealed.to, sealed.name, sealed.link].map((one) => opened(kit, one)),
    );
    if (to === undefined || name === undefined || link === undefined) return undefined;
    return { to, name, link, language: mail.language };
  }
  const contact = mail.orderId === null ? undefined : await kit.store.contact(mail.orderId);
  const text = contact && (await opened(kit, contact.sealed));
  if (contact === undefined || text === undefined) return undefined;
  const { email, name, language } = v.parse(Contact, JSON.parse(text));
  return { to: email, name, language: language ?? null, reference: contact.reference };
}
