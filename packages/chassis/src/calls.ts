import { type InvokeInit, SidecarUnreachable } from "hono-dapr";
import type { Kit } from "./kit.ts";

/** The header by which a service says that an answer is its own. */
export const answeredBy = "x-answered-by";

/**
 * Whether a service itself has answered. A sidecar answers in the place of one that it cannot reach, and one that loses
 * it in the middle of a call may say 200 with nothing in it (dapr 1.18.2), which must not be taken for an answer.
 */
export const isFrom = (service: string, { headers }: Response): boolean =>
  headers.get(answeredBy) === service;

/**
 * Asks another service for something.
 * @param path its own, without a slash at the beginning
 * @returns whatever it answers
 * @throws {SidecarUnreachable} when it is not the service that answers, and what the sidecar throws
 */
export async function callService(
  { sidecar }: Pick<Kit<unknown>, "sidecar">,
  service: string,
  path: string,
  init: InvokeInit = {},
): Promise<Response> {
  const answer = await sidecar.fetch(`http://${service}/${path}`, init);
  if (isFrom(service, answer)) return answer;
  await answer.body?.cancel();
  throw notFrom(service, answer);
}

/** What is thrown in the place of an answer that is none. */
export const notFrom = (service: string, { status }: Response): SidecarUnreachable =>
  new SidecarUnreachable(`${status} came from the sidecar of ${service}, not from the service`);
