import { randomBytes } from "node:crypto";
import type { Commit } from "chassis";
import * as v from "valibot";
import { readJson, writePrivate } from "../private-file.ts";
import type { Store } from "../store.ts";
import { type Client, developmentClientId } from "./clients.ts";
import { staffScopes } from "./scopes.ts";
import { digest, holds } from "./secret.ts";

const File = v.object({
  issuer: v.string(),
  tokenEndpoint: v.string(),
  clientId: v.string(),
  clientSecret: v.string(),
  scopes: v.array(v.string()),
});

/** What {@link developmentClient} needs of its surroundings. */
export interface DevelopmentRoom {
  store: Store;
  commit: Commit;
  /** Path of the file; only its owner may read it. */
  file: string;
  issuer: string;
}

/**
 * What is there to try with, in development: besides `souk-web`, which every installation has (clients.ts), the public
 * client `souk-cli` for programs that listen on a loopback address, and the machine `development`.
 *
 * Makes sure that there is a client with every staff scope, and a file that says how to be it. The client and its
 * secret stay the same as long as file and database agree; what else the file says follows the configuration.
 */
export async function developmentClient({ store, commit, file, issuer }: DevelopmentRoom): Promise<void> {
  const before = await readJson(file, File);
  const clientId = developmentClientId;
  const stored = await store.client(clientId);
  const agreed = before?.clientId === clientId && holds(before.clientSecret, stored?.secretDigest);
  const clientSecret = before && agreed ? before.clientSecret : randomBytes(32).toString("base64url");

  const client: Client = {
    id: clientId,
    name: "Development",
    secretDigest: digest(clientSecret),
    scopes: [...staffScopes],
  };
  await commit({ writes: [store.saveClient(client)] });
  await writePrivate(file, {
    issuer,
    tokenEndpoint: `${issuer}/token`,
    clientId,
    clientSecret,
    scopes: client.scopes,
  });
}
