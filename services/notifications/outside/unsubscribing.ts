import type { Kit } from "chassis";
import type { Topic } from "../mail.ts";
import { keyed, same } from "./sealed.ts";

type Secrets = Pick<Kit<unknown>, "sidecar" | "now">;

/** What is kept of one who wants no mails of a kind: it cannot be computed without this service's key. */
export const digestFor = async (kit: Secrets, address: string, topic: Topic): Promise<string> =>
  keyed(kit, `unsubscribed ${topic}`, address.trim().toLowerCase());

/** The link by which one unsubscribes. It is signed and holds for ever, and tells nothing of the address. */
export async function linkFor(kit: Secrets & Pick<Kit<unknown>, "config">, digest: string): Promise<string> {
  return `${kit.config.publicUrl}/unsubscribe?token=${digest}.${await keyed(kit, "unsubscribe", digest)}`;
}

/** The digest of a link's token; undefined for one that was not made here. */
export async function digestIn(kit: Secrets, token: string): Promise<string | undefined> {
  const [digest = "", signature = ""] = token.split(".");
  return same(signature, await keyed(kit, "unsubscribe", digest)) ? digest : undefined;
}
