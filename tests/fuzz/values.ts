import fc from "fast-check";

/** Texts that have broken somebody's server: each is legal as a JSON string. */
export const hostile = [
  "' OR '1'='1",
  "'; DROP TABLE orders;--",
  '" UNION SELECT secret FROM clients--',
  '{"$gt":""}',
  '{"$where":"sleep(5000)"}',
  // biome-ignore lint/suspicious/noTemplateCurlyInString: a template injection is meant to look like this
  "${7*7}{{7*7}}<%= 7*7 %>#{7*7}",
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the same of Log4j
  "${jndi:ldap://127.0.0.1/a}",
  "<script>alert(1)</script>",
  "ok\r\nlevel=error message=forged",
  "a\r\nSet-Cookie: admin=1",
  "$(touch /tmp/x)`id`",
  "../../../../etc/passwd",
  "..%2f..%2fetc%2fpasswd",
  "..\\..\\windows\\win.ini",
  "%00",
  "\u0000",
  "a\u0000b",
  "%",
  "%zz",
  "%25%32%65",
  "__proto__",
  "constructor",
  "prototype",
  "toString",
  "hasOwnProperty",
  "null",
  "undefined",
  "NaN",
  "-1",
  "1e999",
  "\u202eevil\u202c",
  "\u200b",
  "\ufeff",
  "\u2028\u2029",
  "e\u0301 \u00e9",
  "👩‍👩‍👧‍👦",
  "🏴󠁧󠁢󠁥󠁮󠁧󠁿",
  "\ud800",
  "\udc00\ud800",
  "ﷺ".repeat(30),
  "İıſK",
  "x".repeat(300),
  "😀".repeat(70),
  "a".repeat(70_000),
  "&lt;&#0;",
  "*",
  ".",
  "..",
  "",
  " ",
  "\t",
];

export const hostileText: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(...hostile),
  fc.string({ unit: "binary", maxLength: 40 }),
  // Halves of pairs: no encoding carries them, JSON escapes do.
  fc
    .array(fc.integer({ min: 0xd700, max: 0xe000 }), { maxLength: 6 })
    .map((units) => String.fromCharCode(...units)),
);

/** Texts of many scripts that an honest client may send. */
export const honestText: fc.Arbitrary<string> = fc.oneof(
  { weight: 4, arbitrary: fc.string({ unit: "grapheme-ascii", minLength: 1, maxLength: 24 }) },
  { weight: 3, arbitrary: fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      "85123A",
      "BANK CHARGES",
      "Grüße",
      "日本語 の 本",
      "عطر",
      "🎁 box",
      "नमस्ते",
      "O'Neil & Söhne",
    ),
  },
);

/** Stands in a JSON value for tokens that no JSON value has: written as they are by {@link json}. */
const raw = (token: string): string => `\u0001raw ${token}\u0001`;

const rawTokens = [
  "1e400",
  "-1e400",
  "-0",
  "0.1e-400",
  "NaN",
  "Infinity",
  "undefined",
  "01",
  "0x10",
  "1.0",
  "12345678901234567890123",
  "'a'",
  "{",
  "]",
  "\\u0000",
  '"\\ud800"',
  '"\\x"',
  "// x\n1",
];

/** JSON text of a value with raw tokens in it; a mark that was cut off stays in its own text. */
export const json = (value: unknown): string =>
  (JSON.stringify(value) ?? "null").replace(/"\\u0001raw ((?:[^"\\]|\\.)*?)\\u0001"/g, (_, token: string) =>
    JSON.parse(`"${token}"`),
  );

function nested(depth: number, open: string, close: string): string {
  return raw(open.repeat(depth) + close.repeat(depth));
}

/** Values of any type in the place of the one that belongs there. */
export const junk: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(null, true, false, 0, 1, -1, 0.5, "", [], {}, [[]], [null], { a: 1 }),
  fc.constantFrom(
    2 ** 31,
    2 ** 31 - 1,
    -(2 ** 31),
    2 ** 53 - 1,
    2 ** 53,
    -(2 ** 53),
    2 ** 63,
    1e21,
    1e308,
    5e-324,
  ),
  fc.constantFrom(...rawTokens).map(raw),
  fc.constantFrom(
    nested(200, "[", "]"),
    nested(5_000, "[", "]"),
    nested(500, '{"a":', "}").replace(":}", ":1}"),
  ),
  hostileText,
  fc.jsonValue({ maxDepth: 2 }) as fc.Arbitrary<unknown>,
);

/** Keys that must not reach a prototype, nor anything else. */
export const strangeKeys = [
  "__proto__",
  "constructor",
  "prototype",
  "toString",
  "",
  "a.b",
  "a/b",
  "~0",
  "$where",
  "\u0000",
  "sku ",
  "SKU",
  "😀",
  "length",
  "then",
  "0",
];

/** Percent-encodes what is not a mark, lone surrogates as they would come from a careless client. */
export const encoded = (text: string): string =>
  text
    .split(/(\{\{[a-zA-Z]+(?::\d+)?\}\})/)
    .map((part, index) => (index % 2 === 1 ? part : encodeURIComponent(part.toWellFormed())))
    .join("");
