import { connect, type Socket } from "node:net";

/** One answer as it came over a connection. */
export interface RawAnswer {
  status: number;
  headers: Headers;
  text: string;
}

/** What came of a connection: its whole answers, in order, and whether the server has closed it. */
export interface Talk {
  answers: RawAnswer[];
  closed: boolean;
  /** Milliseconds that it was open. */
  ms: number;
}

/** A connection on which bytes are sent as they are: HTTP clients send nothing that is broken, and this is about what is. */
export interface Line {
  socket: Socket;
  /** Latin-1: a character is a byte. */
  send(bytes: string): void;
  /** Resolves when so many whole answers are here, or the server has closed the connection. */
  until(answers: number): Promise<Talk>;
  close(): void;
}

/** @param method of the first request: an answer to HEAD has no body */
export function dial(port: number, method = "GET"): Line {
  const began = performance.now();
  const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
  let received = Buffer.alloc(0);
  let closed = false;
  let look = (): void => {};
  const ended = (): void => {
    closed = true;
    socket.destroy();
    look();
  };
  socket.on("data", (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    look();
  });
  for (const event of ["end", "error", "close"]) socket.on(event, ended);
  const talk = (): Talk => ({ answers: readAll(received, method), closed, ms: performance.now() - began });
  return {
    socket,
    send: (bytes) => void socket.write(bytes, "latin1"),
    until: (answers) =>
      new Promise((resolve) => {
        look = () => {
          const now = talk();
          if (now.closed || now.answers.length >= answers) resolve(now);
        };
        look();
      }),
    close: () => socket.destroy(),
  };
}

/** Sends bytes and reads one answer, or sees the connection closed. */
export async function ask(port: number, bytes: string): Promise<RawAnswer | undefined> {
  const line = dial(port, /^HEAD /.test(bytes) ? "HEAD" : "GET");
  line.send(bytes);
  const { answers } = await line.until(1);
  line.close();
  return answers[0];
}

function readAll(bytes: Buffer, method: string): RawAnswer[] {
  const answers: RawAnswer[] = [];
  for (let rest = bytes; ; ) {
    const read = readOne(rest, answers.length === 0 ? method : "GET");
    if (read === undefined) return answers;
    rest = rest.subarray(read.length);
    if (read.answer.status >= 200) answers.push(read.answer);
  }
}

function readOne(bytes: Buffer, method: string): { answer: RawAnswer; length: number } | undefined {
  const head = bytes.indexOf("\r\n\r\n");
  if (head < 0) return undefined;
  const [first = "", ...lines] = bytes.subarray(0, head).toString("latin1").split("\r\n");
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(first)?.[1] ?? 0);
  const headers = new Headers();
  for (const line of lines) {
    const colon = line.indexOf(":");
    headers.append(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  const from = head + 4;
  const answer = (text: string, length: number) => ({ answer: { status, headers, text }, length });
  if (method === "HEAD" || status < 200 || status === 204 || status === 304) return answer("", from);
  if (headers.get("transfer-encoding") === "chunked") {
    const body = unchunked(bytes.subarray(from));
    return body && answer(body.text, from + body.length);
  }
  const size = Number(headers.get("content-length") ?? 0);
  if (bytes.length < from + size) return undefined;
  return answer(bytes.subarray(from, from + size).toString(), from + size);
}

function unchunked(bytes: Buffer): { text: string; length: number } | undefined {
  const pieces: Buffer[] = [];
  for (let at = 0; ; ) {
    const line = bytes.indexOf("\r\n", at);
    if (line < 0) return undefined;
    const size = Number.parseInt(bytes.subarray(at, line).toString("latin1"), 16);
    const end = line + 2 + size + 2;
    if (bytes.length < end) return undefined;
    if (size === 0) return { text: Buffer.concat(pieces).toString(), length: end };
    pieces.push(bytes.subarray(line + 2, line + 2 + size));
    at = end;
  }
}
