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
}

type App = { fetch(request: Request, env?: { ip?: string }): Response | Promise<Response> };

/** Serves an app with the runtime's own server: Bun's, or Node's where a library insists on it. */
export async function listen(app: App, { port, hostname, server }: ListenOptions): Promise<Listening> {
  if (server === "bun" && "Bun" in globalThis) {
    const running = Bun.serve({
      port,
      hostname,
      idleTimeout: 120,
      maxRequestBodySize: 128 * 1024 * 1024,
      fetch: (request, bun) => app.fetch(request, { ip: bun.requestIP(request)?.address }),
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
