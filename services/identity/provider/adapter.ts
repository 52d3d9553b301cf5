import { createHash } from "node:crypto";
import type { Commit } from "chassis";
import { Conflict } from "drizzle-outbox";
import type { Adapter, AdapterPayload } from "oidc-provider";
import type { Store } from "../store.ts";
import type { Client } from "./clients.ts";
import type { Kept } from "./provider-store.ts";
import type { Sealing } from "./sealing.ts";

/** What {@link adapters} needs of its surroundings. */
export interface AdapterRoom {
  store: Store;
  commit: Commit;
  now(): number;
  sealing: Sealing;
  client(id: string): Promise<Client | undefined>;
  /** Makes the error by which a code or refresh token is refused that another request has just used. */
  usedAlready(kind: string): Error;
}

/** JWTs: they hold by their signature, and nothing is kept of them. */
const notKept = new Set(["AccessToken", "ClientCredentials"]);

/**
 * Where the library keeps what it has to remember: our own database, so that it outlives a restart and all replicas
 * see the same. Ids, which open something, are kept as digests; the rest is encrypted, bound to its row.
 */
export const adapters =
  (room: AdapterRoom) =>
  (kind: string): Adapter =>
    kind === "Client" ? clientsOnly(room) : notKept.has(kind) ? nothing : state(kind, room);

function state(kind: string, { store, commit, now, sealing, usedAlready }: AdapterRoom): Adapter {
  const about = (id: string): string => `${kind} ${id}`;

  /** The library looks for the id in what it gets; we do not have it unless we are told. */
  function payloadOf(row: Kept | undefined, id?: string): AdapterPayload | undefined {
    if (!row || row.expiresAt <= now()) return undefined;
    const payload = sealing.open(about(row.id), row.sealed) as AdapterPayload | undefined;
    if (!payload) return undefined;
    return {
      ...payload,
      ...(id === undefined ? {} : { jti: id }),
      ...(row.consumedAt === null ? {} : { consumed: Math.floor(row.consumedAt / 1_000) }),
    };
  }

  const revoke = (grantKey: string): Promise<void> =>
    commit({
      writes: [
        store.drop("Grant", grantKey),
        store.dropGrant("RefreshToken", grantKey),
        store.dropGrant("AuthorizationCode", grantKey),
      ],
    });

  return {
    async upsert(id, { jti, consumed: _, ...payload }, expiresIn = longest) {
      const key = digestOf(id);
      // A session is found by a second id as well, and then has to know its first.
      const content = payload.uid ? { ...payload, jti } : payload;
      const row: Kept = {
        kind,
        id: key,
        grantKey: payload.grantId ? digestOf(payload.grantId) : null,
        uidKey: payload.uid ? digestOf(payload.uid) : null,
        account: payload.accountId ?? payload.session?.accountId ?? null,
        sealed: sealing.seal(about(key), content),
        consumedAt: null,
        expiresAt: now() + expiresIn * 1_000,
      };
      // An assertion that two show at the same moment is taken from one of them.
      if (kind !== "ReplayDetection") return commit({ writes: [store.keep(row)] });
      await commit({ writes: [store.keepNew(row)] }).catch((error: unknown) => {
        throw error instanceof Conflict ? usedAlready(kind) : error;
      });
    },
    async find(id) {
      return payloadOf(await store.kept(kind, digestOf(id)), id);
    },
    async findByUid(uid) {
      return payloadOf(await store.keptByUid(kind, digestOf(uid)));
    },
    async findByUserCode() {
      return undefined;
    },
    async consume(id) {
      const key = digestOf(id);
      try {
        await commit({ writes: [store.consume(kind, key, now())] });
      } catch (error) {
        if (!(error instanceof Conflict)) throw error;
        // Two requests with one code or token at the same moment: one of them has stolen it.
        const row = await store.kept(kind, key);
        if (row?.grantKey) await revoke(row.grantKey);
        throw usedAlready(kind);
      }
    },
    async destroy(id) {
      await commit({ writes: [store.drop(kind, digestOf(id))] });
    },
    async revokeByGrantId(grantId) {
      await commit({ writes: [store.dropGrant(kind, digestOf(grantId))] });
    },
  };
}

/** Of what has no end of its own (s); there is no such thing now. */
const longest = 24 * 60 * 60;

const digestOf = (id: string): string => createHash("sha256").update(id).digest("base64url");

const none = async (): Promise<undefined> => undefined;
const nothing: Adapter = {
  upsert: none,
  find: none,
  findByUid: none,
  findByUserCode: none,
  consume: none,
  destroy: none,
  revokeByGrantId: none,
};

const clientsOnly = ({ client }: AdapterRoom): Adapter => ({
  ...nothing,
  async find(id) {
    const found = await client(id);
    return found && metadataOf(found);
  },
});

/** A client as the library describes one (RFC 7591). */
export function metadataOf({ id, name, secretDigest, scopes, settings }: Client): AdapterPayload {
  const described = { client_id: id, client_name: name, scope: scopes.join(" ") };
  if (!settings || settings.auth === "client_secret") {
    Object.assign(described, {
      client_secret: secretDigest,
      token_endpoint_auth_method: "client_secret_basic",
    });
  }
  if (!settings) {
    return { ...described, grant_types: ["client_credentials"], response_types: [], redirect_uris: [] };
  }
  const { auth, type, grants, redirectUris, postLogoutRedirectUris, keys } = settings;
  const forPeople = grants.includes("authorization_code");
  return {
    ...described,
    ...(auth === "client_secret" ? {} : { token_endpoint_auth_method: auth }),
    ...(keys ? { jwks: { keys } } : {}),
    application_type: type,
    grant_types: grants,
    response_types: forPeople ? ["code"] : [],
    response_modes: ["query"],
    redirect_uris: redirectUris,
    post_logout_redirect_uris: postLogoutRedirectUris,
  };
}
