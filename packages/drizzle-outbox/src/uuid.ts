/**
 * An id that rises with time: a UUID of version 7 (RFC 9562, section 5.7), 74 of its bits random. Such ids lie side by
 * side in the indexes of whoever keeps them: what is written together shares pages, where random ids need one each.
 * @param at milliseconds since 1970
 */
export function uuidv7(at: number): string {
  const time = Math.trunc(at).toString(16).padStart(12, "0");
  return `${time.slice(0, 8)}-${time.slice(8)}-7${crypto.randomUUID().slice(15)}`;
}
