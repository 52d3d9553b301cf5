import { afterEach, beforeEach, expect, test } from "bun:test";
import { connect, createServer, type Server, type Socket } from "node:net";
import { type Wire, wire } from "./wire.ts";

// An echo at the far end of a wire.
let echo: Server;
let laid: Wire;
const sockets = new Set<Socket>();

beforeEach(async () => {
  echo = createServer((socket) => {
    socket.on("error", () => {});
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => echo.listen(0, "127.0.0.1", resolve));
  const address = echo.address();
  laid = await wire(typeof address === "object" && address ? address.port : 0);
});
afterEach(() => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  laid.close();
  echo.close();
});

interface Line {
  send(text: string): void;
  /** Everything that came back so far. */
  heard(): string;
  /** Resolves when so much has come back. */
  hears(text: string): Promise<void>;
  ended: Promise<string>;
}

function call(): Line {
  const socket = connect({ host: "127.0.0.1", port: laid.port });
  sockets.add(socket);
  let text = "";
  socket.on("data", (data) => {
    text += data.toString();
    socket.emit("more");
  });
  const ended = new Promise<string>((resolve) => {
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? "error"));
    socket.once("close", () => resolve("closed"));
  });
  return {
    send: (more) => void socket.write(more),
    heard: () => text,
    hears: (wanted) =>
      new Promise((resolve) => {
        const look = () => {
          if (text === wanted) resolve();
          else socket.once("more", look);
        };
        look();
      }),
    ended,
  };
}

test("carries what is sent, both ways", async () => {
  const line = call();
  line.send("one");
  await line.hears("one");
  line.send(" two");
  await line.hears("one two");
});

test("refused: who is connected is thrown out, and nobody comes in until it is mended", async () => {
  const before = call();
  before.send("hello");
  await before.hears("hello");
  const mend = laid.cut("refuse");
  expect(await before.ended).toBe("ECONNRESET");
  expect(["ECONNRESET", "closed"]).toContain(await call().ended);
  mend();
  const after = call();
  after.send("again");
  await after.hears("again");
});

test("hanging: nothing passes and nothing is lost, also for who comes in meanwhile", async () => {
  const before = call();
  before.send("a");
  await before.hears("a");
  const mendFirst = laid.cut("hang");
  const mendSecond = laid.cut("hang");
  const during = call();
  before.send("b");
  during.send("c");
  mendFirst();
  // Long enough for an echo, which takes less than a millisecond.
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect([before.heard(), during.heard()]).toEqual(["a", ""]);
  mendSecond();
  await Promise.all([before.hears("ab"), during.hears("c")]);
});

test("reset: connections break again and again, and new ones are let in", async () => {
  const mend = laid.cut("reset");
  for (let time = 0; time < 3; time++) {
    const line = call();
    line.send("x");
    expect(["ECONNRESET", "closed"]).toContain(await line.ended);
  }
  mend();
  const line = call();
  line.send("stays");
  await line.hears("stays");
});
