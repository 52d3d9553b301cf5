import http from "node:http";
import https from "node:https";
import { type Address, addressesOf, hostOf, Refused, type Rules, refusalOf } from "./addresses.ts";

export interface Post {
  url: string;
  headers: Record<string, string>;
  body: string;
  /** For everything together, in milliseconds. */
  timeout: number;
}

export interface Surroundings {
  rules: Rules;
  /** Finds a host's addresses; DNS unless a test says otherwise. */
  resolve?(host: string): Promise<Address[]>;
  /** Certificates that are trusted besides the usual ones (PEM), for tests. */
  ca?: string;
}

/** What came of it: the status of the answer, or why there was none. Nothing of the answer's body is kept. */
export type Posted = { status: number } | { error: string };

/** An answer that goes on for longer is not waited for. */
const mostRead = 64 * 1024;

/** Posts to an address of somebody else's, over a connection of its own, to a checked address, without following anything. */
export async function post(
  { url: text, headers, body, timeout }: Post,
  around: Surroundings,
): Promise<Posted> {
  const refusal = refusalOf(text, around.rules);
  if (refusal !== undefined) return { error: `The URL ${refusal}` };
  const url = new URL(text);
  const late = Promise.withResolvers<Posted>();
  const timer = setTimeout(
    () => late.resolve({ error: `There was no answer within ${timeout / 1000} s` }),
    timeout,
  );
  const given = new AbortController();
  try {
    return await Promise.race([late.promise, send(url, headers, body, around, given.signal)]);
  } finally {
    clearTimeout(timer);
    given.abort();
  }
}

async function send(
  url: URL,
  headers: Record<string, string>,
  body: string,
  { rules, resolve, ca }: Surroundings,
  signal: AbortSignal,
): Promise<Posted> {
  let addresses: Address[];
  try {
    addresses = await addressesOf(hostOf(url), rules, resolve);
  } catch (error) {
    if (error instanceof Refused) return { error: `It was not sent: ${error.message}` };
    throw error;
  }
  if (signal.aborted) return { error: "It was given up" };
  const { promise, resolve: done } = Promise.withResolvers<Posted>();
  const request = (url.protocol === "https:" ? https : http).request(
    url,
    {
      method: "POST",
      headers: { ...headers, "content-length": String(Buffer.byteLength(body)), connection: "close" },
      agent: false,
      signal,
      // The addresses that were checked, whatever the name says by now; the certificate is still checked by the name.
      lookup: (_host, options, answer) => {
        const [first] = addresses;
        if (options.all) answer(null, addresses);
        else answer(null, first?.address ?? "", first?.family);
      },
      ...(ca ? { ca } : {}),
    },
    (response) => {
      const status = response.statusCode ?? 0;
      let read = 0;
      response.on("data", (chunk: Buffer) => {
        read += chunk.length;
        if (read > mostRead) {
          done({ status });
          request.destroy();
        }
      });
      response.on("end", () => done({ status }));
      response.on("error", () => done({ status }));
      response.on("close", () => done({ status }));
    },
  );
  request.on("error", (error: NodeJS.ErrnoException) => done({ error: reasonOf(error) }));
  request.end(body);
  return promise;
}

/** In words of our own: what a system says names addresses and more. */
function reasonOf({ code = "" }: NodeJS.ErrnoException): string {
  if (/CERT|SELF_SIGNED|TLS|SSL|SIGNATURE|ISSUER/i.test(code))
    return `The certificate is not to be trusted (${code})`;
  if (/REFUSED/i.test(code)) return "The connection was refused";
  if (/UNREACH|NOTFOUND|TIMEDOUT/i.test(code)) return "The host cannot be reached";
  return "The connection broke before there was an answer";
}
