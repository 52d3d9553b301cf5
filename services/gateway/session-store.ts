import { createHash, randomBytes } from "node:crypto";
import { type Kit, Problem } from "chassis";
import { DaprError, EtagMismatch, SidecarUnreachable, type State } from "hono-dapr";
import * as v from "valibot";
import { seal, unseal } from "./sealing.ts";

/** Somebody who is signed in, as the gateway knows them. It never leaves the gateway. */
const Session = v.object({
  /** The user's id. */
  user: v.string(),
  name: v.nullable(v.string()),
  scopes: v.array(v.string()),
  access: v.string(),
  /** When the access token ends, in milliseconds since the epoch. */
  until: v.number(),
  refresh: v.optional(v.string()),
  /** What unsafe requests must show: another site cannot read it. */
  csrf: v.string(),
});
export type Session = v.InferOutput<typeof Session>;

/** A session in the state store: encrypted, and with the gateway that is getting new tokens for it, if one is. */
const Kept = v.object({
  sealed: v.string(),
  claim: v.optional(v.object({ by: v.string(), until: v.number() })),
});
type Kept = v.InferOutput<typeof Kept>;

export type Room = Pick<Kit<unknown>, "sidecar" | "sealed" | "now" | "log">;

/** As long as identity's refresh tokens live unused, in seconds. */
const idle = 7 * 24 * 60 * 60;
const where = "gateway.session";
const idForm = /^[A-Za-z0-9_-]{43}$/;

export const newId = (): string => randomBytes(32).toString("base64url");
export const isId = (text: string | undefined): text is string => text !== undefined && idForm.test(text);

/** The name under which a session is kept: who reads the store does not learn what a cookie must say. */
export const keyOf = (id: string): string => `session-${createHash("sha256").update(id).digest("base64url")}`;

/** A session as it was read, with what is needed to change it. */
export interface Found {
  session: Session;
  etag: string;
  kept: Kept;
}

const stateOf = ({ sidecar }: Room): State<Kept> => sidecar.state("state", Kept, { encrypted: true });

export async function read(room: Room, key: string): Promise<Found | undefined> {
  const found = await reached(room, stateOf(room).get(key));
  const session = found && (await opened(room, key, found.value.sealed));
  return session ? { session, etag: found.etag, kept: found.value } : undefined;
}

export async function write(room: Room, key: string, session: Session): Promise<void> {
  const value = { sealed: await sealed(room, key, session) };
  await reached(room, stateOf(room).set(key, value, { ttl: idle }));
}

/** @returns whether it is ours to get new tokens for the session: nobody else has said so in the meantime */
export async function claim(
  room: Room,
  key: string,
  found: Found,
  by: string,
  until: number,
): Promise<boolean> {
  try {
    const kept = { ...found.kept, claim: { by, until } };
    await reached(room, stateOf(room).set(key, kept, { etag: found.etag, ttl: idle }));
    return true;
  } catch (error) {
    if (error instanceof EtagMismatch) return false;
    throw error;
  }
}

/**
 * Puts a session in the place of the one that was claimed, or gives the claim back.
 * @returns false when there is no such claim any more: the person has signed out, or it took too long
 */
export async function release(room: Room, key: string, by: string, session?: Session): Promise<boolean> {
  let ours = false;
  const fresh = session && (await sealed(room, key, session));
  const change = (current: Kept | null): Kept | undefined => {
    ours = current?.claim?.by === by;
    return ours && current ? { sealed: fresh ?? current.sealed } : undefined;
  };
  await reached(room, stateOf(room).update(key, change, { ttl: idle }));
  return ours;
}

export const remove = (room: Room, key: string): Promise<void> => reached(room, stateOf(room).delete(key));

/** @throws {Problem} 503: who is signed in is not taken for a guest because the store cannot be read */
async function reached<T>({ log }: Room, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const away = error instanceof DaprError || error instanceof SidecarUnreachable;
    if (!away || error instanceof EtagMismatch) throw error;
    log.warn({ err: String(error) }, "sessions cannot be read right now");
    throw new Problem(503, {
      code: "sessions-unavailable",
      detail: "Who is signed in is not known right now: try again soon",
      headers: { "retry-after": "2" },
    });
  }
}

const sealed = (room: Room, key: string, session: Session): Promise<string> =>
  seal(room, JSON.stringify(session), where, key);

/** Nothing for what does not open any more: the person signs in anew. */
async function opened(room: Room, key: string, text: string): Promise<Session | undefined> {
  const clear = await unseal(room, text, where, key);
  const read = v.safeParse(Session, clear === undefined ? undefined : JSON.parse(clear));
  return read.success ? read.output : undefined;
}
