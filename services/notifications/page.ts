import type { Language } from "./words.ts";

/** The only style of the page; the policy knows it by its digest. */
export const style = `:root{color-scheme:light dark}
body{font:1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:3rem auto;padding:0 1rem}
button{font:inherit;padding:.6rem 1.2rem;cursor:pointer}`;

/** What the page shows: a question, that it is done, or that it is taken back. */
export type Shows = "ask" | "done" | "again";

/** The page behind a mail's link. A GET changes nothing: mail programs and scanners open links by themselves. */
export function unsubscribePage({ tag, page }: Language, shows: Shows): string {
  const form =
    shows === "again"
      ? ""
      : `<form method="post">${shows === "done" ? '<input type="hidden" name="again" value="yes">' : ""}<button>${
          shows === "done" ? page.back : page.button
        }</button></form>`;
  return `<!doctype html>
<html lang="${tag}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${page.title}</title><style>${style}</style></head>
<body><main><h1>${page.title}</h1><p>${page[shows]}</p>${form}</main></body>
</html>
`;
}
