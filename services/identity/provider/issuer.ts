import type { Commit, Kit } from "chassis";
import { Problem } from "chassis";
import type { JWK } from "jose";
import type { Provider } from "oidc-provider";
import { scopesOf, userOf } from "../accounts.ts";
import type { Store } from "../store.ts";
import { bridge } from "./bridge.ts";
import { type Client, cliClient, ofDevelopment, webClient } from "./clients.ts";
import { developmentClient } from "./development.ts";
import { algorithmOf, createKeys, type Keys } from "./keys.ts";
import { createProvider, leadsTo } from "./provider.ts";
import { publicPart, type Ring } from "./ring.ts";
import { nextRotation } from "./rotation.ts";
import { personScopes, staffScopes } from "./scopes.ts";
import { createSealing, type Sealing } from "./sealing.ts";
import { pagePolicy } from "./style.ts";

/** The provider as the routes use it. Its signing keys are there from the first use on, not from the start. */
export interface Issuer {
  keys: Keys;
  /** The keys as they are now. @throws {Problem} 503 while they cannot be read, as all here */
  ring(): Promise<Ring>;
  discovery(): Promise<Record<string, unknown>>;
  jwks(): Promise<{ keys: JWK[] }>;
  /** What the library says to a program: JSON. */
  answer(request: Request): Promise<Response>;
  /** What the library says to a browser: pages and redirects. */
  show(request: Request): Promise<Response>;
  /** The library itself, for interactions, and what forms are made safe with. */
  open(): Promise<{ provider: Provider; sealing: Sealing }>;
}

const issuers = new WeakMap<Kit<Store>, Issuer>();

/** Makes the issuer of a starting service and its clients. */
export async function prepare(kit: Kit<Store>, commit: Commit): Promise<void> {
  issuers.set(kit, createIssuer(kit, commit));
  const { config, store, log } = kit;
  const rotation = await nextRotation(store, config, kit.now());
  await commit({
    writes: [
      store.saveClient(webClient(config.publicUrl)),
      ...(config.development ? [store.saveClient(cliClient)] : []),
    ],
    jobs: rotation ? [rotation] : [{ kind: "rotate-keys", key: "", cancel: true }],
  });
  if (!config.development) return;
  const file = config.env.DEV_CLIENT_FILE;
  if (!file)
    return log.warn("there is no development client: DEV_CLIENT_FILE does not say where to write it");
  await developmentClient({ store, commit, file, issuer: config.publicUrl });
}

/** A check: the signing keys are there. */
export async function ready(kit: Kit<Store>): Promise<void> {
  await issuerOf(kit).ring();
}

export function issuerOf(kit: Kit<Store>): Issuer {
  const issuer = issuers.get(kit);
  if (!issuer) throw new Error("the service is not prepared");
  return issuer;
}

// The library describes all that it could do; these are the things that are switched on.
const offered = [
  "issuer",
  "authorization_endpoint",
  "token_endpoint",
  "revocation_endpoint",
  "introspection_endpoint",
  "end_session_endpoint",
  "jwks_uri",
  "grant_types_supported",
  "response_types_supported",
  "subject_types_supported",
  "claims_supported",
  "code_challenge_methods_supported",
  "authorization_response_iss_parameter_supported",
  "id_token_signing_alg_values_supported",
  "token_endpoint_auth_methods_supported",
  "token_endpoint_auth_signing_alg_values_supported",
];

interface Running {
  sealing: Sealing;
  provider: Provider;
  listener: ReturnType<Provider["callback"]>;
}

function createIssuer(kit: Kit<Store>, commit: Commit): Issuer {
  const { config, store, sidecar, log, now } = kit;
  const issuer = config.publicUrl;
  const secret = () => sidecar.secrets("secrets").get("key");
  const keys = createKeys({ ...kit, commit, secret });
  // A database that comes from development brings its clients along; elsewhere they open nothing.
  const client = async (id: string): Promise<Client | undefined> =>
    ofDevelopment.has(id) && !config.development ? undefined : store.client(id);

  async function make({ signing, published, withdrawn }: Ring): Promise<Running> {
    const sealing = createSealing(await secret());
    const others = [...published, ...withdrawn].filter((key) => key !== signing);
    const provider = await createProvider({
      issuer,
      audience: config.env.TOKEN_AUDIENCE || "souk",
      algorithm: algorithmOf(config),
      keys: [signing, ...others].map(({ jwk }) => jwk),
      sealing,
      store,
      commit,
      now,
      log,
      client,
      account: (id) => userOf(kit, id),
      scopesOf: ({ role }) => scopesOf(role),
    });
    return { sealing, provider, listener: provider.callback() };
  }

  // One for each set of keys: when the next key begins to sign, the next request has a new one.
  let made: { of: string; running: Promise<Running> } | undefined;
  async function running(): Promise<Running> {
    const current = await ring();
    const of = [current.signing, ...current.published, ...current.withdrawn].map(({ jwk }) => jwk.kid).join();
    if (made?.of !== of) made = { of, running: make(current) };
    const mine = made;
    return mine.running.catch((error: unknown) => {
      if (made === mine) made = undefined;
      throw unavailable(error);
    });
  }

  const ring = (): Promise<Ring> =>
    keys.ring().catch((error: unknown) => {
      throw unavailable(error);
    });

  function unavailable(error: unknown): Problem {
    if (error instanceof Problem) return error;
    log.error({ err: error instanceof Error ? error.message : String(error) }, "there is no signing key");
    return new Problem(503, {
      code: "keys-unavailable",
      detail: "The signing keys cannot be read right now",
      headers: { "retry-after": "2" },
    });
  }

  async function ask(request: Request, change: (headers: Headers) => void): Promise<Response> {
    const { listener } = await running();
    const { pathname, search } = new URL(request.url);
    const headers = new Headers(request.headers);
    // Other sites have no business here: nothing is answered to them.
    headers.delete("origin");
    change(headers);
    return bridge(listener, new URL(pathname + search, issuer), new Request(request, { headers }));
  }

  // JSON only, whatever a browser would like; what is our failure and no refusal, in the form of all our failures.
  async function answer(request: Request): Promise<Response> {
    const answered = await ask(request, (headers) => headers.set("accept", "application/json"));
    if (answered.status < 500) return answered;
    const detail = "Tokens cannot be given right now";
    throw new Problem(503, { code: "unavailable", detail, headers: { "retry-after": "2" } });
  }

  return {
    keys,
    ring,
    answer,
    async show(request) {
      const shown = await ask(request, (headers) => headers.set("accept", "text/html"));
      const leads = shown.headers.get(leadsTo) ?? undefined;
      shown.headers.delete(leadsTo);
      shown.headers.set("content-security-policy", pagePolicy(leads));
      if (!shown.headers.has("cache-control")) shown.headers.set("cache-control", "no-store");
      return shown;
    },
    open: running,
    async jwks() {
      return { keys: (await ring()).published.map(({ jwk }) => publicPart(jwk)) };
    },
    async discovery() {
      const answered = await answer(new Request(`${issuer}/.well-known/openid-configuration`));
      const all = (await answered.json()) as Record<string, unknown>;
      return {
        ...Object.fromEntries(offered.map((name) => [name, all[name]])),
        userinfo_endpoint: `${issuer}/me`,
        response_modes_supported: ["query"],
        scopes_supported: [...personScopes, ...staffScopes],
      };
    },
  };
}
