import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { deadLetterPaths } from "../../services/gateway/dead-letters.ts";
import { sessionPaths } from "../../services/gateway/session-routes.ts";
import { ways } from "../../services/gateway/ways.ts";
import { eventually, type TestShop, testShop } from "../e2e/shop.ts";
import { ask, dial, type Line, type RawAnswer } from "./raw.ts";

// The whole shop, attacked through its front door by connections that send whatever they like.

let it: TestShop;
let port = 0;
const slowFor = 4;
const atOnce = 150;

beforeAll(async () => {
  it = await testShop({
    RATE_LIMITS: "off",
    RATE_LIMIT_SIGN_IN: "address=30",
    IDLE_TIMEOUT_S: String(slowFor),
    REQUESTS_AT_ONCE: String(atOnce),
  });
  port = Number(new URL(it.shop.url).port);
  await it.product({ sku: "SHOWN" });
}, 600_000);
afterAll(() => it?.stop(), 60_000);

const host = (): string => `Host: localhost:${port}\r\n`;
const get = (target: string, more = ""): Promise<RawAnswer | undefined> =>
  ask(port, `GET ${target} HTTP/1.1\r\n${host()}${more}Connection: close\r\n\r\n`);
const codeOf = (answer: RawAnswer | undefined): string | undefined =>
  answer && answer.headers.get("content-type") === "application/problem+json"
    ? (JSON.parse(answer.text) as { code: string }).code
    : undefined;

/** What the runtime answers to what is no HTTP that it takes, and then hangs up. */
const notTaken = [400, 413, 414, 417, 431, 501, 505];

describe("a path", () => {
  // What services and sidecars have and the front door does not lead to.
  const inside = [
    "/v1.0/metadata",
    "/v1.0/secrets/secrets/key",
    "/v1.0/invoke/payments/method/payments/ledger",
    "/v1.0/state/state/x",
    "/dapr/subscribe",
    "/_events/orders",
    "/dead-letters",
    "/openapi.json/../dead-letters",
    "/orders",
    "/payments/ledger",
    "/users",
  ];
  const tricks: [name: string, (path: string) => string][] = [
    ["as it is", (path) => path],
    ["behind /api", (path) => `/api${path}`],
    ["behind two slashes", (path) => `/${path}`],
    ["behind /api and two slashes", (path) => `/api/${path}`],
    ["behind an encoded step back", (path) => `/api/products/..%2f..${path}`],
    [
      "behind steps back, all encoded",
      (path) => `/api/products/%2e%2e%2f%2e%2e${path.replaceAll("/", "%2f")}`,
    ],
    ["behind steps back, encoded twice", (path) => `/api/products/%252e%252e%252f${path.slice(1)}`],
    ["behind steps back, encoded thrice", (path) => `/api/products/%25252e%25252e%25252f${path.slice(1)}`],
    ["behind encoded backslashes", (path) => `/api/products/..%5c..%5c${path.slice(1)}`],
    ["behind overlong UTF-8", (path) => `/api/products/%c0%ae%c0%ae%c0%af${path.slice(1)}`],
    ["behind a parameter", (path) => `/api/products/..;${path}`],
    ["behind an encoded NUL", (path) => `/api/products/%00${path}`],
    ["behind a NUL", (path) => `/api/products/\0${path}`],
    ["with an encoded slash", (path) => `/${path.slice(1).replaceAll("/", "%2f")}`],
    ["in capitals", (path) => `/API${path.toUpperCase()}`],
    ["as a whole URL", (path) => `http://localhost:${port}${path}`],
    ["as a URL of a service", (path) => `http://orders${path}`],
    ["as an authority", (path) => `//orders${path}`],
    ["behind a fragment", (path) => `/api/products/#/../..${path}`],
    ["with a header's line end", (path) => `/api/products/x%0d%0adapr-app-id:%20orders%0d%0a${path}`],
  ];

  test.each(tricks)("%s leads to nothing that is inside", async (_name, disguise) => {
    for (const path of inside) {
      const target = disguise(path);
      const answer = await get(target);
      // Where it can be read in two ways it is one product's name, which nobody has.
      expect([400, 401, 404, 405, 505], `${target}: ${answer?.text}`).toContain(answer?.status ?? 0);
      expect(answer?.text ?? "", target).not.toMatch(/runtimeVersion|"topic"|pubsubname|"items"|"balanced"/);
    }
  });

  test.each([
    "/api/./products/SHOWN",
    "/x/../api/products/SHOWN",
    "/api/products/x/../SHOWN",
    "/api/products/%53HOWN",
    "/api\\products\\SHOWN",
    "/api/x/%2e%2e/products/SHOWN",
    "/../../api/products/SHOWN",
  ])("%s means the same for the gateway and for who is behind it", async (target) => {
    const [direct, other] = [await get("/api/products/SHOWN"), await get(target)];
    expect(direct?.status).toBe(200);
    expect(other?.status).toBe(200);
    expect(other?.text).toBe(direct?.text ?? "");
  });

  test.each([
    ["GET jwks HTTP/1.1", "without a slash"],
    ["GET * HTTP/1.1", "of a star"],
    ["OPTIONS * HTTP/1.1", "of a star for OPTIONS"],
    ["GET @orders/jwks HTTP/1.1", "with a user"],
    ["GET :80/jwks HTTP/1.1", "with a port"],
    ["GET /api/products/a b HTTP/1.1", "with a space"],
    ["GET /api/products/a\tb HTTP/1.1", "with a tab"],
    ["GET /api/products/a\rb HTTP/1.1", "with a carriage return"],
    ["GET\t/jwks HTTP/1.1", "behind a tab"],
    ["GET /jwks", "of HTTP/0.9"],
    ["GET /jwks HTTP/2.0", "of HTTP/2"],
    ["GET /jwks HTTP/1.1x", "of no HTTP"],
  ])("%j: %s, is not taken", async (line) => {
    const answer = await ask(port, `${line}\r\n${host()}Connection: close\r\n\r\n`);
    if (answer) expect([...notTaken, 404]).toContain(answer.status);
    expect(answer?.text ?? "").not.toContain('"keys"');
  });
});

describe("line ends that do not belong", () => {
  test.each([
    "/api/products?search=%0d%0aset-cookie:%20a=b",
    "/api/products/a%0d%0aset-cookie:%20a=b",
    "/api/products/a%0aset-cookie:%20a=b",
    "/api/products/a%E5%98%8D%E5%98%8Aset-cookie:%20a=b",
    "/session/sign-in?return_to=/%0d%0aset-cookie:%20a=b",
    "/nothing%0d%0aset-cookie:%20a=b",
  ])("in the path %s put nothing into the answer's head", async (target) => {
    const answer = await get(target);
    expect(answer?.status).toBeGreaterThanOrEqual(200);
    expect((answer?.headers.get("set-cookie") ?? "").startsWith("a=b")).toBe(false);
    expect(answer?.status).toBeLessThan(500);
  });

  test.each([
    ["a line feed alone", "X-A: b\nX-B: c"],
    ["a carriage return alone", "X-A: b\rX-B: c"],
    ["a NUL", "X-A: b\0"],
    ["a folded line", "X-A: a\r\n b"],
    ["a space before the colon", "X-A : b"],
    ["no colon", "X-A"],
    ["no name", ": b"],
    ["a space at the front", " X-A: b"],
    ["a name that is none", "X(A): b"],
  ])("in a header, %s: the request is not taken", async (_name, header) => {
    const answer = await get("/jwks", `${header}\r\n`);
    expect(answer === undefined || notTaken.includes(answer.status)).toBe(true);
    expect(answer?.text ?? "").not.toContain('"keys"');
  });

  test("alone end no line", async () => {
    const answer = await ask(port, `GET /jwks HTTP/1.1\nHost: localhost:${port}\nConnection: close\n\n`);
    expect(answer === undefined || notTaken.includes(answer.status)).toBe(true);
  });

  test("in what is repeated of a request are not repeated", async () => {
    const more = `traceparent: 00-a%0d%0aX: y\r\nx-forwarded-prefix: /evil%0d%0aX: y\r\n`;
    const answer = await get("/nothing", more);
    expect(answer?.status).toBe(404);
    expect(answer?.headers.get("x")).toBeNull();
    expect((JSON.parse(answer?.text ?? "{}") as { traceId: string }).traceId).toMatch(/^[0-9a-f]{32}$/);
  });
});

describe("a second request inside the first", () => {
  // Nobody else in this file deletes anything, so that one that was let in shows in the gateway's figures.
  const hidden = (): string => `DELETE /api/products/SHOWN HTTP/1.1\r\n${host()}If-Match: *\r\n\r\n`;
  const post = (): string => `POST /api/orders HTTP/1.1\r\n${host()}Content-Type: application/json\r\n`;
  const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;
  const attacks: [name: string, bytes: () => string][] = [
    [
      "CL.TE",
      () =>
        `${post()}Content-Length: ${5 + hidden().length}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${hidden()}`,
    ],
    [
      "TE.CL",
      () => `${post()}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n${chunk(hidden())}0\r\n\r\n`,
    ],
    ...[
      "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
      "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
      "Transfer-Encoding: xchunked",
      "Transfer-Encoding : chunked",
      "Transfer-Encoding:\x0bchunked",
      "Transfer-Encoding:\r\n chunked",
      'Transfer-Encoding: "chunked"',
      "Transfer-Encoding: chunked, identity",
      "Transfer-Encoding: gzip, chunked",
      "Transfer_Encoding: chunked",
      "X: y\nTransfer-Encoding: chunked",
      " Transfer-Encoding: chunked",
      "Transfer-Encoding: chunked\0",
    ].map((header): [string, () => string] => [
      `TE.TE: ${JSON.stringify(header)}`,
      () => `${post()}${header}\r\nContent-Length: ${5 + hidden().length}\r\n\r\n0\r\n\r\n${hidden()}`,
    ]),
    ...[
      "Content-Length: 2\r\nContent-Length: 200",
      "Content-Length: 200\r\nContent-Length: 2",
      "Content-Length: 2, 200",
      "Content-Length: 2 200",
      "Content-Length: +2",
      "Content-Length: -2",
      "Content-Length: 0x2",
      "Content-Length: 2e0",
      "Content-Length: ",
      "Content-Length: 18446744073709551618",
      "Content-Length: 2\r\n 00",
      "Content-Length : 2",
      "Content-Length:\x0b2",
      "Content-Length: 2;",
    ].map((header): [string, () => string] => [
      `lengths: ${JSON.stringify(header)}`,
      () => `${post()}${header}\r\n\r\n{}${hidden()}`,
    ]),
    ...["2\n{}\n0\n\n", "0x2\r\n{}\r\n0\r\n\r\n", "-2\r\n{}\r\n0\r\n\r\n", "2;\n{}\r\n0\r\n\r\n"].map(
      (body): [string, () => string] => [
        `a chunk: ${JSON.stringify(body)}`,
        () => `${post()}Transfer-Encoding: chunked\r\n\r\n${body}${hidden()}`,
      ],
    ),
    [
      "a chunk longer than a number",
      () => `${post()}Transfer-Encoding: chunked\r\n\r\n10000000000000002\r\n{}\r\n0\r\n\r\n${hidden()}`,
    ],
    [
      "a chunk without its end",
      () => `${post()}Transfer-Encoding: chunked\r\n\r\n2\r\n{}xx0\r\n\r\n${hidden()}`,
    ],
    [
      "a chunk's extension without an end",
      () =>
        `${post()}Transfer-Encoding: chunked\r\n\r\n2;${"a".repeat(100_000)}\r\n{}\r\n0\r\n\r\n${hidden()}`,
    ],
    [
      "a trailer",
      () =>
        `${post()}Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nContent-Length: ${hidden().length}\r\n\r\n`,
    ],
    ...(
      [
        "GET /api/products/SHOWN",
        "HEAD /api/products/SHOWN",
        "POST /nothing",
        "POST /jwks",
        "TRACE /",
      ] as const
    ).map((line): [string, () => string] => [
      `the body of ${line}`,
      () => `${line} HTTP/1.1\r\n${host()}Content-Length: ${hidden().length}\r\n\r\n${hidden()}`,
    ]),
    [
      "the body of GET, in chunks",
      () =>
        `GET /api/products/SHOWN HTTP/1.1\r\n${host()}Transfer-Encoding: chunked\r\n\r\n${chunk(hidden())}0\r\n\r\n`,
    ],
    [
      "the body of what is refused for its token",
      () => `${post()}Authorization: Bearer a.b.c\r\nContent-Length: ${hidden().length}\r\n\r\n${hidden()}`,
    ],
    [
      "the body of what is refused for its path",
      () =>
        `POST /api/orders/%00/cancel HTTP/1.1\r\n${host()}Content-Length: ${hidden().length}\r\n\r\n${hidden()}`,
    ],
    [
      "what follows an upgrade",
      () =>
        `GET /jwks HTTP/1.1\r\n${host()}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\nContent-Length: ${hidden().length}\r\n\r\n${hidden()}`,
    ],
  ];

  test.each(attacks)("%s: is not taken for one", async (_name, bytes) => {
    const text = bytes();
    const line = dial(port, /^HEAD/.test(text) ? "HEAD" : "GET");
    line.send(text);
    const first = await line.until(1);
    // Answers come in order: what was hidden would be answered before what is asked now.
    if (!first.closed) line.send(`GET /health HTTP/1.1\r\n${host()}Connection: close\r\n\r\n`);
    const { answers } = await line.until(Number.POSITIVE_INFINITY);
    line.close();
    expect(answers.length).toBeLessThanOrEqual(2);
    for (const { status } of answers) expect([204, 412, 428, 403]).not.toContain(status);
    if (answers.length === 2) expect(answers[1]?.text).toBe('{"status":"up"}');
  });

  test("none of them has reached a route", async () => {
    const metrics = (await get("/metrics"))?.text ?? "";
    expect(metrics).toContain('method="POST"');
    expect(metrics).not.toContain('method="DELETE"');
    expect((await get("/api/products/SHOWN"))?.status).toBe(200);
  });
});

describe("too much", () => {
  test.each([
    ["a header of 70 KB", () => get("/jwks", `X-A: ${"a".repeat(70_000)}\r\n`)],
    ["500 headers", () => get("/jwks", Array.from({ length: 500 }, (_, i) => `X-${i}: 1\r\n`).join(""))],
    ["a path of 70 KB", () => get(`/api/products/${"a".repeat(70_000)}`)],
    ["a query of 70 KB", () => get(`/api/products?search=${"a".repeat(70_000)}`)],
    ["a token of 20 KB", () => get("/api/orders", `Authorization: Bearer ${"a".repeat(20_000)}\r\n`)],
    ["cookies of 20 KB", () => get("/session", `Cookie: ${"a=b; ".repeat(4_000)}\r\n`)],
    [
      "a body over the limit, announced",
      () =>
        ask(
          port,
          `POST /api/orders HTTP/1.1\r\n${host()}Content-Length: 2000000\r\nConnection: close\r\n\r\n{}`,
        ),
    ],
    [
      "a long body without a token",
      () =>
        ask(
          port,
          `POST /api/products/import HTTP/1.1\r\n${host()}Content-Length: 60000000\r\nConnection: close\r\n\r\n{}`,
        ),
    ],
  ])("%s is refused", async (_name, send) => {
    const answer = await send();
    expect([400, 401, 413, 414, 431]).toContain(answer?.status ?? 431);
    expect((await get("/health"))?.status).toBe(200);
  });
});

describe("a host", () => {
  const asHost = (value: string, target = "/jwks") =>
    ask(port, `GET ${target} HTTP/1.1\r\nHost: ${value}\r\nConnection: close\r\n\r\n`);

  test("that is another's is not served", async () => {
    for (const name of ["evil.example", `evil.example:${port}`, "localhost.evil.example", "gateway"])
      expect(codeOf(await asHost(name))).toBe("misdirected");
    expect(codeOf(await asHost("evil.example", `http://localhost:${port}/jwks`))).toBe("misdirected");
  });

  test.each([
    "a b",
    "localhost/jwks",
    "u@localhost",
    "localhost#",
    "localhost\\x",
    "",
    "%00",
    "[::1",
    "\xe9",
  ])("%j is none", async (value) => expect((await asHost(value))?.status).toBe(400));

  test("is there once", async () => {
    for (const more of ["Host: evil.example\r\n", host()])
      expect((await get("/jwks", more))?.status).toBe(400);
    const none = await ask(port, "GET /jwks HTTP/1.1\r\nConnection: close\r\n\r\n");
    expect(none?.status).toBe(400);
  });
});

describe("what a client says of its way here", () => {
  const spoofed = [
    "X-Forwarded-Host: evil.example",
    "X-Forwarded-Proto: https",
    "X-Forwarded-For: 127.0.0.1",
    "X-Forwarded-Prefix: /evil",
    "X-Forwarded-Port: 1",
    "Forwarded: for=127.0.0.1;host=evil.example;proto=https",
    "X-Original-URL: /api/dead-letters",
    "X-Rewrite-URL: /api/dead-letters",
    "X-HTTP-Method-Override: DELETE",
    "X-HTTP-Method: DELETE",
    "X-Method-Override: DELETE",
    "X-Real-IP: 127.0.0.1",
    "True-Client-IP: 127.0.0.1",
    "dapr-app-id: payments",
    "dapr-api-token: x",
    "Connection: close, authorization",
  ];

  test.each(spoofed)("%s changes nothing", async (header) => {
    for (const target of ["/.well-known/openid-configuration", "/api/products/SHOWN", "/api/orders/none"]) {
      const [plain, other] = [await get(target), await get(target, `${header}\r\n`)];
      expect(other?.status).toBe(plain?.status ?? 0);
      const said = (text = ""): string => text.replace(/"traceId":"[0-9a-f]+"/, "");
      expect(said(other?.text)).toBe(said(plain?.text));
      expect(other?.text).not.toContain("evil");
    }
  });

  test("of its method changes nothing either", async () => {
    const length = "Content-Length: 0\r\nConnection: close\r\n\r\n";
    const answer = await ask(
      port,
      `POST /api/products/SHOWN?_method=DELETE HTTP/1.1\r\n${host()}X-HTTP-Method-Override: DELETE\r\n${length}`,
    );
    expect([answer?.status, answer?.headers.get("allow")]).toEqual([405, "GET, HEAD, PUT, PATCH, DELETE"]);
  });
});

describe("methods and protocols that are not offered", () => {
  test("TRACE repeats nothing", async () => {
    const answer = await ask(
      port,
      `TRACE /jwks HTTP/1.1\r\n${host()}X-Secret: canary\r\nConnection: close\r\n\r\n`,
    );
    expect(answer?.status).toBe(405);
    expect(answer?.text).not.toContain("canary");
  });

  test.each(["localhost:22", "orders:80", "127.0.0.1:6379"])("CONNECT to %s opens no tunnel", async (to) => {
    const answer = await ask(port, `CONNECT ${to} HTTP/1.1\r\n${host()}\r\n`);
    expect(answer === undefined || answer.status >= 400).toBe(true);
  });

  test.each(["BREW", "PROPFIND", "get", "DEBUG", "PURGE"])("%s does nothing", async (method) => {
    const answer = await ask(
      port,
      `${method} /api/products/SHOWN HTTP/1.1\r\n${host()}Connection: close\r\n\r\n`,
    );
    expect(answer === undefined || [400, 405, 501].includes(answer.status)).toBe(true);
  });

  test.each([
    ["h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"],
    ["websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"],
    ["TLS/1.0", ""],
  ])("nobody is upgraded to %s", async (protocol, more) => {
    const answer = await ask(
      port,
      `GET /jwks HTTP/1.1\r\n${host()}Connection: Upgrade\r\nUpgrade: ${protocol}\r\n${more}\r\n`,
    );
    expect(answer?.status).toBe(200);
  });

  test.each([
    ["HTTP/2 from the first byte", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
    ["a TLS hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"],
  ])("%s is not taken", async (_name, bytes) => {
    const answer = await ask(port, bytes);
    expect(answer === undefined || notTaken.includes(answer.status)).toBe(true);
  });
});

describe("who takes their time", () => {
  const open = new Set<Line>();
  const slow = (first: string): Line => {
    const line = dial(port);
    line.send(first);
    open.add(line);
    return line;
  };
  const hangUp = (): void => {
    for (const line of open) line.close();
    open.clear();
  };

  test("over a request's head loses the connection, however steadily it comes", async () => {
    const line = slow(`GET /jwks HTTP/1.1\r\n${host()}`);
    const drip = setInterval(() => line.send("X-A: b\r\n"), 500);
    const { answers, ms } = await line.until(1);
    clearInterval(drip);
    hangUp();
    expect(answers).toEqual([]);
    expect(ms).toBeGreaterThan(1_000);
  }, 60_000);

  test("over a body as well, and so does who sends nothing at all", async () => {
    const half = slow(
      `POST /api/orders HTTP/1.1\r\n${host()}Content-Type: application/json\r\nContent-Length: 9000\r\n\r\n{`,
    );
    const drip = setInterval(() => half.send(" "), 500);
    const silent = slow("");
    const [body, nothing] = await Promise.all([half.until(2), silent.until(1)]);
    clearInterval(drip);
    hangUp();
    expect([body.closed, nothing.closed]).toEqual([true, true]);
    for (const { status } of body.answers) expect(status).toBeGreaterThanOrEqual(400);
  }, 60_000);

  test("holds up nobody: a thousand connections that say half a word", async () => {
    for (let i = 0; i < 1_000; i++) slow(i % 2 ? "GET /jwks HT" : `GET /jwks HTTP/1.1\r\n${host()}X-A:`);
    await Promise.all(
      [...open].map(({ socket }) =>
        socket.connecting ? new Promise((go) => socket.once("connect", go)) : undefined,
      ),
    );
    for (let i = 0; i < 20; i++) expect((await get("/api/products/SHOWN"))?.status).toBe(200);
    hangUp();
  }, 60_000);

  test("has so many places and no more, and gives them back", async () => {
    const head = `POST /api/orders HTTP/1.1\r\n${host()}Content-Type: application/json\r\nContent-Length: 9000\r\n\r\n{`;
    for (let i = 0; i < atOnce; i++) slow(head);
    await eventually("the places are taken", async () => codeOf(await get("/jwks")) === "too-many-at-once");
    hangUp();
    await eventually("they are free again", async () => (await get("/jwks"))?.status === 200);
  }, 60_000);
});

describe("what every answer carries", () => {
  const paths = [
    ...["/", "/health", "/ready", "/metrics", "/nothing", "/session/callback?state=x"],
    ...[...ways, ...deadLetterPaths, ...sessionPaths]
      // What signs in is limited in this shop; one page of each kind is looked at below.
      .filter(
        ({ path, methods }) =>
          methods.some((one) => one === "GET") && !/^\/(auth|token|session\/)/.test(path),
      )
      .map(({ path }) => path.replace(/:service/, "orders").replace(/:\w+/g, "none")),
  ];

  test.each(paths)("%s", async (path) => {
    for (const accept of ["application/json", "text/html"]) {
      const answer = await get(path, `Accept: ${accept}\r\nOrigin: https://evil.example\r\n`);
      const headers = answer?.headers ?? new Headers();
      const policy = headers.get("content-security-policy") ?? "";
      expect(policy).toContain("default-src");
      expect(policy).toContain("frame-ancestors 'none'");
      expect(policy).not.toContain("unsafe-");
      expect(headers.get("x-content-type-options")).toBe("nosniff");
      expect(headers.get("referrer-policy")).toBeTruthy();
      expect(headers.get("permissions-policy")).toContain("camera=()");
      expect(headers.get("cross-origin-opener-policy")).toBe("same-origin");
      expect(headers.get("cross-origin-resource-policy")).toBe("same-origin");
      expect(headers.get("cache-control")).toBeTruthy();
      for (const name of ["server", "x-powered-by", "via", "access-control-allow-origin"])
        expect(headers.get(name)).toBeNull();
      if (headers.get("content-type")?.startsWith("text/html")) pageKeepsTo(policy, answer?.text ?? "");
    }
  });

  /** Nothing on a page needs what its policy does not allow. */
  function pageKeepsTo(policy: string, page: string): void {
    expect(page).not.toMatch(/\sstyle="|\son\w+="|javascript:/i);
    for (const [, attributes = "", text = ""] of page.matchAll(
      /<(?:style|script)([^>]*)>([\s\S]*?)<\/(?:style|script)>/g,
    )) {
      if (/\bsrc=/.test(attributes) || /type="application\/json"/.test(attributes)) continue;
      expect(policy).toContain(`'sha256-${createHash("sha256").update(text).digest("base64")}'`);
    }
  }

  test("the page of the person's sign-in", async () => {
    const begun = await get("/session/sign-in");
    const cookie = (answer?: RawAnswer) =>
      (answer?.headers.getSetCookie() ?? []).map((line) => line.split(";")[0]).join("; ");
    const to = (answer?: RawAnswer) => (answer?.headers.get("location") ?? "").replace(it.shop.url, "");
    const asked = await get(to(begun), `Cookie: ${cookie(begun)}\r\n`);
    const page = await get(to(asked), `Cookie: ${cookie(asked)}\r\nAccept: text/html\r\n`);
    expect(page?.headers.get("content-type")).toStartWith("text/html");
    expect(page?.text).toContain("<form");
    expect(page?.headers.get("cache-control")).toContain("no-store");
    pageKeepsTo(page?.headers.get("content-security-policy") ?? "", page?.text ?? "");
  });
});

describe("after all that", () => {
  test("no process had to be started again, and everything is ready", async () => {
    const ready = await get("/ready");
    expect([ready?.status, JSON.parse(ready?.text ?? "{}").status]).toEqual([200, "ready"]);
    const restarts = Object.values(it.shop.run.services).map((one) => one.restarts + one.sidecarRestarts);
    expect(restarts.filter((times) => times > 0)).toEqual([]);
  });

  test("whoever tries to sign in again and again is stopped, whatever address they say is theirs; others go on", async () => {
    const body = "grant_type=client_credentials&client_id=development&client_secret=wrong";
    const guess = (i: number) =>
      ask(
        port,
        `POST /token HTTP/1.1\r\n${host()}X-Forwarded-For: 203.0.113.${i}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
      );
    const seen: number[] = [];
    for (let i = 0; i < 40 && !seen.includes(429); i++) seen.push((await guess(i))?.status ?? 0);
    expect(seen.at(-1)).toBe(429);
    const refused = await guess(99);
    expect(refused?.headers.get("ratelimit-policy")).toBe('"sign-in-address";q=30;w=60');
    expect(refused?.headers.get("ratelimit")).toMatch(/^"sign-in-address";r=0;t=\d+$/);
    expect(Number(refused?.headers.get("retry-after"))).toBeGreaterThan(0);
    expect((await get("/api/products/SHOWN"))?.status).toBe(200);
    expect((await it.api.call("/api/orders")).status).toBe(200);
    const metrics = (await get("/metrics"))?.text ?? "";
    expect(metrics).toMatch(/souk_gateway_limits_shared\{[^}]*\} 1/);
  });
});
