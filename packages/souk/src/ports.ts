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

/** Finds a free port and holds it. */
export async function reserve(): Promise<Reservation> {
  const start = Math.floor(Math.random() * (LAST - FIRST));
  for (let i = 0; i < LAST - FIRST; i++) {
    const port = FIRST + ((start + i) % (LAST - FIRST));
    const server = await bind(port, "127.0.0.1");
    if (server) return { port, release: () => new Promise((done) => server.close(() => done())) };
  }
  throw new Error(`No free TCP port between ${FIRST} and ${LAST}.`);
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
    const server = createServer();
    server.unref();
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE" || error.code === "EACCES") resolve(null);
      else reject(error);
    });
    server.listen({ port, host, exclusive: true }, () => resolve(server));
  });
}
