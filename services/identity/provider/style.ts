import { createHash } from "node:crypto";

/** The look of the shop's front page. */
export const style = `
:root { color-scheme: light dark; --line: light-dark(#d9d4cb, #3d3a36); --soft: light-dark(#6b655c, #a8a29a);
  --paper: light-dark(#fbf9f5, #1b1a18); --ink: light-dark(#23201c, #ece8e1); --link: light-dark(#8a3a12, #f0a77c);
  --edge: light-dark(#857d71, #857d71); --bad: light-dark(#a11d1d, #ff9b93); }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 30rem; padding: clamp(1.5rem, 6vw, 4rem) 1.25rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.6 ui-sans-serif, system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font: 600 clamp(1.9rem, 7vw, 2.6rem)/1.15 ui-serif, Georgia, serif; letter-spacing: -0.02em; margin: 0 0 0.75rem; }
p { margin: 0 0 1rem; color: var(--soft); }
p.told { color: var(--ink); border-inline-start: 3px solid var(--link); padding-inline-start: 0.75rem; }
p.wrong { color: var(--bad); border-inline-start: 3px solid currentColor; padding-inline-start: 0.75rem; font-weight: 500; }
form { margin: 1.5rem 0; }
label { display: block; font-weight: 500; margin: 1rem 0 0.3rem; }
small { display: block; color: var(--soft); margin-top: 0.3rem; }
input { width: 100%; min-height: 2.9rem; padding: 0.5rem 0.75rem; font: inherit; color: inherit;
  background: light-dark(#fff, #242220); border: 1px solid var(--edge); border-radius: 4px; }
input[aria-invalid="true"] { border-color: var(--bad); border-width: 2px; }
button { width: 100%; min-height: 2.9rem; margin-top: 1.5rem; padding: 0.5rem 1rem; font: inherit; font-weight: 600;
  color: var(--paper); background: var(--ink); border: 1px solid var(--ink); border-radius: 4px; cursor: pointer; }
form.plain { margin-top: -0.75rem; } form.plain button { margin-top: 0; }
button.plain { margin-top: 0.75rem; color: var(--ink); background: transparent; }
ul { list-style: none; margin: 0; padding: 0; }
li { border-top: 1px solid var(--line); padding: 0.55rem 0; }
nav { display: flex; flex-wrap: wrap; gap: 0.5rem 1.5rem; border-top: 1px solid var(--line); padding-top: 1rem; }
a { color: var(--link); text-underline-offset: 0.2em; }
a:focus-visible, input:focus-visible, button:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
`;

const digest = createHash("sha256").update(style).digest("base64");

/**
 * Nothing but the page's own style sheet, known by its digest; no frames around it; forms lead back here.
 * @param leadsTo where a redirect after the form may lead: browsers hold redirects to `form-action`, too
 */
export function pagePolicy(leadsTo: string | undefined): string {
  return [
    "default-src 'none'",
    `style-src 'sha256-${digest}'`,
    `form-action 'self'${leadsTo === undefined ? "" : sourceOf(leadsTo)}`,
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
}

/** A redirect URI as a source expression: its origin, or its scheme where it has no origin. */
function sourceOf(uri: string): string {
  const url = URL.parse(uri);
  if (!url) return "";
  const source = url.origin === "null" ? url.protocol : url.origin;
  return /^[a-z][a-z0-9+.-]*:(\/\/[^\s;,']+)?$/i.test(source) ? ` ${source}` : "";
}
