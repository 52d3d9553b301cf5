import { expect, test } from "bun:test";
import { clientAddress } from "./addresses.ts";

test.each([
  // Nobody is trusted: what a client says of itself changes nothing.
  ["192.0.2.1", "203.0.113.9", "", "192.0.2.1"],
  ["192.0.2.1", "203.0.113.9", "10.0.0.0/8", "192.0.2.1"],
  ["10.1.2.3", "203.0.113.9", "10.0.0.0/8", "203.0.113.9"],
  // Only what the proxy itself has added counts, not what the client had written before.
  ["10.1.2.3", "198.51.100.1, 203.0.113.9", "10.0.0.0/8", "203.0.113.9"],
  ["10.1.2.3", "198.51.100.1, 203.0.113.9, 10.9.9.9", "10.0.0.0/8", "203.0.113.9"],
  ["10.1.2.3", undefined, "10.0.0.0/8", "10.1.2.3"],
  ["10.1.2.3", "unknown", "10.0.0.0/8", "10.1.2.3"],
  ["10.1.2.3", "10.4.5.6", "10.0.0.0/8", "10.1.2.3"],
  ["::ffff:10.1.2.3", "::ffff:203.0.113.9", "10.0.0.0/8", "203.0.113.9"],
  ["fd00::1", "2001:db8::7", "fd00::/8, 127.0.0.1", "2001:db8::7"],
  ["", "203.0.113.9", "10.0.0.0/8", ""],
])("from %s with %p, trusting %p: %s", (end, forwarded, trusted, address) => {
  expect(clientAddress(end, forwarded, trusted)).toBe(address);
});

test.each(["proxy", "10.0.0.0/33", "10.0.0.0/x", "fd00::/129"])("%s is no range", (trusted) => {
  expect(() => clientAddress("10.0.0.1", "1.2.3.4", trusted)).toThrow("TRUSTED_PROXIES");
});
