import type { Grant, interactionPolicy, KoaContextWithOIDC } from "oidc-provider";
import type { Client } from "./clients.ts";
import type { Library } from "./library.ts";

/** When a person is asked to sign in, and when for consent. */
export function policy({ base, Check }: Library["interactionPolicy"]): interactionPolicy.Prompt[] {
  const prompts = base();
  prompts
    .get("login")
    ?.checks.add(
      new Check(
        "account_changed",
        "the account is gone, or was changed since",
        ({ oidc }) => oidc.session?.accountId !== undefined && oidc.account === undefined,
      ),
    );
  return prompts;
}

/**
 * What the person has granted the client in this session. The shop's own client is the shop: nobody is asked whether
 * the shop may act for them, and it gets what their role allows.
 */
export async function loadGrant(
  { oidc }: KoaContextWithOIDC,
  clientOf: (id: string) => Promise<Client | undefined>,
): Promise<Grant | undefined> {
  const { provider, session, account, client } = oidc;
  if (!client || !account) return undefined;
  const given = oidc.result?.consent?.grantId ?? session?.grantIdFor(client.clientId);
  const found = given === undefined ? undefined : await provider.Grant.find(given);
  const mine =
    found?.accountId === account.accountId && found.clientId === client.clientId ? found : undefined;
  if (!(await clientOf(client.clientId))?.settings?.firstParty) return mine;
  const grant = mine ?? new provider.Grant({ accountId: account.accountId, clientId: client.clientId });
  const before = JSON.stringify([grant.openid, grant.resources]);
  if (oidc.requestParamOIDCScopes.size > 0) grant.addOIDCScope([...oidc.requestParamOIDCScopes].join(" "));
  for (const [resource, server] of Object.entries(oidc.resourceServers ?? {})) {
    const asked = [...oidc.requestParamScopes].filter((scope) => server.scopes.has(scope));
    if (asked.length > 0) grant.addResourceScope(resource, asked.join(" "));
  }
  if (JSON.stringify([grant.openid, grant.resources]) !== before) await grant.save();
  return grant;
}
