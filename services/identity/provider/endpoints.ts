import { allow, cacheable, notFound, open, Problem, problems, router, says, transact } from "chassis";
import { userOf } from "../accounts.ts";
import { Introspection, KeyList, KeyRotation, TokenQuestion, TokenRefusal, UserInfo } from "../contracts.ts";
import type { Store } from "../store.ts";
import { issuerOf } from "./issuer.ts";
import { claimsOf } from "./provider.ts";
import type { Key, Ring } from "./ring.ts";

/** The provider's endpoints besides the token's, and what its keepers do with its keys. */

const form = "application/x-www-form-urlencoded";
const byCookie = "whoever has no account yet begins here; the provider's cookie shows who goes on";
const ownCredentials = "the client shows its own credentials here";

export const endpoints = router<Store>()
  .get("/auth", open(byCookie), (c) => issuerOf(c.var.kit).show(c.req.raw))
  .get("/auth/:uid", open(byCookie), (c) => issuerOf(c.var.kit).show(c.req.raw))
  .get("/session/end", open(byCookie), (c) => issuerOf(c.var.kit).show(c.req.raw))
  .post("/session/end", open(byCookie), (c) => issuerOf(c.var.kit).show(c.req.raw))
  .post("/session/end/confirm", open(byCookie), (c) => issuerOf(c.var.kit).show(c.req.raw))
  .get("/session/end/success", open(byCookie), (c) => issuerOf(c.var.kit).show(c.req.raw))
  .post(
    "/token/introspection",
    says(
      "Ask whether a token holds, as a confidential client",
      { 200: Introspection, 400: TokenRefusal, 401: TokenRefusal, ...problems(413, 503) },
      { [form]: TokenQuestion },
    ),
    open(ownCredentials),
    (c) => issuerOf(c.var.kit).answer(c.req.raw),
  )
  .post(
    "/token/revocation",
    says(
      "Give a refresh token back, and all that came of the same sign-in",
      { 200: null, 400: TokenRefusal, 401: TokenRefusal, ...problems(413, 503) },
      { [form]: TokenQuestion },
    ),
    open(ownCredentials),
    (c) => issuerOf(c.var.kit).answer(c.req.raw),
  )
  .on(
    ["GET", "POST"],
    "/me",
    says("Who the token is for", { 200: UserInfo, ...problems(403) }),
    allow("openid"),
    async (c) => {
      const { caller, kit } = c.var;
      const user = caller.kind === "user" ? await userOf(kit, caller.id) : undefined;
      if (!user) {
        throw new Problem(401, {
          code: "invalid-token",
          detail: "The token is of no person who has an account here",
          headers: { "www-authenticate": 'Bearer realm="souk", error="invalid_token"' },
        });
      }
      const { sub, name, locale, role, email, email_verified } = claimsOf(user);
      return c.json(
        {
          sub,
          ...(caller.scopes.has("profile") ? { name, locale, role } : {}),
          ...(caller.scopes.has("email") ? { email, email_verified } : {}),
        },
        200,
        { "cache-control": "no-store" },
      );
    },
  )
  .get(
    "/keys",
    says("The keys that tokens are signed with", { 200: KeyList, ...problems(403, 503) }),
    allow("ops", "users:manage"),
    async (c) => cacheable(c, { items: viewOf(await issuerOf(c.var.kit).ring()) }, "private, no-cache"),
  )
  .post(
    "/keys/rotate",
    says("Let the next key sign as soon as everybody can know it", {
      202: KeyRotation,
      ...problems(403, 503),
    }),
    allow("ops", "users:manage"),
    async (c) => {
      const { keys, ring } = issuerOf(c.var.kit);
      let began = 0;
      const answer = await transact(c, async () => {
        const { change, at } = await keys.rotate();
        began = at;
        return { change, status: 202 };
      });
      if (answer.status !== 202) return answer;
      keys.forget();
      return c.json({ at: new Date(began).toISOString(), items: viewOf(await ring()) }, 202, {
        "cache-control": "no-store",
        location: "/api/keys",
      });
    },
  )
  .delete(
    "/keys/:kid",
    says("Withdraw a key that others may have: what it signed holds no longer", {
      204: null,
      ...problems(403, 404, 503),
    }),
    allow("ops", "users:manage"),
    async (c) => {
      const { keys } = issuerOf(c.var.kit);
      const answer = await transact(c, async () => {
        const change = await keys.withdraw(c.req.param("kid"));
        if (!change) throw notFound("A key with this id");
        return { change, status: 204 };
      });
      keys.forget();
      return answer;
    },
  );

function viewOf({ signing, published, withdrawn }: Ring) {
  const stateOf = (key: Key): "signs" | "next" | "checks" | "withdrawn" => {
    if (key === signing) return "signs";
    if (withdrawn.includes(key)) return "withdrawn";
    return key.signsFrom === null || key.signsFrom > (signing.signsFrom ?? 0) ? "next" : "checks";
  };
  return [...published, ...withdrawn]
    .toSorted((one, other) => other.generation - one.generation)
    .map((key) => ({
      kid: key.jwk.kid,
      algorithm: String(key.jwk.alg),
      state: stateOf(key),
      createdAt: new Date(key.createdAt).toISOString(),
      signsFrom: key.signsFrom === null ? null : new Date(key.signsFrom).toISOString(),
    }));
}
