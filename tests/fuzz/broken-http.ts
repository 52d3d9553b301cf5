import fc from "fast-check";

/** Requests that no client should send, as bytes; `{host}` stands for the right host. */
const requests: Record<string, string> = {
  "a body shorter than said":
    "POST /api/orders HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{}",
  "a body longer than said":
    "POST /api/orders HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}{}{}",
  "a length and chunks":
    "POST /api/orders HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
  "two lengths":
    "POST /api/orders HTTP/1.1\r\nHost: {host}\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
  "a negative length": "POST /api/orders HTTP/1.1\r\nHost: {host}\r\nContent-Length: -1\r\n\r\n{}",
  "a length in words": "POST /api/orders HTTP/1.1\r\nHost: {host}\r\nContent-Length: two\r\n\r\n{}",
  "a huge length":
    "POST /api/orders HTTP/1.1\r\nHost: {host}\r\nContent-Length: 99999999999999999999\r\n\r\n{}",
  "a broken chunk":
    "POST /api/orders HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
  "a huge chunk":
    "POST /api/orders HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{}\r\n",
  "chunks that never end":
    "POST /api/orders HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
  "an unknown encoding":
    "POST /api/orders HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
  "no host": "GET /api/products HTTP/1.1\r\n\r\n",
  "two hosts": "GET /api/products HTTP/1.1\r\nHost: {host}\r\nHost: elsewhere\r\n\r\n",
  "another host": "GET /api/products HTTP/1.1\r\nHost: elsewhere.example:1\r\nConnection: close\r\n\r\n",
  "a host that is none": "GET /api/products HTTP/1.1\r\nHost: ][%00\r\nConnection: close\r\n\r\n",
  "HTTP/1.0": "GET /api/products HTTP/1.0\r\n\r\n",
  "HTTP/0.9": "GET /api/products\r\n\r\n",
  "HTTP/2": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
  "HTTP/9.9": "GET /api/products HTTP/9.9\r\nHost: {host}\r\n\r\n",
  "a method in small letters": "get /api/products HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n",
  "an unknown method": "BREW /api/products HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n",
  CONNECT: "CONNECT example.com:443 HTTP/1.1\r\nHost: {host}\r\n\r\n",
  "a whole URL": "GET http://{host}/api/products HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n",
  "a whole URL of another":
    "GET http://169.254.169.254/latest/meta-data HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n",
  "a star": "OPTIONS * HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n",
  "a path without a slash": "GET api/products HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n",
  "steps up": "GET /api/../../../etc/passwd HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n",
  "steps up, encoded":
    "GET /api/products/..%2f..%2fready HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n",
  "a path in Latin-1": "GET /api/products/\u00e9\u00ff HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n",
  "a space in the path": "GET /api/products/a b HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n",
  "a NUL in the path": "GET /api/products/a\u0000b HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n",
  "a fragment": "GET /api/products#x HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n",
  "a header without a colon": "GET /api/products HTTP/1.1\r\nHost: {host}\r\nnonsense\r\n\r\n",
  "a header without a name": "GET /api/products HTTP/1.1\r\nHost: {host}\r\n: x\r\n\r\n",
  "a folded header":
    "GET /api/products HTTP/1.1\r\nHost: {host}\r\nX-A: a\r\n b\r\nConnection: close\r\n\r\n",
  "a NUL in a header":
    "GET /api/products HTTP/1.1\r\nHost: {host}\r\nX-A: a\u0000b\r\nConnection: close\r\n\r\n",
  "a space before the colon": "POST /api/orders HTTP/1.1\r\nHost: {host}\r\nContent-Length : 2\r\n\r\n{}",
  "line feeds alone": "GET /api/products HTTP/1.1\nHost: {host}\nConnection: close\n\n",
  "a huge header": `GET /api/products HTTP/1.1\r\nHost: {host}\r\nX-A: ${"a".repeat(200_000)}\r\nConnection: close\r\n\r\n`,
  "many headers": `GET /api/products HTTP/1.1\r\nHost: {host}\r\n${Array.from({ length: 2_000 }, (_, n) => `X-${n}: 1\r\n`).join("")}Connection: close\r\n\r\n`,
  "a huge path": `GET /api/products/${"a".repeat(100_000)} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n`,
  "two requests at once":
    "GET /api/products?limit=1 HTTP/1.1\r\nHost: {host}\r\n\r\nGET /api/products?limit=2 HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n",
  "half a request": "GET /api/prod",
  "an upgrade":
    "GET /api/products HTTP/1.1\r\nHost: {host}\r\nConnection: upgrade\r\nUpgrade: h2c, websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n",
  "a TLS hello": "\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003",
  "a body for GET":
    "GET /api/products HTTP/1.1\r\nHost: {host}\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc",
  "an expectation":
    "POST /api/orders HTTP/1.1\r\nHost: {host}\r\nExpect: nonsense\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
  nothing: "",
};

/** One of these requests, at times with a byte changed or its end cut off. */
export const brokenHttp: fc.Arbitrary<{ what: string; text: string }> = fc
  .record({
    what: fc.constantFrom(...Object.keys(requests)),
    change: fc.option(fc.record({ at: fc.nat(200), by: fc.integer({ min: 0, max: 255 }) }), { freq: 3 }),
    keep: fc.oneof(
      { weight: 4, arbitrary: fc.constant(1) },
      { weight: 1, arbitrary: fc.double({ min: 0, max: 1, noNaN: true }) },
    ),
  })
  .map(({ what, change, keep }) => {
    const whole = requests[what] ?? "";
    const changed =
      change && change.at < whole.length
        ? whole.slice(0, change.at) + String.fromCharCode(change.by) + whole.slice(change.at + 1)
        : whole;
    return { what, text: changed.slice(0, Math.ceil(changed.length * keep)) };
  });
