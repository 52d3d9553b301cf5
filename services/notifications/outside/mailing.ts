import type { Kit } from "chassis";
import type { Contact } from "../contracts.ts";
import { letter } from "../letter.ts";
import { type AfterTry, afterTry, dropped, type Mail, topicOf } from "../mail.ts";
import type { Store } from "../store.ts";
import { contactFor, Unasked } from "./contact.ts";
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

/** Sends a mail, unless there is nobody to send it to or nobody who wants it; says what follows. */
export async function sendOut(mail: Mail, kit: Kit<Store>): Promise<AfterTry> {
  const { store, now, log } = kit;
  const contact = mail.orderId === null ? undefined : await asked(mail.orderId, kit);
  if (contact instanceof Unasked) return afterTry(mail, { is: "unsent", reason: contact.message }, now());
  if (mail.orderId !== null && contact === undefined) return dropped(mail, "nobody to write to", now());
  const recipient = contact ? addressed(contact) : await recipientOf(mail, kit);
  if (recipient === undefined) {
    log.error({ mail: mail.id, template: mail.template }, "the address of a mail cannot be opened");
    return dropped(mail, "the address cannot be opened", now());
  }
  const { language, link, name, reference = null, to } = recipient;
  const topic = topicOf(mail);
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

const asked = (orderId: string, kit: Kit<Store>): Promise<Contact | Unasked | undefined> =>
  contactFor(orderId, kit).catch((error: unknown) => {
    if (error instanceof Unasked) return error;
    throw error;
  });

const addressed = ({ email: to, name, language, reference }: Contact): Recipient => ({
  to,
  name,
  language: language ?? null,
  reference,
});

async function recipientOf({ sealed, language }: Mail, kit: Kit<Store>): Promise<Recipient | undefined> {
  if (!sealed) return undefined;
  const [to, name, link] = await Promise.all(
    [sealed.to, sealed.name, sealed.link].map((one) => opened(kit, one)),
  );
  if (to === undefined || name === undefined || link === undefined) return undefined;
  return { to, name, link, language };
}
