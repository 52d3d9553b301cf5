import type { Kit } from "chassis";
import { DaprError } from "hono-dapr";
import { type Letter, usable } from "../letter.ts";
import type { Sent } from "../mail.ts";

export interface Outgoing extends Letter {
  /** Made from the event's id: a mail that comes twice can be known by it. */
  id: string;
  to: string;
  name: string;
  /** Where one unsubscribes with one click, if one can. */
  unsubscribe?: string;
}

const patience = 30_000;
/** The binding of an official release knows nothing but HTML, and mixes up mails that are sent at once: one at a time. */
let alone: Promise<unknown> = Promise.resolve();
const htmlOnly = new WeakSet<object>();

/**
 * Sends a mail through the sidecar's SMTP binding. A mail server that took it and whose answer was lost is sent it
 * again: SMTP has no way to tell.
 */
export async function sendMail(kit: Pick<Kit<unknown>, "sidecar" | "config">, mail: Outgoing): Promise<Sent> {
  const { sidecar } = kit;
  if (!htmlOnly.has(sidecar)) {
    const sent = await invoke(kit, "send", whole(kit, mail));
    if (sent.is !== "unsent" || sent.reason !== unsupported) return sent;
    htmlOnly.add(sidecar);
  }
  const from = fromOf(kit);
  const metadata = { emailTo: mail.to, subject: mail.subject, ...(from ? { emailFrom: from } : {}) };
  const turn = alone.then(() => invoke(kit, "create", mail.html, metadata));
  alone = turn.catch(() => undefined);
  return turn;
}

const fromOf = ({ config }: Pick<Kit<unknown>, "config">): string | undefined =>
  config.env.MAIL_FROM || undefined;

function whole(
  kit: Pick<Kit<unknown>, "config">,
  { id, to, name, subject, text, html, unsubscribe }: Outgoing,
) {
  const host = new URL(kit.config.publicUrl).hostname;
  return {
    from: fromOf(kit),
    to,
    toName: usable(name) ?? "",
    subject,
    text,
    html,
    headers: {
      "Message-ID": `<${id.replace(/[^\w.-]/g, "")}@${host}>`,
      // Nobody's out-of-office answer is wanted (RFC 3834).
      "Auto-Submitted": "auto-generated",
      ...(unsubscribe
        ? { "List-Unsubscribe": `<${unsubscribe}>`, "List-Unsubscribe-Post": "List-Unsubscribe=One-Click" }
        : {}),
    },
  };
}

const unsupported = "the binding sends HTML only";

async function invoke(
  { sidecar }: Pick<Kit<unknown>, "sidecar">,
  operation: string,
  data: unknown,
  metadata?: Record<string, string>,
): Promise<Sent> {
  try {
    await sidecar
      .binding("mail")
      .invoke(operation, data, metadata, { signal: AbortSignal.timeout(patience) });
    return { is: "sent" };
  } catch (error) {
    const said = error instanceof Error ? error.message : "";
    if (/does not support operation/.test(said)) return { is: "unsent", reason: unsupported };
    // What a mail server says may quote the address: only its code is kept (RFC 5321, 4.2).
    const code = error instanceof DaprError ? /\b([45]\d\d)[ -]/.exec(said)?.[1] : undefined;
    if (code && /^55[013]$/.test(code)) {
      return { is: "refused", reason: `the mail server refuses the address: ${code}` };
    }
    const reason = code ? `the mail server answers ${code}` : "the mail server cannot be reached";
    return { is: "unsent", reason };
  }
}
