import { describe, expect, test } from "bun:test";
import { decider } from "chassis/testing";
import {
  change,
  erase,
  evolve,
  type Rejection,
  reset,
  type User,
  type UserEvent,
  verify,
  type Wanted,
} from "./user.ts";

const registered: UserEvent = {
  type: "registered",
  user: {
    id: "u_ada",
    email: "ada@shop.test",
    emailKey: "key-ada",
    name: "Ada",
    language: "en",
    passwordHash: "hash-1",
    createdAt: 1_000,
  },
};
const verified: UserEvent = { type: "email-verified" };
const admin: UserEvent = { type: "role-changed", role: "admin", at: 2_000 };
const other = { address: "ada@new.test", key: "key-new" };
const asked: UserEvent = { type: "email-asked", mailbox: other };

const self = { id: "u_ada", manages: false };
const boss = { id: "u_boss", manages: true };

interface Command {
  wanted?: Wanted;
  actor?: { id: string; manages: boolean };
  admins?: number;
  opens?: string;
  first?: boolean;
  resets?: string;
  erases?: true;
}

/** Everything that may be asked of an account, by which part of the command is there. */
function decide(user: User | undefined, command: Command): UserEvent[] | Rejection {
  if (!user) throw new Error("given must begin with a registration");
  const { wanted = {}, actor = self, admins = 2, opens, first = false, resets, erases } = command;
  if (erases) return erase(user, admins);
  if (resets !== undefined) return reset(user, resets, { passwordHash: "hash-2", first, at: 9_000 });
  if (opens !== undefined) return verify(user, opens, { first, at: 9_000 });
  return change(user, wanted, { actor, admins, at: 9_000 });
}
const given = decider<User, UserEvent, Command>((user, event) => {
  const next = evolve(user, event);
  if (!next) throw new Error("erased");
  return next;
}, decide);
const after = (...events: UserEvent[]) => events.reduce<User | undefined>(evolve, undefined);

describe("a new account", () => {
  test("is a customer's, with an address that nobody has shown to be theirs", () => {
    expect(after(registered)).toEqual({
      ...registered.user,
      version: 1,
      emailVerified: false,
      pending: null,
      role: "customer",
      validFrom: 1_000,
    });
  });
});

describe("a profile", () => {
  test("changes by name and language", () =>
    given(registered)
      .when({ wanted: { name: "Ada L.", language: "de" } })
      .then({ type: "profile-changed", name: "Ada L.", language: "de" }));
  test("stays when nothing is asked, or what is there already", () => {
    given(registered).when({ wanted: {} }).thenNothingHappened();
    given(registered)
      .when({ wanted: { name: "Ada", language: "en", role: "customer" } })
      .thenNothingHappened();
  });
});

describe("a role", () => {
  test("is changed by whoever manages users", () =>
    given(registered)
      .when({ wanted: { role: "staff" }, actor: boss })
      .then({ type: "role-changed", role: "staff", at: 9_000 }));
  test("is not changed by a customer", () =>
    given(registered)
      .when({ wanted: { role: "admin" } })
      .thenRejected("insufficient-scope"));
  test("is not one's own to change, not even for an admin", () =>
    given(registered, admin)
      .when({ wanted: { role: "customer" }, actor: { id: "u_ada", manages: true } })
      .thenRejected("own-role"));
  test("of the last admin stays", () => {
    given(registered, admin)
      .when({ wanted: { role: "staff" }, actor: boss, admins: 1 })
      .thenRejected("last-admin");
    given(registered, admin)
      .when({ wanted: { role: "staff" }, actor: boss, admins: 2 })
      .then({ type: "role-changed", role: "staff", at: 9_000 });
  });
  test("that has changed ends what was signed in with the one before", () =>
    expect(after(registered, admin)).toMatchObject({ role: "admin", validFrom: 2_000 }));
});

describe("an address", () => {
  test("of another mailbox waits until it is shown to be theirs", () => {
    given(registered, verified)
      .when({ wanted: { email: other } })
      .then(asked);
    expect(after(registered, verified, asked)).toMatchObject({
      email: "ada@shop.test",
      emailKey: "key-ada",
      emailVerified: true,
      pending: other,
    });
  });
  test("that was shown to be theirs takes the place of the one before", () => {
    given(registered, asked).when({ opens: "key-new" }).then({ type: "email-changed", mailbox: other });
    expect(after(registered, asked, { type: "email-changed", mailbox: other })).toMatchObject({
      email: "ada@new.test",
      emailKey: "key-new",
      emailVerified: true,
      pending: null,
    });
  });
  test("written otherwise is the same mailbox", () =>
    given(registered)
      .when({ wanted: { email: { address: "Ada@shop.test", key: "key-ada" } } })
      .then({ type: "email-respelt", email: "Ada@shop.test" }));
  test("asked back to the present one forgets the one that was asked for", () => {
    const back = { address: "ada@shop.test", key: "key-ada" };
    given(registered, asked)
      .when({ wanted: { email: back } })
      .then({ type: "email-respelt", email: "ada@shop.test" });
    expect(after(registered, asked, { type: "email-respelt", email: "ada@shop.test" })?.pending).toBeNull();
  });
  test("is verified once", () => {
    given(registered).when({ opens: "key-ada" }).then(verified);
    given(registered, verified).when({ opens: "key-ada" }).thenNothingHappened();
  });
  test("that the account no longer has verifies nothing", () =>
    given(registered, asked, { type: "email-changed", mailbox: other })
      .when({ opens: "key-ada" })
      .thenRejected("invalid-link"));
  test("of the first admin makes one, while there is none", () => {
    const first: UserEvent = { type: "role-changed", role: "admin", at: 9_000 };
    given(registered).when({ opens: "key-ada", first: true }).then(verified, first);
    given(registered, verified, admin).when({ opens: "key-ada", first: true }).thenNothingHappened();
  });
});

describe("a password", () => {
  test("is chosen by its owner", () =>
    given(registered)
      .when({ wanted: { passwordHash: "hash-2" } })
      .then({ type: "password-changed", passwordHash: "hash-2", at: 9_000 }));
  test("is not chosen by staff", () =>
    given(registered)
      .when({ wanted: { passwordHash: "hash-2" }, actor: boss })
      .thenRejected("not-yours"));
  test("ends what was signed in, and what was asked for, with the one before", () =>
    expect(
      after(registered, asked, { type: "password-changed", passwordHash: "hash-2", at: 5_000 }),
    ).toMatchObject({ passwordHash: "hash-2", validFrom: 5_000, pending: null }));
  test("hashed anew is the same password", () =>
    expect(after(registered, { type: "rehashed", passwordHash: "hash-3" })).toMatchObject({
      passwordHash: "hash-3",
      validFrom: 1_000,
    }));
  test("set by way of the mailbox shows whose the address is", () => {
    const changed: UserEvent = { type: "password-changed", passwordHash: "hash-2", at: 9_000 };
    given(registered).when({ resets: "key-ada" }).then(verified, changed);
    given(registered, verified).when({ resets: "key-ada" }).then(changed);
  });
  test("is not set by way of a mailbox that is not the account's, or not yet", () => {
    given(registered).when({ resets: "key-old" }).thenRejected("invalid-link");
    given(registered, asked).when({ resets: "key-new" }).thenRejected("invalid-link");
  });
});

describe("erasing", () => {
  test("leaves nothing", () => {
    given(registered).when({ erases: true }).then({ type: "erased" });
    expect(after(registered, { type: "erased" })).toBeUndefined();
  });
  test("is refused to the last admin", () => {
    given(registered, admin).when({ erases: true, admins: 1 }).thenRejected("last-admin");
    given(registered, admin).when({ erases: true, admins: 2 }).then({ type: "erased" });
  });
  test("is the end", () => {
    expect(() => after(registered, { type: "erased" }, verified)).toThrow("email-verified of an account");
  });
});

test("every event is a version", () => {
  const events = [registered, verified, asked, admin];
  expect(after(...events)?.version).toBe(events.length);
});
