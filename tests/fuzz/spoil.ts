import fc from "fast-check";
import type { Operation } from "./contract.ts";
import { oddHeader } from "./odd-headers.ts";
import type { Ask, Draft, How } from "./request.ts";
import { encoded, honestText, hostileText, json, junk } from "./values.ts";

export type Spoil = (made: Draft) => Draft;

const header =
  (name: string, value: string): Spoil =>
  (made) => ({
    ...made,
    headers: [...made.headers.filter(([one]) => one !== name), [name, value]],
  });

const hows = fc.constantFrom<How>("bom", "utf-16", "latin-1", "gzip", "cut", "chunked", "twice");

const medias = [
  "application/json",
  "application/json; charset=utf-16",
  "APPLICATION/JSON",
  "application/problem+json",
  "application/merge-patch+json",
  "text/plain",
  "text/html",
  "application/xml",
  "application/x-ndjson",
  "application/x-www-form-urlencoded",
  "multipart/form-data; boundary=x",
  "application/json, text/plain",
  "json",
  "",
  "application/json;",
  "*/*",
  "x".repeat(5_000),
];

/** What goes wrong in clients that mean well, besides the body. */
export const clumsy = ({ path, query, body }: Operation): fc.Arbitrary<Spoil> => {
  const names = [...query.map(({ name }) => name), "limit", "cursor", "nothing", "limit[]"];
  const queries = fc
    .tuple(
      fc.constantFrom(...names),
      fc.oneof(
        fc.constantFrom(
          "",
          "0",
          "1",
          "100",
          "101",
          "-1",
          "1.5",
          "1e1",
          "0x10",
          " 5",
          "NaN",
          "9007199254740993",
          "{{cursor}}",
          "eyJhIjoxfQ",
          "null",
          "true",
        ),
        honestText,
      ),
    )
    .map(
      (pair): Spoil =>
        (made) => ({ ...made, query: [...made.query, pair] }),
    );
  const matches = fc
    .constantFrom('"0"', 'W/"1"', "1", "", '"', ",,,", '"1", "2"', "*, *", "x".repeat(9_000), '"\u00ff"')
    .map((tag) => (made: Draft) => header(made.method === "GET" ? "if-none-match" : "if-match", tag)(made));
  const keys = fc
    .constantFrom("k".repeat(255), "k".repeat(256), "", " ", "ключ", "a,b", '"quoted"', "\t")
    .map((key) => header("idempotency-key", key));
  const who = fc.constantFrom<Ask["as"]>("guest", ["ops"], ["orders:read"], []).map(
    (as): Spoil =>
      (made) => ({ ...made, as }),
  );
  const ways: fc.WeightedArbitrary<Spoil>[] = [
    { weight: 2, arbitrary: queries },
    { weight: 2, arbitrary: matches },
    { weight: 1, arbitrary: keys },
    { weight: 1, arbitrary: who },
    { weight: 1, arbitrary: oddHeader.map(([name, value]) => header(name, value)) },
  ];
  if (path.includes("{")) {
    ways.push({
      weight: 2,
      arbitrary: honestText.map(
        (text): Spoil =>
          (made) =>
            lastSegment(made, encoded(text)),
      ),
    });
  }
  if (Object.keys(body).length > 0) {
    ways.push({
      weight: 3,
      arbitrary: hows.map(
        (how): Spoil =>
          (made) => ({ ...made, how: [...made.how, how] }),
      ),
    });
    ways.push({
      weight: 2,
      arbitrary: fc.constantFrom(...medias).map((media) => header("content-type", media)),
    });
    ways.push({
      weight: 1,
      arbitrary: junk.map(
        (value): Spoil =>
          (made) => ({ ...made, value }),
      ),
    });
  }
  return fc.oneof(...ways);
};

/** What somebody does who means harm, besides the body. */
export const wicked = ({ path }: Operation): fc.Arbitrary<Spoil> => {
  const ways: fc.WeightedArbitrary<Spoil>[] = [
    {
      weight: 3,
      arbitrary: fc
        .tuple(
          fc.constantFrom(
            "cursor",
            "limit",
            "search",
            "category",
            "customer",
            "status",
            "reference",
            "__proto__",
            "a[b]",
          ),
          hostileText,
        )
        .map(
          (pair): Spoil =>
            (made) => ({ ...made, query: [...made.query.filter(([name]) => name !== pair[0]), pair] }),
        ),
    },
    {
      weight: 3,
      arbitrary: forgedCursor.map(
        (cursor): Spoil =>
          (made) => ({ ...made, query: [["cursor", cursor]] }),
      ),
    },
    {
      weight: 1,
      arbitrary: fc.constantFrom(50, 2_000).map(
        (times): Spoil =>
          (made) => ({ ...made, query: Array.from({ length: times }, (_, n) => [`q${n}`, "x"]) }),
      ),
    },
    { weight: 3, arbitrary: oddHeader.map(([name, value]) => header(name, value)) },
  ];
  if (path.includes("{")) {
    ways.push({
      weight: 4,
      arbitrary: hostileText.map(
        (text): Spoil =>
          (made) =>
            lastSegment(made, encoded(text)),
      ),
    });
    ways.push({
      weight: 1,
      arbitrary: fc
        .constantFrom(
          "%",
          "%zz",
          "%c0%af",
          "%ff",
          "%ed%a0%80",
          "..%2f..%2fready",
          "%2e%2e",
          "a;b=c",
          "a%2Fb",
          "a%3Fb",
          "a%23b",
          "%252e%252e%252f",
        )
        .map(
          (text): Spoil =>
            (made) =>
              lastSegment(made, text),
        ),
    });
  }
  return fc.oneof(...ways);
};

/** Puts `text` in the place of the path's first mark, or of its last segment. */
function lastSegment(made: Draft, text: string): Draft {
  const marked = made.path.replace(/\{\{[a-zA-Z]+:\d+\}\}/, () => text);
  return { ...made, path: marked === made.path ? made.path.replace(/[^/]*$/, () => text) : marked };
}

const forgedCursor: fc.Arbitrary<string> = fc.oneof(
  fc
    .oneof(
      junk,
      fc.record({ at: junk, id: junk }),
      fc.record({ rank: junk, sku: junk }),
      fc.record({ sku: hostileText }),
    )
    .map((value) => Buffer.from(json(value).toWellFormed()).toString("base64url")),
  hostileText.map((text) => text.toWellFormed()),
);
