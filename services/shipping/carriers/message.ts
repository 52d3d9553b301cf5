import { type Kit, notFound, Problem, parsed } from "chassis";
import { CarrierMessage } from "../contracts.ts";
import type { Told } from "../shipment.ts";
import { secretsOf } from "./secrets.ts";
import { BadSignature, idOf } from "./signature.ts";

/** What a carrier has told, and signed. */
export interface Message {
  /** Of this carrier's message, the same however often it is sent. */
  id: string;
  /** What has happened to which parcel; absent where it is none of our business. */
  news?: { tracking: string; told: Told; detail?: string };
}

interface Raw {
  text: string;
  header(name: string): string | undefined;
}

/** Characters that are kept of what a carrier says in its own words. */
const longest = 500;

/**
 * Reads a carrier's message, if its signature holds.
 * @throws {Problem} 404 for a carrier that is not known, 400 for what is not signed by it or cannot be read, 503
 */
export async function readMessage(
  kit: Pick<Kit<unknown>, "sidecar" | "now" | "log">,
  carrier: string,
  { text, header }: Raw,
): Promise<Message> {
  const secrets = (await secretsOf(kit, carrier)) ?? [];
  if (secrets.length === 0) throw notFound("A carrier with this name");
  const id = `${carrier} ${signed(() => idOf(text, header, secrets, kit.now()))}`;
  const { type, data = {} } = parsed(CarrierMessage, json(text), "The message cannot be read");
  const { tracking, detail } = data;
  if (!isKnown(type) || tracking === undefined) return { id };
  return { id, news: { tracking, told: type, ...(detail === undefined ? {} : { detail: plain(detail) }) } };
}

const isKnown = (type: string): type is Told => ["delivered", "in-transit", "exception"].includes(type);

/** As much as is kept of a text, without what no database or terminal should be given. */
const plain = (text: string): string =>
  [...text.toWellFormed().replace(/\p{Cc}/gu, " ")].slice(0, longest).join("");

function signed(check: () => string): string {
  try {
    return check();
  } catch (error) {
    if (!(error instanceof BadSignature)) throw error;
    throw new Problem(400, {
      code: "invalid-signature",
      detail: "The signature does not hold, or is too old",
    });
  }
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Problem(400, { code: "invalid-body", detail: "The message is not JSON" });
  }
}
