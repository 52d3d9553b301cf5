import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { asked } from "./paths.ts";

const url = (path: string): string => new URL(`http://shop.test${path}`).href;

describe("a path", () => {
  test.each([
    ["/api/products/85123A", "85123A"],
    ["/api/products/BANK%20CHARGES", "BANK CHARGES"],
    ["/api/products/A%2FB", "A/B"],
    ["/api/products/100%25", "100%"],
    ["/api/products/50%25%20OFF", "50% OFF"],
    ["/api/products/%25zz", "%zz"],
    ["/api/products/%2541", "%41"],
    ["/api/products/a..b", "a..b"],
    ["/api/products/a%5Cb", "a\\b"],
    ["/api/products/%C3%BC%E2%82%AC", "ü€"],
    ["/api/products/%F0%9F%8E%81", "🎁"],
    ["/api/products/a+b", "a+b"],
  ])("%s goes through as it is", (path, last) => {
    expect(asked(url(path))).toEqual({ target: path, last });
  });

  test("keeps its query and loses its fragment", () => {
    expect(asked("http://shop.test/api/products?search=a%20b&limit=2#x")).toEqual({
      target: "/api/products?search=a%20b&limit=2",
      last: "products",
    });
  });

  test.each([
    "/api/products/..%2Forders",
    "/api/products/%2e%2e%2forders",
    "/api/products/a%2F..%2F..%2Forders",
    "/api/products/..%5Corders",
    "/api/products/%252e%252e%252forders",
    "/api/products/%25252e%25252e%25252forders",
    "/api/products/..%00",
    "/api/products/a%0Ab",
    "/api/products/a%250d%250aX:y",
    "/api/products/%7F",
    "/api/products/%C2%85",
    "/api/products/%",
    "/api/products/%zz",
    "/api/products/%ff",
    "/api/products/%C0%AE%C0%AE",
    "/api/products/%ED%A0%80",
  ])("%s is refused", (path) => {
    expect(() => asked(url(path))).toThrow(expect.objectContaining({ status: 400, code: "invalid-path" }));
  });

  test("of any SKU is read as that SKU", () => {
    const sku = fc
      .string({ unit: "grapheme", minLength: 1, maxLength: 64 })
      .filter(
        (text) => !/\p{Cc}|\p{Cs}|%/u.test(text) && !text.split(/[/\\]/).some((part) => /^\.\.?$/.test(part)),
      );
    fc.assert(
      fc.property(sku, (text) => {
        expect(asked(url(`/api/products/${encodeURIComponent(text)}`)).last).toBe(text);
      }),
    );
  });
});
