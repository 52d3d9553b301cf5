import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { Readable, Writable } from "node:stream";

/**
 * Lets a handler that was written for Node's HTTP server answer a fetch request, in memory. It has of Node's
 * request and response what Koa uses of them.
 * @param url the address that the handler is to see: its host and scheme go into the addresses that it makes
 */
export async function bridge(handler: RequestListener, url: URL, request: Request): Promise<Response> {
  const outgoing = new Outgoing();
  const incoming = new Incoming(url, request, Buffer.from(await request.arrayBuffer()));
  const finished = new Promise<void>((resolve, reject) => {
    outgoing.once("finish", resolve);
    outgoing.once("error", reject);
  });
  handler(incoming as unknown as IncomingMessage, outgoing as unknown as ServerResponse);
  await finished;
  return outgoing.response();
}

/** A request and response as Node has them, for what only looks at the headers: cookies, that is. */
export function exchange(
  url: URL,
  headers: Headers,
): { incoming: IncomingMessage; outgoing: ServerResponse } {
  const incoming = new Incoming(url, { method: "GET", headers }, Buffer.alloc(0));
  return {
    incoming: incoming as unknown as IncomingMessage,
    outgoing: new Outgoing() as unknown as ServerResponse,
  };
}

class Incoming extends Readable {
  readonly httpVersion = "1.1";
  readonly method: string;
  readonly url: string;
  readonly originalUrl: string;
  readonly headers: Record<string, string>;
  readonly socket: { encrypted: boolean };
  #body: Buffer | undefined;

  constructor(url: URL, request: Pick<Request, "method" | "headers">, body: Buffer) {
    super();
    this.method = request.method;
    this.url = url.pathname + url.search;
    this.originalUrl = this.url;
    this.headers = {
      ...Object.fromEntries(request.headers),
      host: url.host,
      "content-length": String(body.length),
    };
    delete this.headers["transfer-encoding"];
    this.socket = { encrypted: url.protocol === "https:" };
    this.#body = body;
  }

  override _read(): void {
    if (this.#body?.length) this.push(this.#body);
    this.#body = undefined;
    this.push(null);
  }
}

class Outgoing extends Writable {
  statusCode = 404;
  statusMessage = "";
  headersSent = false;
  finished = false;
  readonly #headers = new Map<string, string | string[]>();
  readonly #chunks: Buffer[] = [];

  setHeader(name: string, value: string | number | string[]): this {
    this.#headers.set(name.toLowerCase(), Array.isArray(value) ? value : String(value));
    return this;
  }
  getHeader(name: string): string | string[] | undefined {
    return this.#headers.get(name.toLowerCase());
  }
  getHeaders(): Record<string, string | string[]> {
    return Object.fromEntries(this.#headers);
  }
  getHeaderNames(): string[] {
    return [...this.#headers.keys()];
  }
  hasHeader(name: string): boolean {
    return this.#headers.has(name.toLowerCase());
  }
  removeHeader(name: string): void {
    this.#headers.delete(name.toLowerCase());
  }
  flushHeaders(): void {
    this.headersSent = true;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.headersSent = true;
    this.#chunks.push(chunk);
    done();
  }
  override _final(done: () => void): void {
    this.headersSent = true;
    this.finished = true;
    done();
  }

  response(): Response {
    const headers = new Headers();
    for (const [name, value] of this.#headers) {
      for (const one of [value].flat()) headers.append(name, one);
    }
    const empty = this.#chunks.length === 0;
    return new Response(empty ? null : Buffer.concat(this.#chunks), { status: this.statusCode, headers });
  }
}
