/** What Stripe's library sends as a form, read back: `metadata[orderId]` and `expand[0]` included. */
export type Fields = { [name: string]: string | string[] | Fields };

export function fields(body: string): Fields {
  const read: Fields = {};
  for (const [name, value] of new URLSearchParams(body)) {
    const [, own = name, inner] = /^(\w+)(?:\[([^[\]]+)\])?$/.exec(name) ?? [];
    const before = read[own];
    if (inner === undefined) read[own] = value;
    else if (/^\d+$/.test(inner)) read[own] = [...(Array.isArray(before) ? before : []), value];
    else read[own] = { ...(before as Fields | undefined), [inner]: value };
  }
  return read;
}

/** The same fields give the same text, in whatever order they came. */
export const flat = (body: string): string => [...new URLSearchParams(body)].map(String).sort().join("&");
