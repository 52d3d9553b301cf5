import { type Kit, sealShared } from "chassis";

/**
 * Whom to write to about an order, sealed for whoever sends the mails. An order is taken without it, too: when the
 * secret cannot be read, there are no mails.
 * @param accepted the Accept-Language of the request
 */
export async function contactOf(
  { email, name }: { email: string; name: string },
  accepted: string | undefined,
  kit: Pick<Kit<unknown>, "sidecar" | "now" | "log">,
): Promise<string | undefined> {
  const language = accepted?.slice(0, 35);
  try {
    return await sealShared(kit, "mail", JSON.stringify({ email, name, language }));
  } catch (error) {
    kit.log.warn(
      { err: error instanceof Error ? error.message : String(error) },
      "there are no mails about orders",
    );
    return undefined;
  }
}
