import type { UserExport, UserView } from "./contracts.ts";
import type { User } from "./user.ts";
import type { Link } from "./users-store.ts";

/** An account as its owner and staff see it. */
export const view = ({
  id,
  email,
  emailVerified,
  pending,
  name,
  role,
  language,
  createdAt,
}: User): UserView => ({
  id,
  email,
  emailVerified,
  ...(pending ? { pendingEmail: pending.address } : {}),
  name,
  role,
  language,
  createdAt: rfc3339(createdAt),
});

/** Everything that is kept of a person here, but the hash of the password; and where the rest is. */
export const exported = (
  user: User,
  { links, failures, at }: { links: Link[]; failures: number[]; at: number },
): UserExport => ({
  exportedAt: rfc3339(at),
  user: { ...view(user), version: user.version, validFrom: rfc3339(user.validFrom) },
  openLinks: links.map(({ purpose, expiresAt }) => ({ purpose, expiresAt: rfc3339(expiresAt) })),
  wrongPasswords: failures.map(rfc3339),
  elsewhere: [
    { what: "orders, with addresses", href: `/api/orders?customer=${encodeURIComponent(user.id)}` },
  ],
});

const rfc3339 = (ms: number): string => new Date(ms).toISOString();
