import { setTimeout as pause } from "node:timers/promises";
import type { Config } from "chassis";
import { LRUCache } from "lru-cache";
import { OpenId, signInUnavailable, type Tokens } from "./openid.ts";
import {
  claim,
  keyOf,
  newId,
  type Room,
  read,
  release,
  remove,
  type Session,
  write,
} from "./session-store.ts";

/** New tokens are asked for so long before the old ones end, in milliseconds. */
const ahead = 30_000;
/** What a gateway remembers of the store: who signs out at another one is signed out here by then, in milliseconds. */
const remembered = 5_000;
/** A gateway that has not got new tokens after so long has died over it, in milliseconds. */
const claimHolds = 15_000;

/** The people who are signed in with a browser: their tokens stay here, the browser has a cookie that says nothing. */
export class Sessions {
  readonly openId: OpenId;
  readonly #known = new LRUCache<string, Session>({ max: 10_000, ttl: remembered });
  readonly #asked = new Map<string, Promise<Session | undefined>>();

  constructor(config: Config) {
    this.openId = new OpenId(config);
  }

  /** Begins a session. @returns the value of its cookie */
  async begin(room: Room, tokens: Tokens & { user: string; name: string | null }): Promise<string> {
    const id = newId();
    const { user, name } = tokens;
    await write(room, keyOf(id), { user, name, csrf: newId(), ...held(tokens, room.now()) });
    return id;
  }

  /** The session is remembered: to ask for it costs nothing. */
  knows(id: string): boolean {
    return this.#known.has(keyOf(id));
  }

  /**
   * The session of a cookie, with an access token that holds; nothing when it is over.
   * @throws {Problem} 503 when it has to be renewed and identity does not answer
   */
  async current(room: Room, id: string): Promise<Session | undefined> {
    const key = keyOf(id);
    const known = this.#known.get(key);
    if (known && known.until - ahead > room.now()) return known;
    // Who asks at the same time waits for the same answer.
    let asked = this.#asked.get(key);
    if (asked === undefined) {
      asked = this.#look(room, key).finally(() => this.#asked.delete(key));
      this.#asked.set(key, asked);
    }
    return asked;
  }

  /** The session of a cookie as it is, whether its tokens hold or not. */
  async find(room: Room, id: string): Promise<Session | undefined> {
    return (await read(room, keyOf(id)))?.session;
  }

  /** Ends a session, here and as far as its tokens go. */
  async end(room: Room, id: string): Promise<void> {
    const key = keyOf(id);
    const found = await read(room, key);
    this.#known.delete(key);
    await remove(room, key);
    if (found?.session.refresh) await this.#revoke(room, found.session.refresh);
  }

  async #look(room: Room, key: string): Promise<Session | undefined> {
    const by = newId();
    for (const until = room.now() + claimHolds; ; ) {
      const found = await read(room, key);
      if (!found) return this.#forget(key);
      const { session, kept } = found;
      const now = room.now();
      if (session.until - ahead > now) return this.#remember(key, session);
      if (session.refresh === undefined) return session.until > now ? session : this.#forget(key);
      const others = kept.claim !== undefined && kept.claim.until > now;
      if (!others && (await claim(room, key, found, by, now + claimHolds)))
        return this.#renew(room, key, by, session, session.refresh);
      // Another gateway is at it: the old token will do as long as it holds.
      if (others && session.until > now) return session;
      if (now > until) throw signInUnavailable();
      await pause(25);
    }
  }

  async #renew(
    room: Room,
    key: string,
    by: string,
    session: Session,
    token: string,
  ): Promise<Session | undefined> {
    let tokens: Tokens | undefined;
    try {
      tokens = await this.openId.refresh(room, token);
    } catch (error) {
      room.log.warn({ err: String(error) }, "a session cannot be renewed right now");
      await release(room, key, by);
      if (session.until > room.now()) return session;
      throw signInUnavailable();
    }
    if (tokens === undefined) {
      await remove(room, key);
      return this.#forget(key);
    }
    const renewed = { ...session, ...held({ refresh: token, ...tokens }, room.now()) };
    if (await release(room, key, by, renewed)) return this.#remember(key, renewed);
    // Signed out in the meantime.
    await this.#revoke(room, renewed.refresh ?? token);
    return this.#forget(key);
  }

  /** What cannot be revoked now ends by itself; nobody is kept signed in for that. */
  async #revoke(room: Room, token: string): Promise<void> {
    await this.openId.revoke(room, token).catch((error: unknown) => {
      room.log.warn({ err: String(error) }, "a refresh token could not be revoked");
    });
  }

  #remember(key: string, session: Session): Session {
    this.#known.set(key, session);
    return session;
  }

  #forget(key: string): undefined {
    this.#known.delete(key);
  }
}

const held = ({ access, seconds, refresh, scopes }: Tokens, now: number) => ({
  access,
  refresh,
  scopes,
  until: now + seconds * 1_000,
});
