import { createServer, connect as dial, type Server, type Socket } from "node:net";
import type { Manner } from "./faults.ts";

/** A TCP connection's way through this process, which can be cut. */
export interface Wire {
  /** Where to connect instead of where it leads to. */
  port: number;
  /** Cuts it until the returned function is called; of several cuts at once each has to be mended. */
  cut(manner: Manner): () => void;
  close(): void;
}

/** Lays a wire to a port of this machine. */
export function wire(to: number): Promise<Wire> {
  const pairs = new Set<[Socket, Socket]>();
  const cuts = new Map<symbol, Manner>();
  const is = (manner: Manner) => [...cuts.values()].includes(manner);

  const server: Server = createServer((near) => {
    if (is("refuse")) {
      near.resetAndDestroy();
      return;
    }
    const far = dial({ host: "127.0.0.1", port: to });
    const pair: [Socket, Socket] = [near, far];
    pairs.add(pair);
    forward(near, far, () => is("hang"));
    forward(far, near, () => is("hang"));
    if (is("hang")) hold(pair);
    const end = () => pairs.delete(pair);
    near.once("close", end);
    far.once("close", end);
  });

  const reset = () => {
    for (const [near, far] of pairs) {
      near.resetAndDestroy();
      far.resetAndDestroy();
    }
    pairs.clear();
  };

  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      resolve({
        port: typeof address === "object" && address ? address.port : 0,
        cut(manner) {
          const id = Symbol(manner);
          cuts.set(id, manner);
          if (manner === "hang") for (const pair of pairs) hold(pair);
          else reset();
          const again = manner === "reset" ? setInterval(reset, resetEveryMs) : undefined;
          return () => {
            clearInterval(again);
            cuts.delete(id);
            if (!is("hang")) for (const pair of pairs) for (const socket of pair) socket.resume();
          };
        },
        close() {
          server.close();
          reset();
        },
      });
    });
  });
}

const resetEveryMs = 150;

function hold(pair: [Socket, Socket]): void {
  for (const socket of pair) socket.pause();
}

function forward(from: Socket, to: Socket, held: () => boolean): void {
  from.setNoDelay(true);
  from.on("data", (data) => {
    if (!to.write(data)) from.pause();
  });
  to.on("drain", () => {
    if (!held()) from.resume();
  });
  from.on("end", () => to.end());
  // The other end learns of it in the same way: a process that has died resets its connections.
  from.on("error", () => to.resetAndDestroy());
  from.on("close", () => to.end());
}
