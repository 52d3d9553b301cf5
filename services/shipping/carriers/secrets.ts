import type { Kit } from "chassis";
import { Problem } from "chassis";
import * as v from "valibot";
import { CarrierSecrets } from "../contracts.ts";

/** How long what was read is used before it is read again (ms). */
const fresh = 60_000;

type Of = Pick<Kit<unknown>, "sidecar" | "now" | "log">;

const known = new WeakMap<object, { value: Promise<Record<string, string>>; at: number }>();

/**
 * What a carrier signs with, from the secret `carrier-webhooks`; undefined for one that is not known.
 * @throws {Problem} 503 when the secret store does not say
 */
export async function secretsOf(kit: Of, carrier: string): Promise<string[] | undefined> {
  const all = await read(kit).catch((error: unknown) => {
    kit.log.error({ err: String(error) }, "webhooks of carriers cannot be checked");
    throw new Problem(503, {
      code: "not-configured",
      detail: "Signatures cannot be checked right now",
      headers: { "retry-after": "5" },
    });
  });
  return Object.hasOwn(all, carrier) ? all[carrier]?.split(/[\s,]+/).filter(Boolean) : undefined;
}

function read({ sidecar, now }: Of): Promise<Record<string, string>> {
  const before = known.get(sidecar);
  if (before && Math.abs(now() - before.at) < fresh) return before.value;
  const value = sidecar
    .secrets("secrets")
    .get("carrier-webhooks")
    .then((text) => v.parse(CarrierSecrets, JSON.parse(text)))
    .catch((error: unknown) => {
      if (before) return before.value;
      known.delete(sidecar);
      throw error;
    });
  known.set(sidecar, { value, at: now() });
  return value;
}
