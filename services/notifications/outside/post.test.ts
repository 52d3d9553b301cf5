import { afterAll, describe, expect, test } from "bun:test";
import { createServer, type RequestListener } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Server } from "node:net";
import { certificate } from "./certificate.fixture.ts";
import { type Post, post, type Surroundings } from "./post.ts";

const servers: Server[] = [];
afterAll(() => {
  for (const server of servers) server.close();
});

async function listening(server: Server): Promise<number> {
  servers.push(server);
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
  return (server.address() as AddressInfo).port;
}
const serve = (answer: RequestListener) => listening(createServer(answer));

/** In development, with a DNS of its own: every name leads to this machine. */
const here: Surroundings = {
  rules: { loopback: true },
  resolve: async () => [{ address: "127.0.0.1", family: 4 }],
};
const send = (url: string, around: Surroundings = here, over: Partial<Post> = {}) =>
  post({ url, headers: { "webhook-id": "e-1" }, body: '{"a":"ü"}', timeout: 5_000, ...over }, around);

describe("what is sent", () => {
  test("is a POST with its body and headers; the answer's status is all that comes back", async () => {
    const got: { method?: string; path?: string; body: string; id: unknown; host: unknown }[] = [];
    const port = await serve((request, response) => {
      let body = "";
      request.on("data", (chunk) => {
        body += chunk;
      });
      request.on("end", () => {
        const { headers, method, url: path } = request;
        got.push({ method, path, body, id: headers["webhook-id"], host: headers.host });
        response.writeHead(202).end("a secret of somebody's");
      });
    });
    expect(await send(`http://receiver.example:${port}/hooks?x=1`)).toEqual({ status: 202 });
    expect(got).toEqual([
      {
        method: "POST",
        path: "/hooks?x=1",
        body: '{"a":"ü"}',
        id: "e-1",
        host: `receiver.example:${port}`,
      },
    ]);
  });

  test("goes nowhere else: a redirect is an answer", async () => {
    let reached = false;
    const inside = await serve((_, response) => {
      reached = true;
      response.end();
    });
    const port = await serve((_, response) => {
      response.writeHead(307, { location: `http://127.0.0.1:${inside}/` }).end();
    });
    expect(await send(`http://receiver.example:${port}/`)).toEqual({ status: 307 });
    expect(reached).toBe(false);
  });

  test("goes to the address that was checked, however the name is answered the next time", async () => {
    const port = await serve((_, response) => void response.end());
    let asked = 0;
    const rebinding: Surroundings = {
      ...here,
      resolve: async () => [{ address: asked++ === 0 ? "127.0.0.1" : "10.0.0.1", family: 4 }],
    };
    expect(await send(`http://receiver.example:${port}/`, rebinding)).toEqual({ status: 200 });
    expect(asked).toBe(1);
  });

  test("reaches nobody whose address is not public", async () => {
    let reached = false;
    const port = await serve((_, response) => {
      reached = true;
      response.end();
    });
    const strict: Surroundings = { ...here, rules: { loopback: false } };
    expect(await send(`https://receiver.example:${port}/`, strict)).toEqual({
      error: "It was not sent: the host leads to an address that is not public",
    });
    expect(await send(`https://127.0.0.1:${port}/`, strict)).toEqual({
      error: "The URL must lead to a public address",
    });
    expect(reached).toBe(false);
  });
});

describe("an answer", () => {
  test("that does not come is not waited for", async () => {
    const port = await serve(() => {});
    expect(await send(`http://receiver.example:${port}/`, here, { timeout: 100 })).toEqual({
      error: "There was no answer within 0.1 s",
    });
  });

  test("that does not end is cut off", async () => {
    const port = await serve((_, response) => {
      response.writeHead(200);
      const more = () => {
        while (!response.destroyed && response.write("x".repeat(16_384)));
      };
      response.on("drain", more);
      more();
    });
    expect(await send(`http://receiver.example:${port}/`)).toEqual({ status: 200 });
  });

  test("that breaks off, or is refused, is said in words of our own", async () => {
    const port = await serve((request) => void request.socket.destroy());
    expect(await send(`http://receiver.example:${port}/`)).toMatchObject({
      error: "The connection broke before there was an answer",
    });
    const gone = createServer();
    const free = await listening(gone);
    await new Promise((closed) => gone.close(closed));
    expect(await send(`http://receiver.example:${free}/`)).toEqual({ error: "The connection was refused" });
  });
});

describe("over TLS", async () => {
  const { cert, key } = certificate("receiver.example");
  const port = await listening(createTlsServer({ cert, key }, (_, response) => void response.end()));

  test("the certificate is checked by the name, not by the address", async () => {
    const around = { ...here, ca: cert };
    expect(await send(`https://receiver.example:${port}/`, around)).toEqual({ status: 200 });
    expect(await send(`https://other.example:${port}/`, around)).toMatchObject({
      error: expect.stringContaining("certificate"),
    });
    expect(await send(`https://127.0.0.1:${port}/`, around)).toMatchObject({
      error: expect.stringContaining("certificate"),
    });
  });

  test("one that nobody vouches for is not enough", async () => {
    expect(await send(`https://receiver.example:${port}/`)).toMatchObject({
      error: expect.stringContaining("certificate"),
    });
  });
});
