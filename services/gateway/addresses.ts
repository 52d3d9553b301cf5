import { BlockList, isIP } from "node:net";
import type { Env } from "chassis";
import type { Context } from "hono";

const ranges = new Map<string, BlockList>();

/** Address of a request's client, as far as it is known. */
export function addressOf<S>(c: Context<Env<S>>): string {
  const end = c.env?.ip ?? "";
  const trusted = c.var.kit.config.env.TRUSTED_PROXIES;
  return trusted ? clientAddress(end, c.req.header("x-forwarded-for"), trusted) : unmapped(end);
}

/**
 * Address of a client: its end of the connection. Where that end is one of the trusted proxies (addresses and CIDR
 * ranges), it is the last one of `X-Forwarded-For` that is none of them; whatever stands before it anybody may have written.
 * @throws {Error} naming what of `trusted` is no range
 */
export function clientAddress(end: string, forwarded: string | undefined, trusted: string): string {
  const peer = unmapped(end);
  if (!isProxy(trusted, peer)) return peer;
  const hops = (forwarded ?? "").split(",").map((hop) => unmapped(hop.trim()));
  for (const hop of hops.reverse()) {
    // Not an address: nothing to count anybody by.
    if (isIP(hop) === 0) return peer;
    if (!isProxy(trusted, hop)) return hop;
  }
  return peer;
}

/** Reads TRUSTED_PROXIES. @throws {Error} naming what in it is no range */
export function proxies(said: string): BlockList {
  let list = ranges.get(said);
  if (list) return list;
  list = new BlockList();
  for (const range of said.split(/[\s,]+/).filter(Boolean)) {
    const [address = "", bits] = range.split("/");
    const family = isIP(address);
    const most = family === 4 ? 32 : 128;
    const prefix = bits === undefined ? most : Number(bits);
    if (family === 0 || !/^\d{1,3}$/.test(bits ?? "0") || prefix > most)
      throw new Error(`TRUSTED_PROXIES must hold addresses and ranges such as 10.0.0.0/8, not "${range}"`);
    list.addSubnet(address, prefix, family === 4 ? "ipv4" : "ipv6");
  }
  ranges.set(said, list);
  return list;
}

const isProxy = (trusted: string, address: string): boolean =>
  isIP(address) !== 0 && proxies(trusted).check(address, isIP(address) === 4 ? "ipv4" : "ipv6");

/** IPv4 as it is written by itself, where a socket for both has it as IPv6. */
const unmapped = (ip: string): string =>
  !ip.includes(":") ? ip : (/^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(ip)?.[1] ?? ip);
