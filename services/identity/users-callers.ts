import { type Env, notFound, Problem } from "chassis";
import type { Context } from "hono";
import { trying } from "./attempts.ts";
import { addressOf } from "./provider/forms.ts";
import { roomOf } from "./room.ts";
import type { Store } from "./store.ts";
import type { Actor, User } from "./user.ts";

/** Who asks, and for whose account. */

export type C = Context<Env<Store>>;

/** The account of the path, for those who may know of it; `me` is the caller's. */
export async function seen(c: C, named = c.req.param("id") ?? ""): Promise<User> {
  const { caller, reach, kit } = c.var;
  const user = await kit.store.userWithin(reach, named === "me" ? caller.id : named);
  if (user) return user;
  throw notFound("An account of yours with this id");
}

/** Who changes something. A token may be older than its holder's role: an admin of yesterday manages nobody. */
export async function actorOf(c: C): Promise<Actor> {
  const { caller, kit } = c.var;
  const scoped = caller.scopes.has("users:manage");
  if (!scoped || caller.kind === "client") return { id: caller.id, manages: scoped };
  return { id: caller.id, manages: (await kit.store.user(caller.id))?.role === "admin" };
}

export function requireManager({ manages }: Actor): void {
  if (manages) return;
  throw new Problem(403, { code: "insufficient-scope", detail: "This needs the scope users:manage" });
}

/** The password of now, shown by whoever changes what one signs in with. Wrong ones count as at signing in. */
export async function confirmed(c: C, user: User, password: string | undefined): Promise<void> {
  const room = roomOf(c.var.kit);
  const pointer = "/currentPassword";
  if (password === undefined) {
    const detail = "is needed to change e-mail or password";
    throw new Problem(422, {
      code: "current-password-required",
      detail: `The current password ${detail}`,
      errors: [{ pointer, detail }],
    });
  }
  const outcome = await trying(room, { emailKey: user.emailKey, ip: addressOf(c) }, async () =>
    (await room.passwords.matches(password, user.passwordHash)) ? user : undefined,
  );
  if ("locked" in outcome) {
    throw new Problem(429, {
      code: "locked",
      detail: "Too many wrong passwords: wait before the next one",
      headers: { "retry-after": String(outcome.locked) },
    });
  }
  if ("wrong" in outcome) {
    const detail = "is not the password of this account";
    throw new Problem(403, {
      code: "wrong-password",
      detail: `That ${detail}`,
      errors: [{ pointer, detail }],
    });
  }
}

export const changedMeanwhile = (): Problem =>
  new Problem(409, { code: "changed-meanwhile", detail: "The password has been changed meanwhile" });
