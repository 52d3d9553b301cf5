import { createHash, randomBytes } from "node:crypto";
import { emit } from "chassis";
import type { Change } from "drizzle-outbox";
import { UserMailRequested } from "./contracts.ts";
import { type Policy, recent } from "./lockout.ts";
import type { Room } from "./room.ts";
import type { User } from "./user.ts";
import type { Purpose } from "./users-store.ts";

/** Somebody who gets a mail. */
export type Recipient = Pick<User, "id" | "email" | "emailKey" | "name" | "language">;
export type Template = Purpose | "already-registered";

const hour = 3_600_000;
const holdsFor: Record<Purpose, number> = { "verify-email": 24 * hour, "reset-password": hour };

/** So many mails an hour to one address, whoever asks for them. */
const most: Omit<Policy, "wait" | "longest"> = { free: 5, window: hour };

/** The pages of the shop that the links lead to, each with `?token=`. */
export const pages: Record<Purpose, string> = {
  "verify-email": "/verify-email",
  "reset-password": "/reset-password",
};

/** A mail with a one-time link, ready to be committed; it is asked for again when the commit is. */
export interface Mail {
  /**
   * What has to be committed for it: less when the address has had its mails of this hour.
   * @param send false: it counts, but nothing is sent
   */
  change(send?: boolean): Promise<Change>;
}

/**
 * Prepares a mail. Its link is 256 random bits, of which only a digest is kept; address, name and link travel sealed.
 * @throws {Problem} 503 when the secret store cannot be read
 */
export async function mail(
  { kit, vault }: Room,
  { id: userId, email, emailKey, name, language }: Recipient,
  template: Template,
): Promise<Mail> {
  const { store, now, config } = kit;
  const purpose: Purpose = template === "verify-email" ? "verify-email" : "reset-password";
  const token = randomBytes(32).toString("base64url");
  const link = `${config.publicUrl}${pages[purpose]}?token=${token}`;
  const [sealedTo, sealedName, sealedLink] = await Promise.all([email, name, link].map(vault.sealForMail));
  const event = {
    userId,
    template,
    language,
    to: sealedTo as string,
    name: sealedName as string,
    link: sealedLink as string,
  };
  return {
    async change(send = true) {
      const at = now();
      const tally = await store.tally(mailTally(emailKey));
      const sent = recent(tally.times, { ...most, wait: 0, longest: 0 }, at);
      if (sent.length >= most.free) return {};
      const counted = store.saveTally(tally, [...sent, at], at + most.window);
      if (!send) return { writes: [counted] };
      const kept = { digest: digestOf(token), userId, purpose, emailKey, expiresAt: at + holdsFor[purpose] };
      return {
        writes: [counted, store.addLink(kept)],
        events: [emit(UserMailRequested, userId, event)],
      };
    },
  };
}

export const mailTally = (emailKey: string): string => `mail ${emailKey}`;

/** What is kept of a link's token. */
export const digestOf = (token: string): string => createHash("sha256").update(token).digest("base64url");
