import { untilCommitted } from "chassis";
import { expandIPv6 } from "hono/utils/ipaddr";
import { account, address, openAt, type Policy, recent } from "./lockout.ts";
import type { Room } from "./room.ts";

/** A try of a password that was let through: counted as a failure until it is taken back. */
export interface Attempt {
  /** The password was right: the account's failures are forgotten, the address has one less. */
  succeeded(): Promise<void>;
  /** No password was compared: it does not count. */
  withdrawn(): Promise<void>;
}

interface Subject {
  key: string;
  policy: Policy;
}

/**
 * Counts a try before its password is compared, so that any number at once are no more than one after the other.
 * Whether the account exists plays no part.
 * @param emailKey the keyed digest of the account's address
 * @param ip of the client, where it is known
 * @returns the try, or how long to wait (ms)
 */
export async function attempt(
  room: Room,
  { emailKey, ip }: { emailKey: string; ip: string | undefined },
): Promise<Attempt | { wait: number }> {
  const { kit, commit, alone, vault } = room;
  const { store, now } = kit;
  const of: Subject = { key: accountKey(emailKey), policy: account };
  const from: Subject[] = ip
    ? [{ key: `address ${await vault.lookup("address", network(ip))}`, policy: address }]
    : [];
  const subjects = [of, ...from];
  // Always the address before the account, so that two never wait for each other.
  const inTurn = <T>(work: () => Promise<T>): Promise<T> =>
    [of, ...from].reduce(
      (inner, { key }) =>
        () =>
          alone(key, inner),
      () => untilCommitted(work),
    )();

  const counted = await inTurn(async (): Promise<{ at: number } | { wait: number }> => {
    const at = now();
    const tallies = await Promise.all(subjects.map(({ key }) => store.tally(key)));
    const open = Math.max(...subjects.map(({ policy }, i) => openAt(tallies[i]?.times ?? [], policy, at)));
    if (open > at) return { wait: open - at };
    await commit({
      writes: tallies.map((tally, i) => {
        const { policy } = subjects[i] as Subject;
        return store.saveTally(tally, [...recent(tally.times, policy, at), at], at + policy.window);
      }),
    });
    return { at };
  });
  if ("wait" in counted) return counted;

  const takeBack = (some: Subject[], others: Parameters<typeof commit>[0]["writes"] = []): Promise<void> =>
    inTurn(async () => {
      const tallies = await Promise.all(some.map(({ key }) => store.tally(key)));
      const writes = tallies
        .filter(({ version }) => version > 0)
        .map((tally) => {
          const which = tally.times.lastIndexOf(counted.at);
          const { policy } = some.find(({ key }) => key === tally.key) as Subject;
          return store.saveTally(
            tally,
            tally.times.filter((_, i) => i !== which),
            now() + policy.window,
          );
        });
      await commit({ writes: [...writes, ...others] });
    });
  return {
    succeeded: () => takeBack(from, [store.forgetTally(of.key)]),
    withdrawn: () => takeBack(subjects),
  };
}

export const accountKey = (emailKey: string): string => `account ${emailKey}`;

/** The network that an address stands for: itself, or the /64 that one IPv6 customer has. */
export function network(ip: string): string {
  if (!ip.includes(":")) return ip;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(ip)?.[1];
  return mapped ?? `${expandIPv6(ip.replace(/%.*/, "")).split(":").slice(0, 4).join(":")}::/64`;
}
