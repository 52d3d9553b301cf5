import { type Kit, Problem, readSecret } from "chassis";
import * as v from "valibot";
import { CarrierSecrets } from "../contracts.ts";

type Of = Pick<Kit<unknown>, "sidecar" | "now" | "log">;

/**
 * What a carrier signs with, from the secret `carrier-webhooks`; undefined for one that is not known.
 * @throws {Problem} 503 when the secret store does not say
 */
export async function secretsOf(kit: Of, carrier: string): Promise<string[] | undefined> {
  const parse = (text: string) => v.parse(CarrierSecrets, JSON.parse(text));
  const all = await readSecret(kit, "carrier-webhooks", parse).catch((error: unknown) => {
    kit.log.error({ err: String(error) }, "webhooks of carriers cannot be checked");
    throw new Problem(503, {
      code: "not-configured",
      detail: "Signatures cannot be checked right now",
      headers: { "retry-after": "5" },
    });
  });
  return Object.hasOwn(all, carrier) ? all[carrier]?.split(/[\s,]+/).filter(Boolean) : undefined;
}
