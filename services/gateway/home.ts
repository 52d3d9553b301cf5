import { html, raw } from "hono/html";
import type { State } from "./readiness.ts";
import { style } from "./style.ts";

const links: [string, string][] = [
  ["/docs", "the API, to read and to try"],
  ["/docs/events", "the events that services tell each other"],
  ["/api/products", "the products, as the API shows them"],
  ["/ready", "every part and its state"],
  ["/health", "that the gateway is alive"],
  ["/metrics", "the gateway's numbers, for Prometheus"],
  ["/.well-known/openid-configuration", "where to get a token"],
];

/** The page at `/`: what runs here, and where to go on. */
export function home(states: State[]) {
  const ready = states.every(({ up }) => up);
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Souk</title>
<style>${raw(style)}</style>
</head>
<body>
<header>
<h1>Souk</h1>
<p>A shop back end of small services. This is its gateway: everything is reached through here.</p>
</header>
<main>
<h2 id="services">What runs here</h2>
<table aria-labelledby="services">
<caption>${ready ? "Everything is up." : "Something is down; the rest goes on."}</caption>
<thead><tr><th scope="col">Part</th><th scope="col">State</th><th scope="col">What is wrong</th></tr></thead>
<tbody>${states.map(row)}</tbody>
</table>
<h2 id="links">Where to go on</h2>
<ul aria-labelledby="links">${links.map(
    ([href, what]) => html`
<li><a href="${href}">${href}</a> <span>${what}</span></li>`,
  )}
</ul>
</main>
</body>
</html>
`;
}

const row = ({ name, up, detail }: State) => html`
<tr><th scope="row">${name}</th><td class="${up ? "up" : "down"}">${up ? "up" : "down"}</td><td>${detail ?? ""}</td></tr>`;
