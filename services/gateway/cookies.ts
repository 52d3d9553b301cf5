/**
 * Cookies that the gateway sets and reads itself. A browser takes one whose name begins with `__Host-` only over
 * https, from this host and for all of it (RFC 6265bis section 4.1.3.2): no neighbour's subdomain can put one in its place.
 */
const own = /^(__Host-)?souk-/;

/** Whether a cookie may go over unencrypted connections, which only development has. */
export const cookieName = (name: string, secure: boolean): string => (secure ? `__Host-${name}` : name);

/** The value of a cookie; nothing when it is not there, or twice, since it is not to be known which one counts. */
export function cookieOf(header: string | null | undefined, name: string): string | undefined {
  const values = pairs(header).filter(([key]) => key === name);
  return values.length === 1 ? values[0]?.[1] : undefined;
}

/** The Cookie header without what is for the gateway alone, and what no sidecar could carry. */
export function withoutOwn(header: string | null | undefined): string {
  return pairs(header)
    .filter(([key]) => !own.test(key))
    .map(([key, value]) => `${key}=${value}`)
    .filter((pair) => /^[ -~]*$/.test(pair))
    .join("; ");
}

/**
 * A Set-Cookie header that no script reads and no other site's form sends along.
 * @param seconds how long the browser keeps it; 0 makes it forget it
 */
export function setCookie(name: string, value: string, seconds: number, secure: boolean): string {
  return `${name}=${value}; Path=/; Max-Age=${seconds}; HttpOnly; SameSite=Lax${secure ? "; Secure" : ""}`;
}

function pairs(header: string | null | undefined): [string, string][] {
  return (header ?? "").split(";").flatMap((part): [string, string][] => {
    const at = part.indexOf("=");
    return at < 0 ? [] : [[part.slice(0, at).trim(), part.slice(at + 1).trim()]];
  });
}
