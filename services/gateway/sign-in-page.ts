import { html, raw } from "hono/html";
import { pagePolicy, style } from "./style.ts";

export const failedPolicy = pagePolicy;

/** The page that a browser sees when a sign-in came to nothing. */
export const failedPage = (detail: string) => html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Not signed in – Souk</title>
<style>${raw(style)}</style>
</head>
<body>
<main>
<h1>Not signed in</h1>
<p>${detail}.</p>
<h2 id="next">Where to go on</h2>
<ul aria-labelledby="next">
<li><a href="/session/sign-in">Sign in again</a></li>
<li><a href="/">The front page</a></li>
</ul>
</main>
</body>
</html>
`;
