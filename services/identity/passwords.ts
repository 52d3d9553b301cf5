import { randomBytes } from "node:crypto";
import { availableParallelism } from "node:os";
import { type Config, integer, Problem, turns } from "chassis";

/** Hashes and checks passwords, a few at a time. */
export interface Passwords {
  /** @throws {Problem} 503 when too many wait already, as of `matches` */
  hash(password: string): Promise<string>;
  /** Compares with what is kept; with nothing kept it does the same work and says no. */
  matches(password: string, kept: string | undefined): Promise<boolean>;
  /** It was hashed with other parameters than those of now. */
  outdated(kept: string): boolean;
  /** Hashes computed so far, dummies included. */
  readonly computed: number;
}

// OWASP's first choice of Argon2id (Password Storage Cheat Sheet).
const leastMemory = 19_456;
const leastTime = 2;

/**
 * Argon2id with `ARGON2_MEMORY_KIB` (19456) and `ARGON2_TIME` (2), `HASHES_AT_ONCE` (one a processor) at a time and
 * `HASHES_WAITING` (64) behind them.
 * @throws {Error} outside of development for parameters below OWASP's minimum
 */
export function createPasswords(config: Config): Passwords {
  const memoryCost = integer(config, "ARGON2_MEMORY_KIB", leastMemory);
  const timeCost = integer(config, "ARGON2_TIME", leastTime);
  if (!config.development && (memoryCost < leastMemory || timeCost < leastTime)) {
    throw new Error(`ARGON2_MEMORY_KIB must be at least ${leastMemory}, and ARGON2_TIME ${leastTime}`);
  }
  const parameters = `$argon2id$v=19$m=${memoryCost},t=${timeCost},p=1$`;
  const mostWaiting = integer(config, "HASHES_WAITING", 64);
  const turn = turns(integer(config, "HASHES_AT_ONCE", availableParallelism()), (waiting) => {
    // A flood of passwords must not stop us.
    if (waiting >= mostWaiting) throw busy();
  });
  let computed = 0;
  const compute = <T>(work: () => Promise<T>): Promise<T> => {
    return turn(() => {
      computed++;
      return work();
    });
  };
  const hash = (password: string): Promise<string> =>
    compute(() => Bun.password.hash(normal(password), { algorithm: "argon2id", memoryCost, timeCost }));
  // Looks like a hash and is none: comparing with it is the same work.
  const nobodys = `${parameters}${unpadded(randomBytes(32))}$${unpadded(randomBytes(32))}`;

  return {
    hash,
    async matches(password, kept) {
      const same = await compute(() => Bun.password.verify(normal(password), kept ?? nobodys));
      return same && kept !== undefined;
    },
    outdated: (kept) => !kept.startsWith(parameters),
    get computed() {
      return computed;
    },
  };
}

const unpadded = (bytes: Buffer): string => bytes.toString("base64").replace(/=+$/, "");

/** The same characters typed on two keyboards are one password (NIST SP 800-63B section 3.1.1.2). */
const normal = (password: string): string => password.normalize("NFKC");

const busy = (): Problem =>
  new Problem(503, {
    code: "busy",
    detail: "Too many passwords are being checked right now: try again in a moment",
    headers: { "retry-after": "1" },
  });
