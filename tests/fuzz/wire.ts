import { connect } from "node:net";

/** What came back over one connection: an answer, or the connection's end without one. */
export interface Received {
  status: number;
  headers: Headers;
  body: Uint8Array;
}

/**
 * Sends bytes as they are and reads one answer: HTTP clients send nothing that is broken, and this is about what is.
 * @param half closes our end after sending, so that who waits for more sees that there is none
 * @returns status 0 when the other end closes without an answer
 */
export function exchange(
  { host, port, method }: { host: string; port: number; method: string },
  bytes: Uint8Array,
  patience: number,
  half = false,
): Promise<Received> {
  return new Promise((resolve) => {
    let received = Buffer.alloc(0);
    const socket = connect({ host, port, allowHalfOpen: true });
    const finish = (answer: Received): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const nothing = { status: 0, headers: new Headers(), body: new Uint8Array() };
    const timer = setTimeout(() => finish({ ...nothing, status: -1 }), patience);
    socket.on("connect", () => {
      socket.write(bytes);
      if (half) socket.end();
    });
    socket.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      const answer = read(received, method, false);
      if (answer) finish(answer);
    });
    socket.on("error", () => finish(read(received, method, true) ?? nothing));
    socket.on("end", () => finish(read(received, method, true) ?? nothing));
    socket.on("close", () => finish(read(received, method, true) ?? nothing));
  });
}

/** The answer in these bytes, once it is whole. */
function read(bytes: Buffer, method: string, ended: boolean): Received | undefined {
  const end = bytes.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const [first = "", ...lines] = bytes.subarray(0, end).toString("latin1").split("\r\n");
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(first)?.[1] ?? 0);
  const rest = bytes.subarray(end + 4);
  if (status >= 100 && status < 200) return read(rest, method, ended);
  const headers = new Headers();
  for (const line of lines) {
    const colon = line.indexOf(":");
    headers.append(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  const answer = (body: Uint8Array): Received => ({ status, headers, body });
  if (method === "HEAD" || status === 204 || status === 304) return answer(new Uint8Array());
  // It goes on for as long as somebody listens.
  if (headers.get("content-type")?.startsWith("text/event-stream")) return answer(new Uint8Array());
  const length = headers.get("content-length");
  if (length !== null) {
    return rest.length >= Number(length) || ended ? answer(rest.subarray(0, Number(length))) : undefined;
  }
  if (headers.get("transfer-encoding") === "chunked") {
    const body = unchunked(rest);
    return body ? answer(body) : ended ? answer(rest) : undefined;
  }
  return ended ? answer(rest) : undefined;
}

function unchunked(bytes: Buffer): Uint8Array | undefined {
  const pieces: Buffer[] = [];
  for (let at = 0; ; ) {
    const line = bytes.indexOf("\r\n", at);
    if (line < 0) return undefined;
    const size = Number.parseInt(bytes.subarray(at, line).toString("latin1"), 16);
    if (size === 0) return Buffer.concat(pieces);
    if (bytes.length < line + 2 + size + 2) return undefined;
    pieces.push(bytes.subarray(line + 2, line + 2 + size));
    at = line + 2 + size + 2;
  }
}
