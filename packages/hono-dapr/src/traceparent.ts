/** The parts of a W3C `traceparent`. */
export interface Traceparent {
  /** 32 lower-case hex digits. */
  traceId: string;
  /** 16 lower-case hex digits: the caller's span. */
  parentId: string;
  sampled: boolean;
}

const pattern = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** Reads a `traceparent`; `null` when it is missing or not valid (W3C Trace Context, level 1). */
export function parseTraceparent(value: string | null | undefined): Traceparent | null {
  const match = value ? pattern.exec(value) : null;
  if (!match) return null;
  const [, version, traceId, parentId, flags, more] = match;
  if (!version || !traceId || !parentId || !flags) return null;
  // Version 00 has nothing after the flags; ff is forbidden; all zeros mean "none".
  if (version === "ff" || (version === "00" && more) || /^0+$/.test(traceId) || /^0+$/.test(parentId))
    return null;
  return { traceId, parentId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

/** A `traceparent` that starts a new trace. */
export function newTraceparent(options: { sampled?: boolean; random?: RandomBytes } = {}): string {
  const { sampled = true, random = randomBytes } = options;
  return `00-${hex(random(16))}-${hex(random(8))}-${sampled ? "01" : "00"}`;
}

/** The same trace with a span id of its own; a new trace when `parent` is not valid. */
export function childTraceparent(
  parent: string | null | undefined,
  random: RandomBytes = randomBytes,
): string {
  const parsed = parseTraceparent(parent);
  if (!parsed) return newTraceparent({ random });
  return `00-${parsed.traceId}-${hex(random(8))}-${parsed.sampled ? "01" : "00"}`;
}

/** Gives that many random bytes. */
export type RandomBytes = (length: number) => Uint8Array;

const randomBytes: RandomBytes = (length) => crypto.getRandomValues(new Uint8Array(length));

const digits = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

function hex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += digits[byte];
  return text;
}
