import {
  accepted,
  allow,
  body,
  cacheable,
  etag,
  idempotent,
  isPlace,
  open,
  owned,
  type Place,
  page,
  problems,
  query,
  readWindow,
  requireMatch,
  router,
  says,
  transact,
} from "chassis";
import { accountKey } from "./attempts.ts";
import {
  LinkUse,
  MailRequest,
  NewUser,
  PasswordReset,
  UserExport,
  UserList,
  UserPatch,
  UserQuery,
  UserView,
} from "./contracts.ts";
import { mail, mailTally } from "./mails.ts";
import { both, forgetting, registering, resetting, verifying } from "./registration.ts";
import { type Room, roomOf } from "./room.ts";
import type { Store } from "./store.ts";
import { change, erase, type Mailbox, type User } from "./user.ts";
import { actorOf, type C, changedMeanwhile, confirmed, requireManager, seen } from "./users-callers.ts";
import { exported, view } from "./users-queries.ts";
import { refuseWeak } from "./weak.ts";

const theirs = owned({ all: ["users:manage"], own: "user" });
const mine = "private, no-cache";

export const userRoutes = router<Store>()
  .post(
    "/users",
    says("Register", { 201: UserView, ...problems(400, 409, 415, 422, 503) }),
    open("anybody may become a customer; the answer does not tell who is one"),
    body(NewUser),
    idempotent<Store>({
      guest: async (c) => roomOf(c.var.kit).vault.emailKey((await c.req.json<NewUser>()).email),
      // The body holds the password.
      digest: (c, text) => roomOf(c.var.kit).vault.lookup("request", text),
    }),
    async (c) => {
      const step = await registering(roomOf(c.var.kit), c.req.valid("json"));
      return transact(c, async () => {
        const { change, result } = await step();
        // What was answered to a guest is the new user's, and is forgotten with them.
        if (c.var.idempotencyKey) c.var.idempotencyKey.owner = result.id;
        const headers = { location: `/api/users/${result.id}`, etag: etag(result.version) };
        return { change, status: 201, body: view(result), headers };
      });
    },
  )
  .get(
    "/users",
    says("List users, newest first", { 200: UserList, ...problems(400, 403, 503) }),
    allow("users:manage"),
    query(UserQuery),
    async (c) => {
      const { email, role, ...paging } = c.req.valid("query");
      const { limit, after } = readWindow(paging, isPlace);
      const emailKey = email === undefined ? undefined : await roomOf(c.var.kit).vault.emailKey(email);
      const users = await c.var.kit.store.users({ emailKey, role, after, limit: limit + 1 });
      const place = ({ createdAt, id }: User): Place => ({ at: createdAt, id });
      return cacheable(c, page(users, limit, place, view), mine);
    },
  )
  .get(
    "/users/me",
    says("Read one's own account", { 200: UserView, ...problems(403, 404) }),
    owned({ all: [], own: "user" }),
    async (c) => shown(c, await seen(c, c.var.caller.id)),
  )
  .get("/users/:id", says("Read an account", { 200: UserView, ...problems(403, 404) }), theirs, async (c) =>
    shown(c, await seen(c)),
  )
  .patch(
    "/users/:id",
    says("Change an account (RFC 7396)", {
      200: UserView,
      ...problems(400, 403, 404, 409, 412, 415, 422, 429, 503),
    }),
    theirs,
    body(UserPatch, "application/merge-patch+json"),
    async (c) => {
      const { kit } = c.var;
      const room = roomOf(kit);
      const { password, currentPassword, email: address, ...profile } = c.req.valid("json");
      const first = await seen(c);
      const actor = await actorOf(c);
      const secret = password !== undefined || address !== undefined;
      if (secret && actor.id === first.id) await confirmed(c, first, currentPassword);
      else if (actor.id !== first.id) requireManager(actor);
      if (password !== undefined) await refuseWeak(password, first);
      const passwordHash = password === undefined ? undefined : await room.passwords.hash(password);
      const email = address === undefined ? undefined : { address, key: await room.vault.emailKey(address) };
      return transact(c, async () => {
        const [before, admins] = await Promise.all([seen(c), kit.store.admins()]);
        if (c.req.header("if-match") !== undefined) requireMatch(c, before.version);
        if (secret && before.passwordHash !== first.passwordHash) throw changedMeanwhile();
        const wanted = { ...profile, email, passwordHash };
        const decided = accepted(change(before, wanted, { actor, admins, at: kit.now() }));
        const { user = before, change: changes } = kit.store.userChange(before, decided, admins);
        const asked = decided.find(({ type }) => type === "email-asked") && user.pending;
        const letter = asked ? await letterTo(room, user, asked) : {};
        const headers = { etag: etag(user.version) };
        return { change: both(changes, letter), status: 200, body: view(user), headers };
      });
    },
  )
  .delete(
    "/users/:id",
    says("Erase an account: personal data goes, here and elsewhere; orders stay without it", {
      204: null,
      ...problems(403, 404, 409, 412),
    }),
    theirs,
    async (c) => {
      const { store, forgetAnswers } = c.var.kit;
      const actor = await actorOf(c);
      return transact(c, async () => {
        const [user, admins] = await Promise.all([seen(c), store.admins()]);
        if (actor.id !== user.id) requireManager(actor);
        if (c.req.header("if-match") !== undefined) requireMatch(c, user.version);
        const { change: gone } = store.userChange(user, accepted(erase(user, admins)), admins);
        const keys = [accountKey(user.emailKey), mailTally(user.emailKey)];
        const writes = [...keys.map(store.forgetTally), forgetAnswers(user.id)];
        return { change: both(gone, { writes }), status: 204 };
      });
    },
  )
  .get(
    "/users/:id/export",
    says("Everything that is kept of a person", { 200: UserExport, ...problems(403, 404) }),
    theirs,
    async (c) => {
      const { store, now } = c.var.kit;
      const user = await seen(c);
      const [links, { times }] = await Promise.all([
        store.links(user.id),
        store.tally(accountKey(user.emailKey)),
      ]);
      const answer = cacheable(c, exported(user, { links, failures: times, at: now() }), "no-store");
      answer.headers.set("content-disposition", 'attachment; filename="account.json"');
      return answer;
    },
  )
  .post(
    "/users/:id/verification-mail",
    says("Have the link that shows whose the address is sent again", {
      204: null,
      ...problems(403, 404, 503),
    }),
    theirs,
    async (c) => {
      const room = roomOf(c.var.kit);
      return transact(c, async () => {
        const user = await seen(c);
        const change = user.pending
          ? await letterTo(room, user, user.pending)
          : user.emailVerified
            ? {}
            : await (await mail(room, user, "verify-email")).change();
        return { change, status: 204 };
      });
    },
  )
  .post(
    "/users/verify-email",
    says("Show whose an address is, by the link that was mailed there", {
      200: UserView,
      ...problems(400, 415, 422, 503),
    }),
    open("who has the link reads the mail of the address"),
    body(LinkUse),
    async (c) => {
      const step = await verifying(roomOf(c.var.kit), c.req.valid("json").token);
      return transact(c, async () => {
        const { change, result } = await step();
        return { change, status: 200, body: view(result), headers: { etag: etag(result.version) } };
      });
    },
  )
  .post(
    "/users/forgot-password",
    says("Ask for a link for a new password, by mail", { 204: null, ...problems(400, 415, 503) }),
    open("the answer does not tell whether there is such an account"),
    body(MailRequest),
    async (c) => {
      const step = await forgetting(roomOf(c.var.kit), c.req.valid("json").email);
      return transact(c, async () => ({ change: (await step()).change, status: 204 }));
    },
  )
  .post(
    "/users/reset-password",
    says("Choose a new password, by the link that was mailed", {
      200: UserView,
      ...problems(400, 415, 422, 503),
    }),
    open("who has the link reads the mail of the account"),
    body(PasswordReset),
    async (c) => {
      const { token, password } = c.req.valid("json");
      const step = await resetting(roomOf(c.var.kit), token, password);
      return transact(c, async () => {
        const { change, result } = await step();
        return { change, status: 200, body: view(result), headers: { etag: etag(result.version) } };
      });
    },
  );

const shown = (c: C, user: User): Response => cacheable(c, view(user), mine, etag(user.version));

/** The mail to a new address. One that has an account already is told so, in a mail to its owner. */
async function letterTo(room: Room, user: User, { address, key }: Mailbox) {
  const owner = await room.kit.store.userByEmail(key);
  const letter = owner
    ? await mail(room, owner, "already-registered")
    : await mail(room, { ...user, email: address, emailKey: key }, "verify-email");
  return letter.change();
}
