const pattern = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;

/** The caller's `traceparent` when it is one (W3C Trace Context), else a new one. */
export function traceOf(header: string | undefined): string {
  if (header !== undefined && pattern.test(header)) return header;
  return `00-${hex(16)}-${hex(8)}-01`;
}

export const traceId = (traceparent: string): string => traceparent.slice(3, 35);

function hex(bytes: number): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(bytes))).toString("hex");
}
