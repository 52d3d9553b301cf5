import { randomBytes } from "node:crypto";
import { chmod, mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { Commit } from "chassis";
import * as v from "valibot";
import type { Client, Store } from "../store.ts";
import { staffScopes } from "./scopes.ts";
import { digest, holds } from "./secret.ts";

export const developmentClientId = "development";

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
 * Makes sure that there is a client with every staff scope, and a file that says how to be it. The client and its
 * secret stay the same as long as file and database agree; what else the file says follows the configuration.
 */
export async function developmentClient({ store, commit, file, issuer }: DevelopmentRoom): Promise<void> {
  const before = await read(file);
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
  await write(file, {
    issuer,
    tokenEndpoint: `${issuer}/token`,
    clientId,
    clientSecret,
    scopes: client.scopes,
  });
}

async function read(file: string): Promise<v.InferOutput<typeof File> | undefined> {
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "";
    throw error;
  });
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), File), text);
  return parsed.success ? parsed.output : undefined;
}

/** In one step, so that nobody reads half of it; never readable by others, not even for a moment. */
async function write(file: string, content: v.InferOutput<typeof File>): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const fresh = `${file}.${randomBytes(6).toString("hex")}.new`;
  await writeFile(fresh, `${JSON.stringify(content, null, 2)}\n`, { mode: 0o600 });
  await chmod(fresh, 0o600);
  await rename(fresh, file);
}
