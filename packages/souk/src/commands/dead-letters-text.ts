/** Dead letters, written for a person. */
import { bold, dim, duration, green, red, table, yellow } from "../terminal.ts";

/** An event that a service could not handle, as the API lists it. */
export interface DeadLetter {
  id: string;
  service: string;
  topic: string;
  type: string;
  subject?: string;
  status: "dead" | "replaying" | "resolved" | "discarded";
  reason: string;
  since: string;
  replays: number;
  traceId?: string;
}

export interface WholeLetter extends DeadLetter {
  event: unknown;
  history: { status: DeadLetter["status"]; at: string; reason?: string; by?: string; note?: string }[];
}

const painted = { dead: red, replaying: yellow, resolved: green, discarded: dim };

export function rows(letters: DeadLetter[]): string {
  const head = ["service", "type", "status", "age", "replays", "id", "trace", "reason"].map(dim);
  return table([
    head,
    ...letters.map((letter) => [
      letter.service,
      clean(letter.type),
      painted[letter.status](letter.status),
      age(letter.since),
      String(letter.replays),
      clean(letter.id),
      letter.traceId ?? "-",
      short(clean(letter.reason)),
    ]),
  ]);
}

export function whole({ event, history, ...letter }: WholeLetter): string {
  const steps = history.map(({ at, status, by, reason, note }) => [
    at,
    painted[status](status),
    by ? clean(by) : "",
    clean(note ?? reason ?? ""),
  ]);
  return [
    table([
      ["service", letter.service],
      ["event", `${clean(letter.type)} ${clean(letter.id)}`],
      ["topic", clean(letter.topic)],
      ...(letter.subject ? [["subject", clean(letter.subject)]] : []),
      ["status", `${painted[letter.status](letter.status)}, for ${age(letter.since)}`],
      ["reason", clean(letter.reason)],
      ["trace", letter.traceId ?? "-"],
    ]),
    bold("History"),
    table(steps),
    bold("Event"),
    JSON.stringify(event, null, 2),
  ].join("\n");
}

const age = (since: string): string => duration(Math.max(0, Date.now() - Date.parse(since)));
const short = (text: string): string => (text.length > 100 ? `${text.slice(0, 99)}…` : text);
/** What came from outside must not write to the terminal what it likes. */
export const clean = (text: string): string => text.replace(/\p{C}+/gu, " ");
