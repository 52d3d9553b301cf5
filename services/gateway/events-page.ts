import { createHash } from "node:crypto";
import { html, raw } from "hono/html";
import { type ServiceEvents, type Told, told } from "./asyncapi-merge.ts";
import { style } from "./style.ts";

const own = `${style}
h3 { font: 600 1rem/1.4 ui-monospace, monospace; margin: 2rem 0 0.25rem; }
pre { overflow-x: auto; padding: 0.9rem 1rem; border: 1px solid var(--line); border-radius: 0.4rem; font-size: 0.85rem; }
pre:focus-visible { outline: 2px solid currentColor; outline-offset: 3px; }
code { font-family: ui-monospace, monospace; }
nav ul { display: flex; flex-wrap: wrap; gap: 0 1.5rem; } nav li { border: 0; padding: 0; } nav a { min-width: 0; }
td code, th code { overflow-wrap: anywhere; }
`;

/** Nothing but the page's own style sheet, known by its digest. */
export const eventsPolicy = [
  "default-src 'none'",
  `style-src 'sha256-${createHash("sha256").update(own).digest("base64")}'`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** The page at `/docs/events`: every event, who tells it, who listens, what is in it. */
export function eventsPage(services: ServiceEvents[]) {
  const topics = [...told(services)];
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Souk: events</title>
<style>${raw(own)}</style>
</head>
<body>
<header>
<h1>Events</h1>
<p>What services tell each other: CloudEvents 1.0 through Dapr pub/sub, at least once. They only ever gain optional
fields. The same as <a href="/asyncapi.json">AsyncAPI 3.0</a>; requests and answers are in <a href="/docs">the API</a>.</p>
</header>
<nav aria-label="Topics"><ul>${topics.map(([topic]) => html`<li><a href="#${topic}">${topic}</a></li>`)}</ul></nav>
<main>${topics.map(
    ([topic, events]) => html`
<h2 id="${topic}">Topic ${topic}</h2>${events.map(eventSection)}`,
  )}
</main>
</body>
</html>
`;
}

const eventSection = ({ type, from, to, schema, example }: Told) => html`
<section aria-labelledby="${type}">
<h3 id="${type}">${type}</h3>
<p>${from} → ${to.length > 0 ? to.join(", ") : "whoever listens"}</p>
<table>
<caption>Fields of <code>data</code></caption>
<thead><tr><th scope="col">Field</th><th scope="col">Type</th><th scope="col">Always there</th></tr></thead>
<tbody>${fields(schema).map(
  ({ name, kind, required }) => html`
<tr><th scope="row"><code>${name}</code></th><td>${kind}</td><td>${required ? "yes" : "no"}</td></tr>`,
)}</tbody>
</table>
<pre tabindex="0" aria-label="Example of ${type}"><code>${JSON.stringify(example, null, 2)}</code></pre>
</section>`;

interface Schema {
  type?: string;
  const?: unknown;
  enum?: unknown[];
  anyOf?: Schema[];
  items?: Schema;
  properties?: Record<string, Schema>;
  required?: string[];
}

/** The fields of an object, those of objects in it after it: `lines[].sku`. */
function fields(
  schema: Schema,
  prefix = "",
  always = true,
): { name: string; kind: string; required: boolean }[] {
  return Object.entries(schema.properties ?? {}).flatMap(([key, one]) => {
    const name = prefix + key;
    const required = always && (schema.required ?? []).includes(key);
    const inside = one.items ?? one;
    return [
      { name, kind: kindOf(one), required },
      ...fields(inside, `${name}${one.items ? "[]" : ""}.`, required),
    ];
  });
}

function kindOf({ type, const: only, enum: choices, anyOf, items }: Schema): string {
  if (only !== undefined) return JSON.stringify(only);
  if (choices) return choices.map((one) => JSON.stringify(one)).join(" or ");
  if (anyOf) return anyOf.map(kindOf).join(" or ");
  if (items) return `list of ${kindOf(items)}`;
  return type ?? "anything";
}
