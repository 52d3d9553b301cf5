import type { AddressInfo } from "node:net";

/** A listening server. */
export interface Listening {
  port: number;
  /** Takes no new requests and resolves when those under way are answered. */
  close(): Promise<void>;
}

export interface ListenOptions {
  port: number;
  hostname: string;
  server: "bun" | "node";
  /**
   * Seconds after which a connection is closed on which nothing is sent, or a body comes more slowly than 16 KB a
   * second. (A request's head has twelve, whatever this says.)
   */
  idle?: number;
}

interface Connection {
  ip?: string;
  hold?(seconds: number): void;
}

type App = { fetch(request: Request, env?: Connection): Response | Promise<Response> };

/** Serves an app with the runtime's own server: Bun's, or Node's where a library insists on it. */
export async function listen(
  app: App,
  { port, hostname, server, idle = 120 }: ListenOptions,
): Promise<Listening> {
  if (server === "bun" && "Bun" in globalThis) {
    const running = Bun.serve({
      port,
      hostname,
      idleTimeout: idle,
      maxRequestBodySize: 128 * 1024 * 1024,
      fetch: (request, bun) =>
        app.fetch(request, {
          ip: bun.requestIP(request)?.address,
          hold: (seconds) => bun.timeout(request, seconds),
        }),
    });
    return { port: running.port ?? port, close: () => running.stop() };
  }
  const { serve } = await import("@hono/node-server");
  return new Promise((resolve, reject) => {
    const running = serve({ fetch: (request) => app.fetch(request), port, hostname }, (info: AddressInfo) =>
      resolve({
        port: info.port,
        close: () => new Promise((closed) => running.close(() => closed())),
      }),
    );
    running.once("error", reject);
  });
}
