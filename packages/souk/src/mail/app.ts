/** What the mail catcher shows: pages for people, JSON for tests. */
import { Hono } from "hono";
import type { Box } from "./box.ts";
import { listPage, mailPage, mailPolicy, policy } from "./page.ts";

/** A name that leads here by somebody else's DNS must not read the mails (DNS rebinding). */
const here = /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/;

/** The app; what it shows is read anew each time. */
export function catcherApp(box: Box): Hono {
  return new Hono()
    .use(async (c, next) => {
      if (!here.test(c.req.header("host") ?? "")) return c.text("Only for this machine", 421);
      await next();
      c.header("cache-control", "no-store");
      c.header("x-content-type-options", "nosniff");
      c.header("referrer-policy", "no-referrer");
    })
    .get("/", async (c) => c.html(listPage(await box.list()), 200, { "content-security-policy": policy }))
    .get("/health", (c) => c.json({ status: "up" }))
    .get("/api/mails", async (c) => c.json(await box.list()))
    .get("/api/mails/:id", async (c) => {
      const mail = await box.read(c.req.param("id"));
      return mail ? c.json(mail) : c.notFound();
    })
    .get("/mails/:id", async (c) => {
      const mail = await box.read(c.req.param("id"));
      return mail ? c.html(mailPage(mail), 200, { "content-security-policy": policy }) : c.notFound();
    })
    .get("/mails/:id/html", async (c) => {
      const mail = await box.read(c.req.param("id"));
      if (!mail) return c.notFound();
      // Inside the frame a link would lead nowhere.
      return c.body(`<base target="_blank">${mail.html}`, 200, {
        "content-type": "text/html; charset=utf-8",
        "content-security-policy": mailPolicy,
      });
    })
    .get("/mails/:id/source", (c) => {
      const source = box.source(c.req.param("id"));
      return source ? c.text(source.toString("latin1")) : c.notFound();
    });
}
