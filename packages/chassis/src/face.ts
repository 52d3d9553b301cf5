import { type Handler, Hono } from "hono";
import * as v from "valibot";
import { says } from "./describe.ts";
import type { Env } from "./kit.ts";

const Health = v.object({ status: v.picklist(["up"]) });
const Readiness = v.object({
  status: v.picklist(["ready", "not-ready"]),
  dependencies: v.record(
    v.string(),
    v.object({ status: v.picklist(["up", "down"]), detail: v.optional(v.string()) }),
  ),
});

export const faceSchemas = { Health, Readiness };
export const facePaths = ["/health", "/ready", "/metrics"];

/** What a public face answers about the service itself, to everybody and before anything is checked. */
export const face = <S>(alive: Handler<Env<S>>, ready: Handler<Env<S>>, metrics: Handler<Env<S>>) =>
  new Hono<Env<S>>()
    .get("/health", says("That it is alive", { 200: Health, 304: "never" }), alive)
    .get(
      "/ready",
      says("Whether it is ready, with each dependency", { 200: Readiness, 304: "never", 503: Readiness }),
      ready,
    )
    .get("/metrics", says("What it measures, for Prometheus", { 200: { "text/plain": null } }), metrics);
