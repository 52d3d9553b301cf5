import { html } from "hono/html";

/**
 * What the page at `/docs` may do: run the two scripts that come from here, with styles that carry the nonce of this
 * answer, and ask this shop alone. No inline script, no inline style, nothing from elsewhere.
 */
export const docsPolicy = (nonce: string): string =>
  [
    "default-src 'none'",
    "script-src 'self'",
    `style-src 'self' 'nonce-${nonce}'`,
    "img-src 'self' data: blob:",
    "font-src 'self' data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");

/** The page at `/docs`: the API, to read and to try. */
export const docsPage = (nonce: string) => html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta property="csp-nonce" content="${nonce}">
<title>Souk: the API</title>
<link rel="icon" href="data:,">
<script src="/docs/start.js" nonce="${nonce}"></script>
<script src="/docs/scalar.js" defer></script>
</head>
<body>
<noscript><p>This page needs a script. The same is in <a href="/openapi.json">openapi.json</a>; the events are on
<a href="/docs/events">a page without one</a>.</p></noscript>
<div id="reference"></div>
</body>
</html>
`;
