import { describe, expect, test } from "bun:test";
import { addressesOf, isAllowed, Refused, refusalOf } from "./addresses.ts";

const strict = { loopback: false };
const inDevelopment = { loopback: true };

describe("addresses that nothing is sent to", () => {
  test.each([
    ["loopback", "127.0.0.1"],
    ["loopback", "127.255.255.254"],
    ["loopback", "::1"],
    ["this network", "0.0.0.0"],
    ["this network", "0.1.2.3"],
    ["unspecified", "::"],
    ["private", "10.0.0.1"],
    ["private", "172.16.0.1"],
    ["private", "172.31.255.255"],
    ["private", "192.168.1.1"],
    ["shared (carrier-grade NAT)", "100.64.0.1"],
    ["metadata of clouds", "169.254.169.254"],
    ["metadata of one cloud", "168.63.129.16"],
    ["metadata of one cloud", "100.100.100.200"],
    ["metadata of clouds, IPv6", "fd00:ec2::254"],
    ["link-local", "fe80::1"],
    ["unique local", "fc00::1"],
    ["site-local", "fec0::1"],
    ["multicast", "224.0.0.1"],
    ["multicast", "ff02::1"],
    ["broadcast", "255.255.255.255"],
    ["reserved", "240.0.0.1"],
    ["IETF", "192.0.0.1"],
    ["documentation", "192.0.2.1"],
    ["documentation", "198.51.100.1"],
    ["documentation", "203.0.113.1"],
    ["documentation", "2001:db8::1"],
    ["benchmarks", "198.18.0.1"],
    ["6to4 relay", "192.88.99.1"],
    ["IPv4 in IPv6", "::ffff:127.0.0.1"],
    ["IPv4 in IPv6", "::ffff:10.0.0.1"],
    ["IPv4 in IPv6", "::ffff:a9fe:a9fe"],
    ["IPv4 in IPv6, the old way", "::127.0.0.1"],
    ["NAT64", "64:ff9b::7f00:1"],
    ["NAT64, local", "64:ff9b:1::7f00:1"],
    ["6to4", "2002:7f00:1::1"],
    ["Teredo", "2001:0:7f00:1::1"],
    ["discard", "100::1"],
    ["outside of what is given out", "4000::1"],
    ["nothing", ""],
  ])("%s: %s", (_, address) => {
    expect(isAllowed(address, strict)).toBe(false);
  });

  test.each(["93.184.216.34", "8.8.8.8", "2606:4700::6810:84e5", "::ffff:8.8.8.8"])(
    "and %s is one to send to",
    (address) => {
      expect(isAllowed(address, strict)).toBe(true);
    },
  );

  test("in development this machine is, and nothing else of a private network", () => {
    for (const address of ["127.0.0.1", "::1"]) expect(isAllowed(address, inDevelopment)).toBe(true);
    for (const address of ["10.0.0.1", "169.254.169.254", "0.0.0.0", "fe80::1", "192.168.0.1"])
      expect(isAllowed(address, inDevelopment)).toBe(false);
  });
});

describe("URLs that are refused", () => {
  test.each([
    ["http://example.com/", "https"],
    ["ftp://example.com/", "https"],
    ["file:///etc/passwd", "https"],
    ["javascript:alert(1)", "https"],
    // Put together here: whole, it looks like somebody's password.
    [`https://${["user", "secret"].join(":")}@example.com/`, "password"],
    ["https://example.com@10.0.0.1/", "password"],
    ["https://example.com/#here", "fragment"],
    ["https://localhost/", "public"],
    ["https://LOCALHOST./", "public"],
    ["https://a.localhost/", "public"],
    ["https://intranet/", "public"],
    ["https://printer.local/", "public"],
    ["https://metadata.google.internal/", "public"],
    ["https://127.0.0.1/", "public"],
    ["https://127.1/", "public"],
    ["https://2130706433/", "public"],
    ["https://0x7f000001/", "public"],
    ["https://0177.0.0.1/", "public"],
    ["https://[::1]/", "public"],
    ["https://[::ffff:127.0.0.1]/", "public"],
    ["https://[::ffff:7f00:1]/", "public"],
    ["https://169.254.169.254/latest/meta-data/", "public"],
    ["https://①②⑦.0.0.1/", "public"],
    ["https://127。0。0。1/", "public"],
    ["no url", "URL"],
  ])("%s", (url, why) => {
    expect(refusalOf(url, strict)).toContain(why);
  });

  test.each([
    "https://example.com/hooks?x=1",
    "https://example.com:8443/",
    "https://8.8.8.8/",
    "https://[2606:4700::1]/",
  ])("and %s is not", (url) => {
    expect(refusalOf(url, strict)).toBeUndefined();
  });

  test("in development this machine is let through, over http too", () => {
    for (const url of ["http://localhost:3000/", "http://127.0.0.1:3000/", "https://[::1]/"])
      expect(refusalOf(url, inDevelopment)).toBeUndefined();
    for (const url of [
      "http://10.0.0.1/",
      "http://169.254.169.254/",
      "https://user@localhost/",
      "ftp://localhost/",
    ])
      expect(refusalOf(url, inDevelopment)).toBeDefined();
  });
});

describe("a name", () => {
  const resolve =
    (...addresses: string[]) =>
    async () =>
      addresses.map((address) => ({ address, family: address.includes(":") ? (6 as const) : (4 as const) }));

  test("that leads to public addresses alone gives them", async () => {
    const found = await addressesOf("example.com", strict, resolve("8.8.8.8", "2606:4700::1"));
    expect(found.map(({ address }) => address)).toEqual(["8.8.8.8", "2606:4700::1"]);
  });

  test.each([
    ["to a private one", ["10.0.0.1"]],
    ["to a private one beside a public one", ["8.8.8.8", "127.0.0.1"]],
    ["nowhere", []],
  ])("that leads %s is refused", async (_, addresses) => {
    await expect(addressesOf("example.com", strict, resolve(...addresses))).rejects.toThrow(Refused);
  });

  test("an address stands for itself", async () => {
    await expect(addressesOf("127.0.0.1", strict)).rejects.toThrow(Refused);
    expect(await addressesOf("8.8.8.8", strict)).toEqual([{ address: "8.8.8.8", family: 4 }]);
  });
});
