/** Free TCP ports on loopback. */
import { createServer, type Server } from "node:net";

/** A port that is kept free until its user starts. */
export interface Reservation {
  port: number;
  /** Gives the port up; resolves when it can be bound. */
  release(): Promise<void>;
}

// Below the range that systems take ports for outgoing connections from (32768 on Linux, 49152 elsewhere):
// a process that is started again finds its port free.
const FIRST = 20_000;
const LAST = 32_000;

const BLOCK = 64;

/**
 * Blocks of ports that belong to this process as long as it lives: it holds the first port of each. A port is free for
 * moments while its user starts, or starts again, and no other runner may take it then.
 */
const blocks: { guard: Server; first: number; used: number }[] = [];
let claiming: Promise<void> | undefined;

/** Finds a free port and holds it. */
export async function reserve(): Promise<Reservation> {
  for (let tries = 0; tries < LAST - FIRST; tries++) {
    const block = blocks.find(({ used }) => used < BLOCK);
    if (!block) {
      claiming ??= claim().finally(() => {
        claiming = undefined;
      });
      await claiming;
      continue;
    }
    const port = block.first + block.used++;
    const server = await bind(port, "127.0.0.1");
    if (server) return { port, release: () => new Promise((done) => server.close(() => done())) };
  }
  throw new Error(`No free TCP port between ${FIRST} and ${LAST}.`);
}

async function claim(): Promise<void> {
  const count = Math.floor((LAST - FIRST) / BLOCK);
  const start = Math.floor(Math.random() * count);
  for (let i = 0; i < count; i++) {
    const first = FIRST + ((start + i) % count) * BLOCK;
    if (blocks.some((block) => block.first === first)) continue;
    const guard = await bind(first, "127.0.0.1");
    if (guard) {
      blocks.push({ guard, first, used: 1 });
      return;
    }
  }
  // All are taken: what was given up in our own is found by trying.
  for (const block of blocks) block.used = 1;
}

/** Whether `port` can be bound on `host` now. */
export async function isFree(port: number, host = "127.0.0.1"): Promise<boolean> {
  const server = await bind(port, host);
  if (!server) return false;
  await new Promise<void>((done) => server.close(() => done()));
  return true;
}

function bind(port: number, host: string): Promise<Server | null> {
  return new Promise((resolve, reject) => {
    // Whoever comes too early is sent away: a connection that stays open would keep the port from being given up.
    const server = createServer((socket) => socket.destroy());
    server.unref();
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE" || error.code === "EACCES") resolve(null);
      else reject(error);
    });
    server.listen({ port, host, exclusive: true }, () => resolve(server));
  });
}
