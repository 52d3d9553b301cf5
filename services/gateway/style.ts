import { createHash } from "node:crypto";

/** The style sheet of the gateway's own pages. */
export const style = `
:root { color-scheme: light dark; --line: light-dark(#d9d4cb, #3d3a36); --soft: light-dark(#6b655c, #a8a29a);
  --paper: light-dark(#fbf9f5, #1b1a18); --ink: light-dark(#23201c, #ece8e1); --link: light-dark(#8a3a12, #f0a77c);
  --good: light-dark(#1e6b3a, #7fd39b); --bad: light-dark(#a11d1d, #ff9b93); }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 46rem; padding: clamp(1.5rem, 6vw, 4rem) 1.25rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.6 ui-sans-serif, system-ui, sans-serif; }
h1 { font: 600 clamp(2.2rem, 7vw, 3.2rem)/1.1 ui-serif, Georgia, serif; letter-spacing: -0.02em; margin: 0 0 0.5rem; }
h2 { font-size: 1.05rem; margin: 2.75rem 0 0.75rem; }
p { margin: 0; color: var(--soft); max-width: 36rem; }
table { border-collapse: collapse; width: 100%; }
caption { text-align: start; color: var(--soft); padding-bottom: 0.75rem; }
th, td { border-top: 1px solid var(--line); padding: 0.55rem 1rem 0.55rem 0; text-align: start; vertical-align: top; }
thead th { border-top: 0; color: var(--soft); font-size: 0.85rem; font-weight: 500; }
tbody th { font-weight: 500; }
.up { color: var(--good); } .down { color: var(--bad); font-weight: 600; }
ul { list-style: none; margin: 0; padding: 0; }
li { border-top: 1px solid var(--line); padding: 0.55rem 0; display: flex; flex-wrap: wrap; gap: 0 1rem; }
li span { color: var(--soft); }
a { color: var(--link); text-underline-offset: 0.2em; min-width: 13rem; }
a:focus-visible { outline: 2px solid currentColor; outline-offset: 3px; border-radius: 2px; }
`;

/** Nothing but the page's own style sheet, known by its digest. */
export const pagePolicy = [
  "default-src 'none'",
  `style-src 'sha256-${createHash("sha256").update(style).digest("base64")}'`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");
