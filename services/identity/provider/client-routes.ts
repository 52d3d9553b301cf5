import { randomBytes } from "node:crypto";
import {
  allow,
  body,
  type Caller,
  cacheable,
  etag,
  idempotent,
  notFound,
  Problem,
  page,
  problems,
  query,
  readWindow,
  router,
  says,
  transact,
} from "chassis";
import { ClientList, ClientQuery, ClientView, CreatedClient, NewClient } from "../contracts.ts";
import type { Store } from "../store.ts";
import { metadataOf } from "./adapter.ts";
import { type Client, type ClientSettings, ofTheShop } from "./clients.ts";
import type { C } from "./forms.ts";
import { issuerOf } from "./issuer.ts";
import { personScopes, staffScopes } from "./scopes.ts";
import { digest } from "./secret.ts";

/** The clients of an installation: machines, and programs that sign people in. */

const manage = allow("users:manage");
const mine = "private, no-cache";

export const clientRoutes = router<Store>()
  .post(
    "/clients",
    says("Register a client", { 201: CreatedClient, ...problems(400, 403, 409, 415, 422, 503) }),
    manage,
    body(NewClient),
    idempotent<Store>(),
    async (c) => {
      const asked = c.req.valid("json");
      const secret = asked.auth === "client_secret" ? randomBytes(32).toString("base64url") : undefined;
      const client: Client = {
        id: `c_${c.var.kit.id()}`,
        name: asked.name,
        secretDigest: secret === undefined ? "" : digest(secret),
        scopes: [...new Set(asked.scopes)],
        settings: settingsOf(asked),
      };
      refuseMore(client, c.var.caller);
      await refuseUnfit(c, client);
      return transact(c, async () => ({
        change: { writes: [c.var.kit.store.saveClient(client)] },
        status: 201,
        body: { ...view(client), ...(secret === undefined ? {} : { secret }) },
        headers: { location: `/api/clients/${client.id}`, etag: etag(1) },
      }));
    },
  )
  .get(
    "/clients",
    says("List clients", { 200: ClientList, ...problems(400, 403) }),
    manage,
    query(ClientQuery),
    async (c) => {
      const { limit, after } = readWindow(c.req.valid("query"), (at): at is string => typeof at === "string");
      const some = await c.var.kit.store.clients(after, limit + 1);
      return cacheable(
        c,
        page(some, limit, ({ id }) => id, view),
        mine,
      );
    },
  )
  .get("/clients/:id", says("Read a client", { 200: ClientView, ...problems(403, 404) }), manage, async (c) =>
    cacheable(c, view(await found(c)), mine),
  )
  .delete(
    "/clients/:id",
    says("Remove a client: it gets no more tokens, and its refresh tokens are worth nothing", {
      204: null,
      ...problems(403, 404, 409),
    }),
    manage,
    (c) =>
      transact(c, async () => {
        const client = await found(c);
        if (ofTheShop.has(client.id))
          throw new Problem(409, { code: "own-client", detail: "The shop needs this client itself" });
        return { change: { writes: [c.var.kit.store.dropClient(client)] }, status: 204 };
      }),
  );

async function found(c: C): Promise<Client> {
  const client = await c.var.kit.store.client(c.req.param("id") ?? "");
  if (!client) throw notFound("A client with this id");
  return client;
}

function view({ id, name, scopes, settings }: Client) {
  const { auth = "client_secret", redirectUris = [], postLogoutRedirectUris = [] } = settings ?? {};
  return { id, name, scopes, auth, redirectUris, postLogoutRedirectUris };
}

/** A machine with a secret needs none; whoever has redirect URIs signs people in, and does nothing in its own name. */
function settingsOf({ auth, redirectUris = [], postLogoutRedirectUris = [], native, keys }: NewClient) {
  const forPeople = redirectUris.length > 0;
  if (!forPeople && auth === "client_secret") return null;
  const settings: ClientSettings = {
    auth,
    type: native ? "native" : "web",
    grants: forPeople ? ["authorization_code", "refresh_token"] : ["client_credentials"],
    redirectUris,
    postLogoutRedirectUris,
    ...(keys ? { keys } : {}),
  };
  return settings;
}

/**
 * A machine may have no more than who registers it: else whoever manages users could do everything. What a client may
 * do for people is bounded by what they may.
 */
function refuseMore({ scopes, settings }: Client, caller: Caller): void {
  const may = [...staffScopes, ...(settings?.redirectUris.length ? personScopes : [])];
  const unknown = scopes.find((scope) => !may.includes(scope));
  if (unknown !== undefined) throw unfit("/scopes", `there is no scope ${unknown} for it`);
  const more = scopes.find((scope) => !settings?.redirectUris.length && !caller.scopes.has(scope));
  if (more === undefined) return;
  throw new Problem(403, {
    code: "insufficient-scope",
    detail: `Who registers a machine with the scope ${more} needs it as well`,
    headers: {
      "www-authenticate": `Bearer realm="souk", error="insufficient_scope", scope="${staffScopes.includes(more) ? more : ""}"`,
    },
  });
}

/** What the library does not take for a client. @throws {Problem} 422 */
async function refuseUnfit(c: C, client: Client): Promise<void> {
  const { settings } = client;
  if (settings?.auth === "none" && settings.redirectUris.length === 0)
    throw unfit("/auth", "a machine has to show who it is");
  if ((settings?.auth === "private_key_jwt") !== (settings?.keys !== undefined))
    throw unfit("/keys", "belong to private_key_jwt, and it needs them");
  const secret = settings?.keys?.some((key) => ["d", "k", "p", "q"].some((part) => part in key));
  if (secret) throw unfit("/keys", "must be public: there is a private one among them");
  const { provider } = await issuerOf(c.var.kit).open();
  try {
    new (provider.Client as unknown as new (metadata: object) => object)(metadataOf(client));
  } catch (error) {
    const { error_description: detail } = error as { error_description?: string };
    if (detail === undefined) throw error;
    throw unfit(detail.includes("uri") ? "/redirectUris" : "", detail);
  }
}

const unfit = (pointer: string, detail: string): Problem =>
  new Problem(422, {
    code: "client-refused",
    detail: `The client cannot be registered: ${detail}`,
    errors: [{ pointer, detail }],
  });
