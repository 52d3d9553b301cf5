import { createHash } from "node:crypto";
import { type Kit, notFound, open, Problem, problems, router, says } from "chassis";
import { Unsubscribing } from "../contracts.ts";
import { type Shows, style, unsubscribePage } from "../page.ts";
import type { Store } from "../store.ts";
import { languageOf } from "../words.ts";
import { digestIn } from "./unsubscribing.ts";

/** Where a mail's link leads. */
export const unsubscribing = router<Store>()
  .get(
    "/unsubscribe",
    says("The page behind a mail's link: asks, and changes nothing", { 200: null, ...problems(404, 503) }),
    open("the link is signed, and comes with a mail to the address it is about"),
    async (c) => {
      await linked(c.var.kit, c.req.query("token"));
      return shown(c.req.header("accept-language"), "ask");
    },
  )
  .post(
    "/unsubscribe",
    says(
      "Unsubscribe with one click (RFC 8058), or by the page's form; or subscribe again",
      { 200: null, ...problems(404, 503) },
      { "application/x-www-form-urlencoded": Unsubscribing },
    ),
    open("the link is signed, and comes with a mail to the address it is about"),
    async (c) => {
      const { kit, unit, trace } = c.var;
      const language = c.req.header("accept-language");
      const digest = await linked(kit, c.req.query("token"));
      const form = await c.req.parseBody().catch(() => ({}) as Record<string, unknown>);
      const back = form.again === "yes";
      const { now, store } = kit;
      await unit.commit(
        { writes: [back ? store.subscribe(digest) : store.unsubscribe(digest, now())] },
        trace,
      );
      return shown(language, back ? "again" : "done");
    },
  );

/** @throws {Problem} 404 for a link that was not made here, 503 while that cannot be told */
async function linked(kit: Kit<Store>, token = ""): Promise<string> {
  const digest = await digestIn(kit, token).catch((error: unknown) => {
    kit.log.error({ err: String(error) }, "a link cannot be checked");
    throw new Problem(503, {
      code: "secrets-unavailable",
      detail: "The secret store cannot be read right now",
      headers: { "retry-after": "2" },
    });
  });
  if (digest === undefined) throw notFound("This link");
  return digest;
}

const policy = [
  "default-src 'none'",
  `style-src 'sha256-${createHash("sha256").update(style).digest("base64")}'`,
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join("; ");

const shown = (language: string | undefined, shows: Shows): Response =>
  new Response(unsubscribePage(languageOf(language), shows), {
    headers: {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy": policy,
      // The address of the page is a secret of its reader.
      "referrer-policy": "no-referrer",
      "cache-control": "no-store",
    },
  });
