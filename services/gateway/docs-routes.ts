import { createHash, randomBytes } from "node:crypto";
import { type Env, isCurrent, type Kit, open, router, says } from "chassis";
import type { Context } from "hono";
import { asyncApi, type ServiceEvents } from "./asyncapi-merge.ts";
import { checkedIn, type Said } from "./descriptions.ts";
import { type Asset, scalarScript, startScript } from "./docs-assets.ts";
import { docsPage, docsPolicy } from "./docs-page.ts";
import type { Memory } from "./edge.ts";
import { eventsPage, eventsPolicy } from "./events-page.ts";
import { merged, type ServiceDocument } from "./openapi-merge.ts";
import { behind, ways } from "./ways.ts";

type E = Env<Memory>;

export const docPaths = [
  "/openapi.json",
  "/asyncapi.json",
  "/docs",
  "/docs/events",
  "/docs/scalar.js",
  "/docs/start.js",
].map((path) => ({ path, methods: ["GET" as const] }));

const everybody = open("what the shop offers is no secret");

/** The shop's own description: for programs, and for people. */
export const docRoutes = router<Memory>()
  .get(
    "/openapi.json",
    says("This document: the whole API, as the services describe it (OpenAPI 3.1)", {
      200: { "application/json": null },
      304: null,
    }),
    everybody,
    async (c) => answered(c, await texts.openapi(c.var.kit)),
  )
  .get(
    "/asyncapi.json",
    says("Every event that services tell each other (AsyncAPI 3.0)", {
      200: { "application/json": null },
      304: null,
    }),
    everybody,
    async (c) => answered(c, await texts.asyncapi(c.var.kit)),
  )
  .get("/docs", says("The API, to read and to try", { 200: { "text/html": null } }), everybody, (c) => {
    const nonce = randomBytes(16).toString("base64");
    return c.html(docsPage(nonce), 200, {
      "content-security-policy": docsPolicy(nonce),
      "cache-control": "no-store",
    });
  })
  .get("/docs/events", says("The events, to read", { 200: { "text/html": null } }), everybody, async (c) =>
    c.html(eventsPage(events(await said(c.var.kit, "events.json"))), 200, {
      "content-security-policy": eventsPolicy,
      "cache-control": "no-cache",
    }),
  )
  .get("/docs/scalar.js", everybody, async (c) => script(c, await scalarScript()))
  .get("/docs/start.js", everybody, (c) => script(c, startScript));

const said = (kit: Kit<Memory>, file: "openapi.json" | "events.json"): Promise<Said> =>
  kit.store.descriptions.of(kit, file, behind);

const events = (all: Said): ServiceEvents[] => Object.values(all) as ServiceEvents[];

/** A text that is made anew only when what it is made of is another one. */
function text(make: (kit: Kit<Memory>, all: Said) => Promise<object>, file: "openapi.json" | "events.json") {
  const made = new WeakMap<Said, Promise<{ text: string; tag: string }>>();
  return async (kit: Kit<Memory>): Promise<{ text: string; tag: string }> => {
    const all = await said(kit, file);
    let current = made.get(all);
    if (current === undefined) {
      current = make(kit, all).then((document) => {
        const text = JSON.stringify(document);
        return { text, tag: `"${createHash("sha256").update(text).digest("base64url").slice(0, 27)}"` };
      });
      made.set(all, current);
    }
    return current;
  };
}

const own = async (): Promise<ServiceDocument> =>
  (await checkedIn("openapi.json", "gateway")) as ServiceDocument;

const texts = {
  openapi: text(async ({ config, sidecar }, all) => {
    const about = { publicUrl: config.publicUrl, scopes: await scopesOf(sidecar) };
    return merged(await own(), all as Record<string, ServiceDocument>, ways, about);
  }, "openapi.json"),
  asyncapi: text(async (_, all) => asyncApi(events(all), (await own()).info.version), "events.json"),
};

/** The scopes that the OpenID Provider names; without it, those that the operations name must do. */
async function scopesOf(sidecar: Kit<Memory>["sidecar"]): Promise<string[]> {
  try {
    const answer = await sidecar.fetch("http://identity/.well-known/openid-configuration", {
      timeout: 2_000,
    });
    const { scopes_supported: scopes } = (await answer.json()) as { scopes_supported?: string[] };
    return scopes ?? [];
  } catch {
    return [];
  }
}

function answered(c: Context<E>, { text, tag }: { text: string; tag: string }): Response {
  const headers = { etag: tag, "cache-control": "no-cache" };
  if (isCurrent(c, tag)) return new Response(null, { status: 304, headers });
  return new Response(text, { headers: { ...headers, "content-type": "application/json" } });
}

function script(c: Context<E>, { text, br, tag }: Asset): Response {
  const headers: Record<string, string> = { etag: tag, "cache-control": "no-cache", vary: "accept-encoding" };
  if (isCurrent(c, tag)) return new Response(null, { status: 304, headers });
  headers["content-type"] = "text/javascript; charset=utf-8";
  const takesBr = /(^|[\s,])br\s*(,|;(?!\s*q=0(\.0*)?\s*(,|$))|$)/.test(
    c.req.header("accept-encoding") ?? "",
  );
  if (br === undefined || !takesBr) return new Response(text, { headers });
  return new Response(br, { headers: { ...headers, "content-encoding": "br" } });
}
