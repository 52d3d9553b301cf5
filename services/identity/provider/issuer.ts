import type { Commit, Kit } from "chassis";
import { Problem } from "chassis";
import type { JWK } from "jose";
import type { Provider } from "oidc-provider";
import type { Client, Store } from "../store.ts";
import { bridge } from "./bridge.ts";
import { developmentClient, developmentClientId } from "./development.ts";
import { publicPart, signingKeys } from "./keys.ts";
import { createProvider } from "./provider.ts";
import { staffScopes } from "./scopes.ts";

/** The provider as the routes use it. Its signing keys are there from the first use on, not from the start. */
export interface Issuer {
  /** @throws {Problem} 503 while the signing keys cannot be read, as all here */
  discovery(): Promise<Record<string, unknown>>;
  jwks(): Promise<{ keys: JWK[] }>;
  answer(request: Request): Promise<Response>;
}

const issuers = new WeakMap<Kit<Store>, Issuer>();

/** Makes the issuer of a starting service and, in development, its client. */
export async function prepare(kit: Kit<Store>, commit: Commit): Promise<void> {
  issuers.set(kit, createIssuer(kit, commit));
  const { config, store, log } = kit;
  if (!config.development) return;
  const file = config.env.DEV_CLIENT_FILE;
  if (!file)
    return log.warn("there is no development client: DEV_CLIENT_FILE does not say where to write it");
  await developmentClient({ store, commit, file, issuer: config.publicUrl });
}

/** A check: the signing keys are there. */
export async function ready(kit: Kit<Store>): Promise<void> {
  await issuerOf(kit).jwks();
}

export function issuerOf(kit: Kit<Store>): Issuer {
  const issuer = issuers.get(kit);
  if (!issuer) throw new Error("the service is not prepared");
  return issuer;
}

// The library describes all that it could do; these are the things that are switched on.
const offered = [
  "issuer",
  "token_endpoint",
  "jwks_uri",
  "grant_types_supported",
  "response_types_supported",
  "subject_types_supported",
  "id_token_signing_alg_values_supported",
  "token_endpoint_auth_methods_supported",
];

function createIssuer(kit: Kit<Store>, commit: Commit): Issuer {
  const { config, store, sidecar, log } = kit;
  const issuer = config.publicUrl;
  // A database that comes from development brings its client along; elsewhere it opens nothing.
  const client = async (id: string): Promise<Client | undefined> =>
    id === developmentClientId && !config.development ? undefined : store.client(id);
  // Both after the sidecar is up, which is later than the start: it waits for us.
  const started = once(async () => {
    const keys = await signingKeys({ ...kit, commit, secret: () => sidecar.secrets("secrets").get("key") });
    const audience = config.env.TOKEN_AUDIENCE || "souk";
    const provider = await createProvider({ issuer, audience, keys, client, log });
    return { keys: keys.map(publicPart), provider, listener: provider.callback() };
  });
  const running = async (): Promise<{
    keys: JWK[];
    provider: Provider;
    listener: ReturnType<Provider["callback"]>;
  }> => {
    try {
      return await started();
    } catch (error) {
      log.error({ err: error instanceof Error ? error.message : String(error) }, "there is no signing key");
      throw new Problem(503, {
        code: "keys-unavailable",
        detail: "The signing keys cannot be read right now",
        headers: { "retry-after": "2" },
      });
    }
  };

  async function answer(request: Request): Promise<Response> {
    const { listener } = await running();
    const { pathname, search } = new URL(request.url);
    // JSON only, whatever a browser would like; and no Origin: other sites have no business here.
    const headers = new Headers(request.headers);
    headers.set("accept", "application/json");
    headers.delete("origin");
    const asked = new Request(request, { headers });
    return bridge(listener, new URL(pathname + search, issuer), asked);
  }

  return {
    answer,
    async jwks() {
      return { keys: (await running()).keys };
    },
    async discovery() {
      const answered = await answer(new Request(`${issuer}/.well-known/openid-configuration`));
      const all = (await answered.json()) as Record<string, unknown>;
      // `openid` is always in the library's list, but there is nobody to sign in yet.
      return {
        ...Object.fromEntries(offered.map((name) => [name, all[name]])),
        scopes_supported: staffScopes,
      };
    },
  };
}

/** Runs `make` until it has worked once. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make().catch((error: unknown) => {
      made = undefined;
      throw error;
    });
    return made;
  };
}
