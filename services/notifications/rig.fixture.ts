import { type TestOptions, testService } from "chassis/testing";
import { CompactEncrypt } from "jose";
import service from "./service.ts";

const mailKey = new Uint8Array(32).fill(7);
export const secrets: Record<string, string> = {
  key: Buffer.alloc(32, 1).toString("base64url"),
  mail: Buffer.from(mailKey).toString("base64url"),
};

/** Seals as whoever asks for a mail does. */
export const sealed = (text: string, key = mailKey): Promise<string> =>
  new CompactEncrypt(new TextEncoder().encode(text))
    .setProtectedHeader({ alg: "dir", enc: "A256GCM" })
    .encrypt(key);

/** What the SMTP binding was asked for. */
export interface Asked {
  operation: string;
  data: {
    from?: string;
    to: string;
    toName: string;
    subject: string;
    text: string;
    html: string;
    headers: Record<string, string>;
  };
  metadata?: Record<string, string>;
}

/** The service in this process, with a mail server that a test rules over. */
export async function rig(
  env: Record<string, string> = {},
  { db, fieldKeys }: Pick<TestOptions, "db" | "fieldKeys"> = {},
) {
  const asked: Asked[] = [];
  /** What the binding answers: undefined for "taken", else the sidecar's words. */
  let refusal: (one: Asked) => string | undefined = () => undefined;
  let time = Date.parse("2026-01-01T00:00:00Z");
  const heard: (() => void)[] = [];
  /** What orders says of whom to write to; a status: it answers otherwise. */
  let contact: object | number = 404;
  const app = await testService(service, {
    folder: import.meta.dir,
    db,
    fieldKeys,
    now: () => time,
    env: {
      WEBHOOK_LOOPBACK: "allowed",
      WEBHOOK_TIMEOUT_MS: "5000",
      // Nothing is spread: time stands still here.
      MAILS_PER_SECOND: "1000000",
      MAIL_FROM: "Souk <shop@souk.example>",
      ...env,
    },
    async others(request) {
      const { pathname } = new URL(request.url);
      const secret = /^\/v1\.0\/secrets\/secrets\/(\w+)$/.exec(pathname)?.[1];
      if (secret && secrets[secret]) return Response.json({ [secret]: secrets[secret] });
      if (pathname.startsWith("/v1.0/invoke/orders/method/contacts/")) {
        return typeof contact === "number"
          ? Response.json({ code: "not-found" }, { status: contact })
          : Response.json(contact);
      }
      if (pathname !== "/v1.0/bindings/mail") return new Response(null, { status: 404 });
      const one = (await request.json()) as Asked;
      asked.push(one);
      for (const tell of heard.splice(0)) tell();
      const message = refusal(one);
      return message === undefined
        ? new Response(null, { status: 204 })
        : Response.json({ errorCode: "ERR_INVOKE_OUTPUT_BINDING", message }, { status: 500 });
    },
  });
  return {
    app,
    asked,
    answer(next: typeof refusal) {
      refusal = next;
    },
    contact(next: typeof contact) {
      contact = next;
    },
    /** Waits until the binding was asked so many times in all. */
    async untilAsked(count: number): Promise<Asked[]> {
      while (asked.length < count) await new Promise<void>((tell) => heard.push(tell));
      return asked;
    },
    now: () => time,
    pass(ms: number) {
      time += ms;
    },
    stop: () => app.stop(),
  };
}

/** Waits until a question is answered with what is wanted. */
export async function until<T>(ask: () => Promise<T>, is: (answer: T) => boolean): Promise<T> {
  for (;;) {
    const answer = await ask();
    if (is(answer)) return answer;
    await Bun.sleep(5);
  }
}
