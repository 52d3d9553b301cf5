import { Problem, untilCommitted } from "chassis";
import { expandIPv6 } from "hono/utils/ipaddr";
import { account, address, openAt, type Policy, recent } from "./lockout.ts";
import type { Room } from "./room.ts";

export interface Tried {
  /** The keyed digest of the account's address; whether there is such an account plays no part. */
  emailKey: string;
  /** Of the client, where it is known. */
  ip: string | undefined;
}

/** What came of a try; `locked` (s): no password was compared, the next one will be after that time. */
export type Outcome<T> = { right: T } | { wrong: true } | { locked: number };

/**
 * Lets a password be compared, unless there were too many wrong ones. One of an account at a time in this process:
 * whoever signs in often at once must not look like a guesser.
 * @param compare gives `undefined` for a wrong one; a Problem thrown by it means that nothing was compared
 */
export function trying<T>(
  room: Room,
  tried: Tried,
  compare: () => Promise<T | undefined>,
): Promise<Outcome<T>> {
  return room.alone(accountKey(tried.emailKey), async () => {
    const attempt = await counted(room, tried);
    if ("wait" in attempt) return { locked: Math.ceil(attempt.wait / 1_000) };
    const right = await compare().catch(async (error: unknown) => {
      if (error instanceof Problem) await attempt.withdrawn();
      throw error;
    });
    if (right === undefined) return { wrong: true };
    await attempt.succeeded();
    return { right };
  });
}

/** A try that was let through: counted as a failure until it is taken back. */
interface Attempt {
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
 * @returns the try, or how long to wait (ms)
 */
async function counted(room: Room, { emailKey, ip }: Tried): Promise<Attempt | { wait: number }> {
  const { kit, commit, alone, vault } = room;
  const { store, now } = kit;
  const of: Subject = { key: accountKey(emailKey), policy: account };
  const from: Subject[] = ip
    ? [{ key: `address ${await vault.lookup("address", network(ip))}`, policy: address }]
    : [];
  const subjects = [of, ...from];
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const [source] = from;
    return source ? alone(source.key, () => untilCommitted(work)) : untilCommitted(work);
  };

  const admitted = await inTurn(async (): Promise<{ at: number } | { wait: number }> => {
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
  if ("wait" in admitted) return admitted;

  const takeBack = (some: Subject[], others: Parameters<typeof commit>[0]["writes"] = []): Promise<void> =>
    inTurn(async () => {
      const tallies = await Promise.all(some.map(({ key }) => store.tally(key)));
      const writes = tallies
        .filter(({ version }) => version > 0)
        .map((tally) => {
          const which = tally.times.lastIndexOf(admitted.at);
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
