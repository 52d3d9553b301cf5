import { Hono } from "hono";
import { problem } from "./answers.ts";
import type { Rules } from "./rules.ts";
import type { StateStore, StateWrite } from "./stores.ts";

export type SecretStores = Record<string, Record<string, string | Record<string, string>>>;

/** What an app keeps its state with. */
export function stateApi(appId: string, stateStores: Map<string, StateStore>): Hono {
  const api = new Hono();

  api.use("/v1.0/state/:store/*", async (c, next) => {
    const store = c.req.param("store");
    if (stateStores.has(store)) return next();
    return problem(400, "ERR_STATE_STORE_NOT_FOUND", `state store ${store} is not found`);
  });

  api.on(["POST", "PUT"], "/v1.0/state/:store", async (c) => {
    const store = stateStores.get(c.req.param("store"));
    if (!store) return problem(400, "ERR_STATE_STORE_NOT_FOUND", "state store is not found");
    for (const write of await c.req.json<StateWrite[]>()) {
      if (write.key.includes("||")) return illegalKey(write.key);
      const result = store.set(`${appId}||${write.key}`, write);
      if (result === "ok") continue;
      const status = { mismatch: 409, invalid: 400, failed: 500 }[result];
      const reason = {
        mismatch: "possible etag mismatch",
        invalid: "invalid etag value",
        failed: "failed to set",
      };
      return problem(status, "ERR_STATE_SAVE", `failed saving state: ${reason[result]}`);
    }
    return c.body(null, 204);
  });

  api.on(["POST", "PUT"], "/v1.0/state/:store/bulk", async (c) => {
    const { keys } = await c.req.json<{ keys: string[] }>();
    const items = keys.map((key) => {
      const item = stateStores.get(c.req.param("store"))?.get(`${appId}||${key}`);
      return item ? { key, data: JSON.parse(item.json), etag: String(item.version) } : { key };
    });
    return c.json(items);
  });

  api.get("/v1.0/state/:store/:key", (c) => {
    const { store, key } = c.req.param();
    if (key.includes("||")) return illegalKey(key);
    const item = stateStores.get(store)?.get(`${appId}||${key}`);
    if (!item) return c.body(null, 204);
    return c.body(item.json, 200, { "content-type": "application/json", etag: String(item.version) });
  });

  api.delete("/v1.0/state/:store/:key", (c) => {
    const { store, key } = c.req.param();
    const result = stateStores.get(store)?.delete(`${appId}||${key}`, c.req.header("if-match"));
    if (result === "ok") return c.body(null, 204);
    return problem(409, "ERR_STATE_DELETE", `failed deleting state with key ${key}: possible etag mismatch`);
  });

  return api;
}

const illegalKey = (key: string): Response =>
  problem(400, "ERR_MALFORMED_REQUEST", `input key/keyPrefix '${key}' can't contain '||'`);

/** What an app reads secrets with. */
export function secretsApi(appId: string, secretStores: SecretStores, rules: Rules): Hono {
  const api = new Hono();

  api.get("/v1.0/secrets/:store/:name", (c) => {
    const { store, name } = c.req.param();
    const secrets = secretStores[store];
    if (!secrets) {
      return problem(401, "ERR_SECRET_STORE_NOT_FOUND", `failed finding secret store with key ${store}`);
    }
    if (!rules.mayRead(appId, name)) {
      return problem(
        403,
        "ERR_PERMISSION_DENIED",
        `access denied by policy to get "${name}" from "${store}"`,
      );
    }
    const secret = secrets[name];
    if (secret === undefined) {
      return problem(
        500,
        "ERR_SECRET_GET",
        `failed getting secret with key ${name} from secret store ${store}`,
      );
    }
    return c.json(typeof secret === "string" ? { [name]: secret } : secret);
  });

  return api;
}

/** Who wants to be told when something changes. */
export interface Watch {
  appId: string;
  store: string;
  /** Empty: all. */
  keys: string[];
}

/** What an app reads its configuration with. */
export function configurationApi(
  appId: string,
  settings: Record<string, Record<string, string>>,
  watches: Map<string, Watch>,
): Hono {
  const api = new Hono();

  api.get("/v1.0/configuration/:store/:id/unsubscribe", (c) => {
    watches.delete(c.req.param("id"));
    return c.json({ ok: true });
  });

  api.get("/v1.0/configuration/:store/:subscribe?", (c) => {
    const { store, subscribe } = c.req.param();
    const known = settings[store];
    const keys = c.req.queries("key") ?? [];
    if (!known) {
      return problem(400, "ERR_CONFIGURATION_STORE_NOT_FOUND", `configuration store ${store} not found`);
    }
    if (subscribe) {
      const id = crypto.randomUUID();
      watches.set(id, { appId, store, keys });
      return c.json({ id });
    }
    const found = Object.entries(known).filter(
      // Redis' component takes an empty value for none.
      ([key, value]) => value !== "" && (keys.length === 0 || keys.includes(key)),
    );
    if (found.length === 0) return c.body(null, 204);
    return c.json(Object.fromEntries(found.map(([key, value]) => [key, { value }])));
  });

  return api;
}
