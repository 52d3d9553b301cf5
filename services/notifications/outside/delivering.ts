import { integer, type Kit, Tampered, UnknownKey } from "chassis";
import { type Store, secretPlace } from "../store.ts";
import { type Attempt, type Delivery, signing, type Webhook } from "../webhook.ts";
import type { Rules } from "./addresses.ts";
import { post } from "./post.ts";
import { signed } from "./signature.ts";

/** Where webhooks may lead here. `WEBHOOK_LOOPBACK=allowed`, for development: to this machine, too. */
export const rulesOf = ({ config }: Pick<Kit<Store>, "config">): Rules => ({
  loopback: config.env.WEBHOOK_LOOPBACK === "allowed",
});

/** Makes one try of a delivery, signed with every secret that holds. */
export async function attempt(delivery: Delivery, webhook: Webhook, kit: Kit<Store>): Promise<Attempt> {
  const { config, now } = kit;
  const at = now();
  const secrets = signing(webhook.secrets, at).flatMap(({ sealed }) => openedSecret(sealed, webhook.id, kit));
  if (secrets.length === 0)
    return { at, ms: 0, error: "The signing secret cannot be opened: make a new one" };
  const started = performance.now();
  const posted = await post(
    {
      url: webhook.url,
      headers: signed(secrets, delivery.eventId, new Date(at), delivery.payload),
      body: delivery.payload,
      timeout: integer(config, "WEBHOOK_TIMEOUT_MS", 15_000),
    },
    { rules: rulesOf(kit) },
  );
  return { at, ms: Math.round(performance.now() - started), ...posted };
}

function openedSecret(sealed: string, id: string, { sealed: keys }: Kit<Store>): string[] {
  try {
    return [keys.open(sealed, secretPlace, id)];
  } catch (error) {
    if (error instanceof Tampered || error instanceof UnknownKey) return [];
    throw error;
  }
}
