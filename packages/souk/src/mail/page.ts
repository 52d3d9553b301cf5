/** The pages of the mail catcher. */
import { createHash } from "node:crypto";
import { html, raw } from "hono/html";
import type { Caught, Summary } from "./box.ts";

const style = `:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { margin: 2rem auto; max-width: 60rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { border-top: 1px solid #8884; padding: .4rem 1rem .4rem 0; text-align: start; vertical-align: top; }
iframe { width: 100%; height: 30rem; border: 1px solid #8884; background: #fff; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; border: 1px solid #8884; padding: 1rem; }
td { overflow-wrap: anywhere; }`;

/** Nothing but the pages' own style sheet and the frame with a mail. */
export const policy = [
  "default-src 'none'",
  `style-src 'sha256-${createHash("sha256").update(style).digest("base64")}'`,
  "frame-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** A mail's own HTML: no script, nothing loaded from anywhere; its links open a page of their own. */
export const mailPolicy =
  "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:";

const page = (title: string, head: unknown, body: unknown) => html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
${head}
<title>${title}</title>
<style>${raw(style)}</style>
</head>
<body>
${body}
</body>
</html>
`;

/** All mails, newest first; looks again by itself. */
export const listPage = (mails: Summary[]) =>
  page(
    "Mail",
    html`<meta http-equiv="refresh" content="5">`,
    html`<h1>Mail</h1>
<p>What the shop has sent. Nothing of it has left this machine.</p>
${
  mails.length === 0
    ? html`<p>There is none yet.</p>`
    : html`<table>
<thead><tr><th scope="col">Subject</th><th scope="col">To</th><th scope="col">When</th></tr></thead>
<tbody>${mails.map(
        ({ id, at, subject, to }) => html`
<tr><td><a href="/mails/${id}">${subject || "(no subject)"}</a></td><td>${to}</td><td><time datetime="${at}">${at}</time></td></tr>`,
      )}
</tbody>
</table>`
}`,
  );

/** One mail: as HTML, as text, and its headers. */
export const mailPage = ({ id, subject, from, to, at, text, html: formatted, headers }: Caught) =>
  page(
    subject || "Mail",
    "",
    html`<p><a href="/">All mails</a></p>
<h1>${subject}</h1>
<p>${from} → ${to}, ${at}</p>
<h2>HTML</h2>
${
  formatted
    ? html`<iframe title="The mail as HTML" sandbox="allow-popups allow-popups-to-escape-sandbox" src="/mails/${id}/html"></iframe>`
    : html`<p>It has no HTML.</p>`
}
<h2>Text</h2>
${text ? html`<pre>${text}</pre>` : html`<p>It has no text.</p>`}
<h2>Headers</h2>
<table><tbody>${headers.map(
      ({ name, value }) => html`
<tr><th scope="row">${name}</th><td>${value}</td></tr>`,
    )}
</tbody></table>
<p><a href="/mails/${id}/source">As it came</a></p>`,
  );
