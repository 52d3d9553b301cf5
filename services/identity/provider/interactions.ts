import { open, router } from "chassis";
import type { Interaction, InteractionResults, Provider } from "oidc-provider";
import { authenticate, userOf } from "../accounts.ts";
import type { Store } from "../store.ts";
import { registerOnce } from "./account-pages.ts";
import { exchange } from "./bridge.ts";
import { addressOf, type C, type Fields, failed, fieldsOf, fromUs, goOn, refusal, show } from "./forms.ts";
import { issuerOf } from "./issuer.ts";
import { consentPage, errorPage, type Form, registerPage, type Said, signInPage } from "./pages.ts";
import { api } from "./provider.ts";

/** A person's way through a request of a client: signing in, registering on the way, consent. */

interface Step {
  interaction: Interaction;
  base: string;
  form(step: string): Form;
  client: { id: string; name: string };
  redirectUri: string;
  /** Ends this step; the library goes on from there. */
  finish(result: InteractionResults): Promise<Response>;
  provider: Provider;
}

/** The step that this browser is at, by its cookie; a page that says so when it is at none. */
async function stepOf(c: C): Promise<Step | Response> {
  const { kit } = c.var;
  const { provider, sealing } = await issuerOf(kit).open();
  const { incoming, outgoing } = exchange(new URL(c.req.path, kit.config.publicUrl), c.req.raw.headers);
  const interaction = await provider
    .interactionDetails(incoming, outgoing)
    .catch((error: { error?: string }) => {
      // What the library says of a cookie or session that is gone; anything else is a failure.
      if (error.error === "invalid_request") return undefined;
      throw error;
    });
  if (!interaction || interaction.uid !== c.req.param("uid")) return expired(c);
  const params = interaction.params as { client_id: string; redirect_uri: string };
  const client = await provider.Client.find(params.client_id);
  const base = `/interaction/${interaction.uid}`;
  return {
    interaction,
    base,
    form: (step) => ({ action: `${base}/${step}`, token: sealing.tokenOf(bound(interaction.uid)) }),
    client: { id: params.client_id, name: client?.clientName ?? params.client_id },
    redirectUri: params.redirect_uri,
    provider,
    async finish(result) {
      const options = { mergeWithLastSubmission: result.error === undefined };
      return goOn(c, await provider.interactionResult(incoming, outgoing, result, options));
    },
  };
}

const bound = (uid: string): string => `interaction ${uid}`;

const expired = (c: C): Promise<Response> =>
  show(
    c,
    errorPage({ error: "invalid_request", error_description: "the session of this page was not found" }),
    {
      status: 400,
    },
  );

/** Runs a step's form: it must have come from our own page, and there must be such a step. */
async function submitted(c: C, work: (step: Step, fields: Fields) => Promise<Response>): Promise<Response> {
  const fields = await fieldsOf(c);
  const step = await stepOf(c);
  if (step instanceof Response) return step;
  if (await fromUs(c, bound(step.interaction.uid), fields.token)) return work(step, fields);
  return show(c, errorPage({ error: "access_denied", error_description: "the form is not one of ours" }), {
    status: 403,
  });
}

const signInShown = (c: C, step: Step, was: Said, status?: number): Promise<Response> =>
  show(c, signInPage(step.form("sign-in"), { client: step.client.name, base: step.base }, was), {
    status: status ?? 200,
    leadsTo: step.redirectUri,
  });

async function consentShown(c: C, step: Step): Promise<Response> {
  const user = await userOf(c.var.kit, step.interaction.session?.accountId ?? "");
  if (!user) return expired(c);
  const { redirectUri } = step;
  const page = consentPage(step.form("consent"), {
    client: step.client.name,
    host: isLoopback(redirectUri) ? "a program on this device" : (URL.parse(redirectUri)?.host ?? ""),
    scopes: askedFor(step),
    email: user.email,
    base: step.base,
  });
  return show(c, page, { leadsTo: redirectUri });
}

const isLoopback = (uri: string): boolean =>
  ["127.0.0.1", "[::1]", "localhost"].includes(URL.parse(uri)?.hostname ?? "");

interface Missing {
  missingOIDCScope?: string[];
  missingResourceScopes?: Record<string, string[]>;
}

/** What is new about a request; all of it where nothing is, as native programs are asked each time. */
function askedFor({ interaction }: Step): string[] {
  const { missingOIDCScope = [], missingResourceScopes = {} } = interaction.prompt.details as Missing;
  const missing = [...new Set([...missingOIDCScope, ...(missingResourceScopes[api] ?? [])])];
  return missing.length > 0 ? missing : String(interaction.params.scope ?? "").split(" ");
}

async function granted({ interaction, provider, client }: Step): Promise<string> {
  const { missingOIDCScope, missingResourceScopes } = interaction.prompt.details as Missing;
  const accountId = interaction.session?.accountId;
  const before =
    interaction.grantId === undefined ? undefined : await provider.Grant.find(interaction.grantId);
  const grant = before ?? new provider.Grant({ accountId, clientId: client.id });
  if (missingOIDCScope) grant.addOIDCScope(missingOIDCScope.join(" "));
  for (const [resource, scopes] of Object.entries(missingResourceScopes ?? {}))
    grant.addResourceScope(resource, scopes.join(" "));
  return grant.save();
}

const mayOpen = "the cookie and the token of the form show that it is the browser that began";

export const interactionRoutes = router<Store>()
  .get("/interaction/:uid", open(mayOpen), async (c) => {
    const step = await stepOf(c);
    if (step instanceof Response) return step;
    if (step.interaction.prompt.name === "consent") return consentShown(c, step);
    const { login_hint } = step.interaction.params;
    return signInShown(c, step, {
      ...(typeof login_hint === "string" ? { typed: { email: login_hint.slice(0, 254) } } : {}),
      ...(c.req.query("registered") === undefined ? {} : { told: registered }),
    });
  })
  .post("/interaction/:uid/sign-in", open(mayOpen), (c) =>
    submitted(c, async (step, { email = "", password = "" }) => {
      const typed = { email };
      try {
        const signIn = await authenticate(c.var.kit, { email, password, ip: addressOf(c) });
        if (signIn.ok) return await step.finish({ login: { accountId: signIn.user.id, amr: ["pwd"] } });
        if (signIn.reason === "wrong") return signInShown(c, step, { wrong: wrongPassword, typed }, 422);
        c.header("retry-after", String(signIn.retryAfter));
        return signInShown(c, step, { wrong: locked(signIn.retryAfter), typed }, 429);
      } catch (error) {
        const { said, status } = refusal(error);
        return signInShown(c, step, { ...said, typed }, status);
      }
    }),
  )
  .get("/interaction/:uid/register", open(mayOpen), async (c) => {
    const step = await stepOf(c);
    if (step instanceof Response) return step;
    return show(c, registerPage(step.form("register"), step.base), { leadsTo: step.redirectUri });
  })
  .post("/interaction/:uid/register", open(mayOpen), (c) =>
    submitted(c, async (step, fields) => {
      const outcome = await registerOnce(c, fields);
      if (outcome === undefined) return goOn(c, `${step.base}?registered`);
      const { said, status } = outcome;
      return show(c, registerPage(step.form("register"), step.base, said), {
        status,
        leadsTo: step.redirectUri,
      });
    }),
  )
  .post("/interaction/:uid/consent", open(mayOpen), (c) =>
    submitted(c, async (step) => {
      if (step.interaction.prompt.name !== "consent") return goOn(c, step.base);
      return step.finish({ consent: { grantId: await granted(step) } });
    }),
  )
  .post("/interaction/:uid/abort", open(mayOpen), (c) =>
    submitted(c, (step) =>
      step.finish({ error: "access_denied", error_description: "The person did not want to go on" }),
    ),
  );

interactionRoutes.onError(failed);

const registered = "We have sent you a mail: open the link in it, then sign in here.";
const wrongPassword = "E-mail address and password do not belong together.";
const locked = (seconds: number): string => {
  const wait = seconds < 90 ? `${seconds} seconds` : `${Math.ceil(seconds / 60)} minutes`;
  return `There were too many wrong passwords. Try again in ${wait}, or choose a new password.`;
};
