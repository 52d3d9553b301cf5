import { lookup as resolveAll } from "node:dns/promises";
import ipaddr from "ipaddr.js";

/** Where webhooks may lead. */
export interface Rules {
  /** In development: http, and this machine itself. Never the rest of a private network. */
  loopback: boolean;
}

export interface Address {
  address: string;
  family: 4 | 6;
}

/** An address that nothing is sent to; the message says why, and nothing of what is there. */
export class Refused extends Error {
  override name = "Refused";
}

/** What is wrong with a URL by itself, before its host is looked up; undefined when nothing is. */
export function refusalOf(text: string, rules: Rules): string | undefined {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return "is not a URL";
  }
  if (url.protocol !== "https:" && !(rules.loopback && url.protocol === "http:"))
    return "must begin with https://";
  if (url.username || url.password) return "must not hold a user name or password";
  if (url.hash) return "must not have a fragment";
  const host = hostOf(url);
  if (ipaddr.isValid(host)) return isAllowed(host, rules) ? undefined : "must lead to a public address";
  const name = host.replace(/\.$/, "").toLowerCase();
  const local = name === "localhost" || name.endsWith(".localhost");
  if (local) return rules.loopback ? undefined : "must lead to a public address";
  // A name without a dot, or of a network's own zone, is nobody's on the Internet.
  if (!name.includes(".") || /\.(local|internal|intranet|lan|home\.arpa|onion)$/.test(name)) {
    return "must lead to a public address";
  }
  return undefined;
}

/** Without the brackets of IPv6. */
export const hostOf = ({ hostname }: URL): string => hostname.replace(/^\[|\]$/g, "");

/**
 * The addresses of a host, each checked: what is connected to is one of these, so that a name that answers otherwise
 * the next time (DNS rebinding) gains nothing.
 * @throws {Refused} when the host has no address, or any that is not public
 */
export async function addressesOf(
  host: string,
  rules: Rules,
  resolve: (host: string) => Promise<Address[]> = byDns,
): Promise<Address[]> {
  const found = ipaddr.isValid(host)
    ? [{ address: host, family: ipaddr.parse(host).kind() === "ipv4" ? (4 as const) : (6 as const) }]
    : await resolve(host);
  if (found.length === 0) throw new Refused("the host has no address");
  if (!found.every(({ address }) => isAllowed(address, rules))) {
    throw new Refused("the host leads to an address that is not public");
  }
  return found;
}

async function byDns(host: string): Promise<Address[]> {
  try {
    const all = await resolveAll(host, { all: true, verbatim: true });
    return all.map(({ address, family }) => ({ address, family: family === 6 ? 6 : 4 }));
  } catch {
    throw new Refused("the host cannot be found");
  }
}

/** Azure answers its virtual machines about themselves at an address that looks public. */
const azure = "168.63.129.16";

/**
 * Whether an address is one of the public Internet (IANA special-purpose registries, RFC 6890): not private,
 * link-local (which has the clouds' metadata services), loopback, shared, multicast, reserved, nor one of the ranges of
 * IPv6 that stand for an address of IPv4.
 */
export function isAllowed(address: string, { loopback }: Rules): boolean {
  if (!ipaddr.isValid(address)) return false;
  const parsed = ipaddr.process(address);
  if (parsed.toString() === azure) return false;
  const range = parsed.range();
  if (range === "loopback") return loopback;
  if (range !== "unicast") return false;
  // 2000::/3 is all that is given out of IPv6; what lies outside is nobody's.
  return parsed.kind() === "ipv4" || ((parsed.toByteArray()[0] ?? 0) & 0xe0) === 0x20;
}
