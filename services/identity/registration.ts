import { accepted, type Commit, Problem, untilCommitted } from "chassis";
import type { Change } from "drizzle-outbox";
import { accountKey } from "./attempts.ts";
import { digestOf, mail } from "./mails.ts";
import type { Room } from "./room.ts";
import { reset, type User, verify } from "./user.ts";
import type { Link, Purpose } from "./users-store.ts";
import { refuseWeak } from "./weak.ts";

/**
 * What goes by mail: registration, showing whose an address is, and a new password. Each is prepared first, slow work
 * included, and is then a step that is run again as often as somebody else commits in between.
 */
export type Step<T> = () => Promise<{ change: Change; result: T }>;

/** Runs a step until it is committed. */
export const settled = <T>(commit: Commit, step: Step<T>): Promise<T> =>
  untilCommitted(async () => {
    const { change, result } = await step();
    await commit(change);
    return result;
  });

export interface Registration {
  email: string;
  password: string;
  name: string;
  language?: string | undefined;
}

/**
 * A new account. Where the address has one already, nothing changes but that its owner gets a mail; what comes back is
 * the account as it would have been, so that nobody else can tell.
 * @throws {Problem} 422 `weak-password`
 */
export async function registering(
  room: Room,
  { email, password, name, language = "en" }: Registration,
): Promise<Step<User>> {
  const { kit, vault, passwords } = room;
  const { store } = kit;
  await refuseWeak(password, { email, name });
  const emailKey = await vault.emailKey(email);
  const passwordHash = await passwords.hash(password);
  const id = `u_${kit.id()}`;
  const asked = { id, email, emailKey, name, language, passwordHash, createdAt: kit.now() };
  return async () => {
    const owner = await store.userByEmail(emailKey);
    const letter = await mail(room, owner ?? asked, owner ? "already-registered" : "verify-email");
    const registered = store.userChange(undefined, [{ type: "registered", user: asked }], 0);
    if (!registered.user) throw new Error("a registration makes a user");
    const change = owner ? {} : registered.change;
    return { change: both(change, await letter.change()), result: registered.user };
  };
}

/**
 * The owner of an address opens the link that was sent there.
 * @throws {Problem} 422 `invalid-link` for one that is used up, too old or not ours
 */
export async function verifying(room: Room, token: string): Promise<Step<User>> {
  const { store, now } = room.kit;
  return async () => {
    const { link, user } = await opened(room, token, "verify-email");
    // Somebody else may have registered the address since it was asked for.
    if (user.emailKey !== link.emailKey && (await store.userByEmail(link.emailKey))) throw invalidLink();
    const facts = { first: await isFirst(room, link.emailKey), at: now() };
    return used(room, link, user, accepted(verify(user, link.emailKey, facts)));
  };
}

/** A link for a new password, to whoever reads the mail of an address; nobody else learns whether it has an account. */
export async function forgetting(room: Room, email: string): Promise<Step<undefined>> {
  const emailKey = await room.vault.emailKey(email);
  const nobody = { id: "", email, emailKey, name: "", language: "en" };
  return async () => {
    const owner = await room.kit.store.userByEmail(emailKey);
    const letter = await mail(room, owner ?? nobody, "reset-password");
    return { change: await letter.change(owner !== undefined), result: undefined };
  };
}

/**
 * A new password by such a link: it also ends a lockout, and all that was signed in.
 * @throws {Problem} 422 `invalid-link`, `weak-password`
 */
export async function resetting(room: Room, token: string, password: string): Promise<Step<User>> {
  const { kit, passwords } = room;
  // Hashing is dear: only for whoever has a link.
  const { user: owner } = await opened(room, token, "reset-password");
  await refuseWeak(password, owner);
  const passwordHash = await passwords.hash(password);
  return async () => {
    const { link, user } = await opened(room, token, "reset-password");
    const facts = { passwordHash, first: await isFirst(room, link.emailKey), at: kit.now() };
    const step = await used(room, link, user, accepted(reset(user, link.emailKey, facts)));
    const unlocked = { writes: [kit.store.forgetTally(accountKey(user.emailKey))] };
    return { ...step, change: both(step.change, unlocked) };
  };
}

/** The link of a token and whom it is for. */
async function opened(
  { kit: { store, now } }: Room,
  token: string,
  purpose: Purpose,
): Promise<{ link: Link; user: User }> {
  const link = await store.link(digestOf(token));
  if (link === undefined || link.purpose !== purpose || link.expiresAt <= now()) throw invalidLink();
  const user = await store.user(link.userId);
  if (user === undefined) throw invalidLink();
  return { link, user };
}

async function used(
  { kit: { store } }: Room,
  link: Link,
  before: User,
  decided: Parameters<typeof store.userChange>[1],
): Promise<{ change: Change; result: User }> {
  const { user = before, change } = store.userChange(before, decided, await store.admins());
  return { change: both({ writes: [store.useLink(link)] }, change), result: user };
}

const invalidLink = (): Problem =>
  new Problem(422, {
    code: "invalid-link",
    detail: "This link has been used, is too old or is none of ours: ask for a new one",
    errors: [{ pointer: "/token", detail: "is not one that is open" }],
  });

/** Whether an address is the one whose owner becomes admin as long as there is none. */
async function isFirst({ kit: { config, store }, vault }: Room, emailKey: string): Promise<boolean> {
  const first = config.env.FIRST_ADMIN_EMAIL;
  if (!first || (await store.admins()) > 0) return false;
  return (await vault.emailKey(first)) === emailKey;
}

/** Both changes as one, in their order. */
export const both = (one: Change, other: Change): Change => ({
  writes: [...(one.writes ?? []), ...(other.writes ?? [])],
  events: [...(one.events ?? []), ...(other.events ?? [])],
  jobs: [...(one.jobs ?? []), ...(other.jobs ?? [])],
});
