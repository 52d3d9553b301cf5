import { html, raw } from "hono/html";
import { meanings } from "./scopes.ts";
import { style } from "./style.ts";

type Html = ReturnType<typeof html>;

/** The pages of the provider: plain HTML, no script; every field has its label, every refusal is in words. */
function page(title: string, content: Html): Html {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${title} · Souk</title>
<style>${raw(style)}</style>
</head>
<body>
<main>
<h1>${title}</h1>
${content}
</main>
</body>
</html>
`;
}

/** What a form was told on its way back. */
export interface Said {
  /** What is wrong. */
  wrong?: string | undefined;
  /** What has happened. */
  told?: string | undefined;
  /** By the name of a field: what is wrong with it. */
  fields?: Record<string, string> | undefined;
  /** What was typed, to be shown again; never a password. */
  typed?: Record<string, string> | undefined;
}

const said = ({ wrong, told }: Said): Html =>
  html`${
    wrong ? html`<p class="wrong" role="alert">${wrong}</p>` : ""
  }${told ? html`<p class="told" role="status">${told}</p>` : ""}`;

interface Field {
  name: string;
  label: string;
  type: "email" | "password" | "text";
  autocomplete: string;
  hint?: string;
  /** Password rules as browsers read them. */
  minlength?: number;
}

function field({ name, label, type, autocomplete, hint, minlength }: Field, { fields, typed }: Said): Html {
  const wrong = fields?.[name];
  const about = wrong ?? hint;
  return html`<label for="${name}">${label}</label>
<input id="${name}" name="${name}" type="${type}" autocomplete="${autocomplete}" required maxlength="254"${
    minlength === undefined ? "" : raw(` minlength="${minlength}"`)
  }${type === "password" ? "" : html` value="${typed?.[name] ?? ""}"`}${
    about === undefined ? "" : raw(` aria-describedby="${name}-about"`)
  }${wrong === undefined ? "" : raw(' aria-invalid="true"')}>
${about === undefined ? "" : html`<small id="${name}-about">${about}</small>`}`;
}

const email: Field = { name: "email", label: "E-mail address", type: "email", autocomplete: "username" };
const password: Field = {
  name: "password",
  label: "Password",
  type: "password",
  autocomplete: "current-password",
};
const newPassword: Field = {
  name: "password",
  label: "New password",
  type: "password",
  autocomplete: "new-password",
  hint: "At least 8 characters. Several words are easy to remember and hard to guess.",
  minlength: 8,
};
const name: Field = { name: "name", label: "Your name", type: "text", autocomplete: "name" };

const form = (action: string, token: string, content: Html, button: string): Html => html`
<form method="post" action="${action}">
<input type="hidden" name="token" value="${token}">
${content}
<button type="submit">${button}</button>
</form>`;

/** The way out, beside the one that a page is for. */
const wayOut = (action: string, token: string, button: string): Html => html`
<form class="plain" method="post" action="${action}">
<input type="hidden" name="token" value="${token}">
<button type="submit" class="plain">${button}</button>
</form>`;

/** A form, and the token that shows that it came from our own page. */
export interface Form {
  action: string;
  token: string;
}

export const signInPage = (
  { action, token }: Form,
  { client, base }: { client: string; base: string },
  was: Said = {},
): Html =>
  page(
    "Sign in",
    html`<p>to go on to ${client}</p>
${said(was)}
${form(action, token, html`${field(email, was)}${field(password, was)}`, "Sign in")}
${wayOut(`${base}/abort`, token, "Cancel")}
<nav aria-label="Other ways">
<a href="${base}/register">Create an account</a>
<a href="/forgot-password">Forgotten your password?</a>
</nav>`,
  );

export const registerPage = ({ action, token }: Form, back: string | undefined, was: Said = {}): Html =>
  page(
    "Create an account",
    html`${said(was)}
${form(action, token, html`${field(name, was)}${field(email, was)}${field(newPassword, was)}`, "Create the account")}
${back === undefined ? "" : html`<nav aria-label="Other ways"><a href="${back}">I have an account</a></nav>`}`,
  );

export const consentPage = (
  { action, token }: Form,
  asked: { client: string; host: string; scopes: string[]; email: string; base: string },
): Html =>
  page(
    "May it act for you?",
    html`<p><strong>${asked.client}</strong> (${asked.host}) asks to act for you, ${asked.email}. It wants to:</p>
<ul>${asked.scopes.map((scope) => html`<li>${meanings[scope] ?? scope}</li>`)}</ul>
${form(action, token, html``, "Allow")}
${wayOut(`${asked.base}/abort`, token, "Refuse")}`,
  );

export const forgotPage = (to: Form, was: Said = {}): Html =>
  page(
    "Forgotten your password?",
    html`<p>We send you a link with which you can choose a new one.</p>
${said(was)}
${form(to.action, to.token, field(email, was), "Send the link")}`,
  );

/** @param link the token of the link in the mail */
export const resetPage = (to: Form, link: string, was: Said = {}): Html =>
  page(
    "Choose a new password",
    html`${said(was)}
${form(to.action, to.token, html`<input type="hidden" name="link" value="${link}">${field(newPassword, was)}`, "Save the password")}`,
  );

/** Asks once more: what opens links before people do, such as a mail filter, must not use them up. */
export const verifyPage = (to: Form, link: string, was: Said = {}): Html =>
  page(
    "Is this your address?",
    html`${said(was)}<p>One step is left: tell us that you opened the link in our mail.</p>
${form(to.action, to.token, html`<input type="hidden" name="link" value="${link}">`, "Yes, it is mine")}`,
  );

/** Something is done, or cannot be: nothing to fill in. */
export const notePage = (title: string, text: string, onward?: { href: string; text: string }): Html =>
  page(
    title,
    html`<p>${text}</p>
${onward ? html`<nav aria-label="Where to go on"><a href="${onward.href}">${onward.text}</a></nav>` : ""}`,
  );

export const signOutPage = ({ action, xsrf }: { action: string; xsrf: string }): Html =>
  page(
    "Sign out?",
    html`<p>You are signed in to Souk in this browser.</p>
<form method="post" action="${action}">
<input type="hidden" name="xsrf" value="${xsrf}">
<button type="submit" name="logout" value="yes">Sign out</button>
<button type="submit" class="plain">Stay signed in</button>
</form>`,
  );

/** A step that a script would take by itself. */
export const continuePage = ({ action, xsrf }: { action: string; xsrf: string }): Html =>
  page(
    "Go on",
    html`<p>One step is left.</p>
<form method="post" action="${action}">
<input type="hidden" name="xsrf" value="${xsrf}">
<button type="submit" name="logout" value="yes">Go on</button>
</form>`,
  );

export const signedOutPage = (): Html =>
  notePage("You are signed out", "Nobody can go on here in your name.", { href: "/", text: "To the shop" });

const reasons: Record<string, string> = {
  access_denied: "The request was refused.",
  invalid_client: "The program that sent you here is not known to us.",
  invalid_redirect_uri:
    "The program that sent you here wants us to send you on to an address that it has not told us before.",
  temporarily_unavailable: "The shop has too much to do right now. Try again in a moment.",
  server_error: "Something went wrong on our side. Try again in a moment.",
};

/** A refusal of the provider that may not be sent on to where the person came from. */
export function errorPage({
  error,
  error_description,
}: {
  error: string;
  error_description?: string | undefined;
}): Html {
  const gone = error_description?.includes("session") || error_description?.includes("expired");
  const text =
    reasons[error] ??
    (gone
      ? "This page has been open for too long, or was used already, or your browser takes no cookies. Begin again where you came from."
      : "The program that sent you here asked for something that cannot be done.");
  return page(
    "That did not work",
    html`<p>${text}</p>
<p>${error}${error_description ? html`: ${error_description}` : ""}</p>
<nav aria-label="Where to go on"><a href="/">To the shop</a></nav>`,
  );
}
