import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** What a program on one's own machine opens to get its answer (RFC 8252 section 7.3). */
export interface Listener {
  /** The redirect URI. */
  url: string;
  /** The address that the browser was sent to. */
  arrived: Promise<URL>;
  close(): Promise<void>;
}

export async function listener(): Promise<Listener> {
  let here: (url: URL) => void = () => {};
  const arrived = new Promise<URL>((resolve) => {
    here = resolve;
  });
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? "/", `http://${request.headers.host}`);
    response.end("You can close this page.");
    if (url.pathname === "/callback") here(url);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/callback`,
    arrived,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
