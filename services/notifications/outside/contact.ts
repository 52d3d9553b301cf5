import { callService, type Kit } from "chassis";
import * as v from "valibot";
import { Contact } from "../contracts.ts";

/** Orders cannot be asked right now. */
export class Unasked extends Error {}

const Missing = v.object({ code: v.literal("not-found") });
const patience = 3_000;

/**
 * Asks orders whom to write to about an order; undefined: nobody, as there is no such order, or its customer is erased.
 * @throws {Unasked} when orders does not answer, or something else answers for it
 */
export async function contactFor(
  orderId: string,
  kit: Pick<Kit<unknown>, "sidecar">,
): Promise<Contact | undefined> {
  const path = `contacts/${encodeURIComponent(orderId)}`;
  const answer = await callService(kit, "orders", path, { timeout: patience }).catch(() => undefined);
  const body: unknown = await answer?.json().catch(() => undefined);
  if (answer?.status === 404 && v.is(Missing, body)) return undefined;
  const contact = v.safeParse(Contact, body);
  if (answer?.status !== 200 || !contact.success) throw new Unasked("orders cannot be asked");
  return contact.output;
}
