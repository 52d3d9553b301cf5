/** Why a database does not store. */
export type StorageReason =
  /** No room on its disk, or beyond its quota. It goes on by itself once there is. */
  | "full"
  | "read-only"
  /** What is in it is damaged: nothing more is written until somebody has looked at it. */
  | "corrupt"
  /** It was there, and is not any more. */
  | "missing"
  /** A server that does not answer, or ends the connection. */
  | "unreachable"
  /** The disk answers with errors. */
  | "failing";

/** Nothing was stored, or read, for a reason that lies with the database and not with what was asked of it. */
export class StorageUnavailable extends Error {
  override name = "StorageUnavailable";
  readonly reason: StorageReason;

  constructor(reason: StorageReason, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }

  /** The one that an error comes of; Drizzle's builders wrap what a query throws. Undefined when there is none. */
  static of(error: unknown): StorageUnavailable | undefined {
    for (let each = error; each instanceof Error; each = each.cause)
      if (each instanceof StorageUnavailable) return each;
    return undefined;
  }
}

const said: Record<StorageReason, string> = {
  full: "its disk is full",
  "read-only": "it is read-only",
  corrupt: "it is damaged",
  missing: "it is gone",
  unreachable: "it cannot be reached",
  failing: "its disk answers with errors",
};

// https://www.sqlite.org/rescode.html; Bun gives the name of the extended code, Node its number.
const sqlite: Record<number, [name: string, reason: StorageReason]> = {
  8: ["SQLITE_READONLY", "read-only"],
  10: ["SQLITE_IOERR", "failing"],
  11: ["SQLITE_CORRUPT", "corrupt"],
  13: ["SQLITE_FULL", "full"],
  14: ["SQLITE_CANTOPEN", "failing"],
  26: ["SQLITE_NOTADB", "corrupt"],
};

// https://www.postgresql.org/docs/current/errcodes-appendix.html
const postgres: [code: RegExp, reason: StorageReason][] = [
  [/^53100$/, "full"],
  [/^25006$/, "read-only"],
  [/^(XX001|XX002)$/, "corrupt"],
  [/^58/, "failing"],
  // Also a server that starts, stops or has no connection left.
  [/^(08|57P0|53300)/, "unreachable"],
  [/^(ECONN|EPIPE|ETIMEDOUT|ENOTFOUND|EHOSTUNREACH|ENETUNREACH|EAI_AGAIN)/, "unreachable"],
];

function reasonOf(error: unknown): StorageReason | undefined {
  const { code, errcode, message } = error as { code?: unknown; errcode?: unknown; message?: unknown };
  if (typeof errcode === "number") return sqlite[errcode & 0xff]?.[1];
  if (typeof code === "string") {
    if (code.startsWith("SQLITE_"))
      return Object.values(sqlite).find(([name]) => code === name || code.startsWith(`${name}_`))?.[1];
    return postgres.find(([pattern]) => pattern.test(code))?.[1];
  }
  // Of these `pg` gives no code.
  return typeof message === "string" &&
    /^(Connection terminated|timeout exceeded when trying to connect|Client .* is not queryable)/.test(
      message,
    )
    ? "unreachable"
    : undefined;
}

/** How it is with one open database. */
export class Storage {
  /** Its path, or that it is a server. */
  readonly #what: string;
  #trouble: StorageUnavailable | undefined;
  #storedAt = -Infinity;
  /** Told when it stops storing, and when it stores again. */
  changed: (trouble: StorageUnavailable | undefined) => void = () => {};

  constructor(what: string) {
    this.#what = what;
  }

  /** What is wrong, while it is. */
  get trouble(): StorageUnavailable | undefined {
    return this.#trouble;
  }

  /** Ms since something was written last. */
  get idle(): number {
    return performance.now() - this.#storedAt;
  }

  /** @returns the error as it is to be thrown: a StorageUnavailable if the database is to blame */
  failed(error: unknown): unknown {
    if (error instanceof StorageUnavailable) return error;
    const reason = reasonOf(error);
    if (reason === undefined) return error;
    const detail = error instanceof Error ? error.message : String(error);
    const unavailable = new StorageUnavailable(
      reason,
      `The database ${this.#what} does not store: ${said[reason]} (${detail})`,
      { cause: error },
    );
    // What is damaged stays so, whatever else goes wrong.
    if (this.#trouble?.reason === "corrupt") return unavailable;
    const news = this.#trouble?.reason !== reason;
    this.#trouble = unavailable;
    if (news) this.changed(unavailable);
    return unavailable;
  }

  /** Something is on disk. */
  stored(): void {
    this.#storedAt = performance.now();
    if (this.#trouble === undefined || this.#trouble.reason === "corrupt") return;
    this.#trouble = undefined;
    this.changed(undefined);
  }

  /** @throws {StorageUnavailable} when nothing may be written any more */
  mayWrite(): void {
    if (this.#trouble?.reason === "corrupt") throw this.#trouble;
  }
}
